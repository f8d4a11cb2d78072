import type { Bundle, EnrolledKeys } from '../../../schemas/evidence/bundle.js';
import type { HostPolicy } from '../../../schemas/policy/host/host-policy.js';
import type { Micros } from '../../../schemas/records.js';
import { isHashName } from '../../../schemas/tpm/algorithms.js';
import { endorsementQualifiedName, objectName } from '../../../schemas/tpm/name.js';
import type { PcrValue } from '../../../schemas/tpm/pcr-digest.js';
import { parsePublic } from '../../../schemas/tpm/public.js';
import { parsePcrFile } from '../../../schemas/tpm/quote-files.js';
import { parseSignature } from '../../../schemas/tpm/signature.js';
import type { Level } from '../appraisal/findings.js';
import { attestationKeyCheck } from '../checks/attestation-key.js';
import { Attested } from '../checks/attested.js';
import { bootCheck, counterChecks, countersOf } from '../checks/boot.js';
import { certifyChecks } from '../checks/certify.js';
import { type Check, type CheckCode, type Failure, runChecks } from '../checks/check.js';
import { pcrDigestCheck } from '../checks/pcr-digest.js';
import { quoteChecks } from '../checks/quote.js';
import type { TrustState } from '../verdict.js';
import { bundleKey, type ParsedKey } from './bundle-key.js';
import { explainLogs, type LogData, levelOf } from './explain-logs.js';

/** Parts of the evidence that may be required. */
export const REQUIREMENTS = ['certify', 'quote', 'pcrs', 'logs', 'firmware', 'coverage', 'references'] as const;
export type Requirement = (typeof REQUIREMENTS)[number];

export const DEFAULT_REQUIREMENTS: readonly Requirement[] = ['certify', 'quote', 'pcrs', 'logs'];

export interface BundleOptions {
  /** Keys that the host is known by, from outside of the bundle, or the bundle's own where the user says so; null: none. */
  readonly anchor: EnrolledKeys | null;
  readonly require: readonly Requirement[];
  readonly policy: HostPolicy | null;
  /** Of each of the bundle's logs, in order. */
  readonly logs: readonly LogData[];
  /** For windows in the policy. */
  readonly now: Micros;
}

export interface BundleReason {
  readonly code: string;
  readonly message: string;
  /** Part of the bundle. */
  readonly at: string;
  /** What it makes of the evidence. */
  readonly level: Level | 'none';
}

export interface BundleAnswer {
  readonly result: TrustState;
  /** The chain from the anchor to the quote is whole. */
  readonly anchored: boolean;
  readonly reasons: readonly BundleReason[];
  readonly passed: readonly string[];
  readonly notChecked: readonly string[];
}

/** Collects what was found; only the first failure of a chain of checks counts, as those behind it rest on it. */
class Findings {
  readonly passed: CheckCode[] = [];
  readonly notChecked: string[] = [];
  readonly reasons: BundleReason[] = [];
  readonly met = new Set<Requirement>();

  /** True if all held. */
  run(at: string, checks: readonly Check[]): boolean {
    const { passed, failure } = runChecks(checks);
    for (const code of passed) if (!this.passed.includes(code)) this.passed.push(code);
    if (failure !== null) this.add(at, failure);
    return failure === null;
  }

  add(at: string, { code, message }: Failure, level: Level = levelOf(code)): void {
    this.reasons.push({ code, message, at, level });
  }
}

/** Appraises evidence that stands alone, by the checks of the stream in their order (startup.md §4). */
export const verifyBundle = (bundle: Bundle, options: BundleOptions): BundleAnswer => {
  const findings = new Findings();
  const keys = keysOf(bundle, options, findings);
  let anchored = false;
  if (keys !== null) {
    const vouched = checkCertify(bundle, keys, findings);
    const quoted = vouched !== 'failed' && checkQuote(bundle, keys, findings);
    anchored = quoted && keys.anchored && (vouched === 'vouched' || keys.alone);
    if (quoted) checkRegisters(bundle, options, findings);
  }
  return answer(findings, options, anchored);
};

interface Keys {
  readonly aik1: ParsedKey | null;
  /** Signs the quote. */
  readonly quoting: ParsedKey;
  /** The quote is by AIK1 itself: no second key is in between. */
  readonly alone: boolean;
  /** AIK1 is the anchor's. */
  readonly anchored: boolean;
  /** Qualified name of the endorsement key; null: not known. */
  readonly parent: Buffer | null;
}

const keysOf = (bundle: Bundle, { anchor }: BundleOptions, findings: Findings): Keys | null => {
  const parse = (given: Bundle['aik1'], at: string): ParsedKey | null => {
    const key = given === null ? null : bundleKey(given);
    if (typeof key !== 'string') return key;
    findings.add(at, { code: at === 'aik1Public' ? 'aik1.malformed' : 'aik2.malformed', message: key });
    return null;
  };
  const aik1 = parse(bundle.aik1, 'aik1Public');
  const aik2 = parse(bundle.aik2, 'aik2Public');
  if (findings.reasons.length > 0) return null;
  const quoting = aik2 ?? aik1;
  if (quoting === null) {
    findings.notChecked.push('quote.signature');
    return null;
  }
  let anchored = false;
  if (anchor?.aik1Name != null) {
    if (aik1 === null || !aik1.object) findings.notChecked.push('identity');
    else if (objectName(aik1.key).equals(anchor.aik1Name)) anchored = true;
    else {
      const message = 'AIK1 is not the key that the host is known by';
      findings.add('aik1Public', { code: 'host.unknown', message }, 'contraindicated');
      return null;
    }
  } else findings.notChecked.push('identity');
  return { aik1, quoting, alone: aik2 === null, anchored, parent: parentOf(bundle, anchor, findings) };
};

/** The endorsement key comes from the anchor; the bundle's own only says what its makers say. */
const parentOf = ({ enrolled }: Bundle, anchor: EnrolledKeys | null, findings: Findings): Buffer | null => {
  const area = anchor?.ekPublic ?? enrolled?.ekPublic ?? null;
  if (area === null) {
    findings.notChecked.push('qn');
    return null;
  }
  let parent: Buffer | null = null;
  findings.run('enrolled.ekPublic', [
    [
      'ek.malformed',
      () => {
        parent = endorsementQualifiedName(objectName(parsePublic(area)));
        return null;
      },
    ],
  ]);
  return parent;
};

const checkCertify = (bundle: Bundle, keys: Keys, findings: Findings): 'vouched' | 'absent' | 'failed' => {
  const { aik1, quoting, parent, alone } = keys;
  const { certify } = bundle;
  if (certify === null || aik1 === null || alone || !aik1.object || !quoting.object) {
    findings.notChecked.push('certify');
    if (quoting.object) {
      const code = alone ? 'aik1.attributes' : 'aik2.attributes';
      if (!findings.run(alone ? 'aik1Public' : 'aik2Public', [attestationKeyCheck(code, quoting.key)])) return 'failed';
    } else findings.notChecked.push('aik2.attributes');
    return 'absent';
  }
  if (certify.qualifyingData === null) findings.notChecked.push('certify.nonce');
  const good = findings.run(
    'certify',
    certifyChecks({
      certify: new Attested(certify.attest, certify.signature),
      aik1: aik1.key,
      aik2: quoting.key,
      qualifyingData: certify.qualifyingData,
      parent,
    }),
  );
  if (good) findings.met.add('certify');
  return good ? 'vouched' : 'failed';
};

const checkQuote = (bundle: Bundle, { quoting, parent, aik1 }: Keys, findings: Findings): boolean => {
  const { quote, certify, previous } = bundle;
  const attested = new Attested(quote.attest, quote.signature);
  if (quote.qualifyingData === null) findings.notChecked.push('quote.nonce');
  if (quote.selection === null) findings.notChecked.push('quote.selection');
  const good = findings.run('quote', [
    ...quoteChecks({
      quote: attested,
      aik2: quoting.key,
      qualifyingData: quote.qualifyingData,
      parent: quoting.object ? parent : null,
      asked: quote.selection,
    }),
    ...(certify === null || aik1 === null || !findings.met.has('certify')
      ? []
      : [
          bootCheck(
            () => countersOf(attested.attest),
            countersOf(new Attested(certify.attest, certify.signature).attest),
          ),
        ]),
    ...counterChecks(() => countersOf(attested.attest), previous),
  ]);
  if (previous === null) findings.notChecked.push('clock.backwards');
  if (good) findings.met.add('quote');
  return good;
};

const checkRegisters = (bundle: Bundle, options: BundleOptions, findings: Findings): void => {
  const attested = new Attested(bundle.quote.attest, bundle.quote.signature);
  const { attest } = attested;
  const { hash } = parseSignature(attested.signature);
  if (bundle.pcrs === null || attest.quote === null || !isHashName(hash)) {
    findings.notChecked.push('pcr.digest', ...bundle.logs.map(({ kind }) => `${kind}.prefix`));
    return;
  }
  const { selection } = attest.quote;
  let values: readonly PcrValue[] = [];
  const good = findings.run('pcrs', [
    [
      'pcr.digest',
      () => {
        values = valuesOf(bundle.pcrs!, selection);
        return pcrDigestCheck(
          () => attest,
          () => hash,
          values,
        )[1]();
      },
    ],
  ]);
  if (!good) return;
  findings.met.add('pcrs');
  const explained = explainLogs({
    bundle,
    logs: options.logs,
    attest,
    values,
    policy: options.policy,
    coverage: options.require.includes('coverage'),
    now: options.now,
  });
  for (const code of explained.passed) if (!findings.passed.includes(code)) findings.passed.push(code);
  for (const { at, level, ...failure } of explained.failures) findings.add(at, failure, level);
  findings.notChecked.push(...explained.notChecked);
  for (const met of explained.met) findings.met.add(met);
};

const valuesOf = (
  pcrs: NonNullable<Bundle['pcrs']>,
  selection: Parameters<typeof parsePcrFile>[1],
): readonly PcrValue[] =>
  'file' in pcrs
    ? parsePcrFile(pcrs.file, selection)
    : [...pcrs].map(([name, value]) => {
        const [hash = '', pcr] = name.split(':');
        return { hash, pcr: Number(pcr), value };
      });

const answer = (findings: Findings, { require }: BundleOptions, anchored: boolean): BundleAnswer => {
  const unmet = require.filter((requirement) => !findings.met.has(requirement));
  const reasons = [...findings.reasons];
  const worst = (level: Level): boolean => findings.reasons.some((reason) => reason.level === level);
  let result: TrustState;
  if (worst('contraindicated')) result = 'contraindicated';
  else if (unmet.length > 0 || !anchored) {
    result = 'none';
    if (!anchored) {
      const message = 'no anchor from outside says whose evidence this is';
      reasons.push({ code: 'host.unknown', message, at: 'enrolled', level: 'none' });
    }
    for (const at of unmet)
      reasons.push({
        code: 'evidence.incomplete',
        message: `${at} is required and was not checked`,
        at,
        level: 'none',
      });
  } else if (worst('warning')) result = 'warning';
  else result = 'affirming';
  return { result, anchored, reasons, passed: findings.passed, notChecked: [...new Set(findings.notChecked)] };
};
