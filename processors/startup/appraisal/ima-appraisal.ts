import { isAttestreamError } from '../../../schemas/errors.js';
import { BOOT_AGGREGATE } from '../../../schemas/ima/boot-aggregate.js';
import { type FileDigest, type ImaEntry, type ImaRecord, imaEntry } from '../../../schemas/ima/entry.js';
import { type RecordSpan, spanRecord } from '../../../schemas/ima/record-span.js';
import { globMatches } from '../../../schemas/policy/glob.js';
import type { HostPolicy } from '../../../schemas/policy/host/host-policy.js';
import type { Micros } from '../../../schemas/records.js';
import type { CheckCode } from '../checks/check.js';
import { digestName, isListed } from './file-reference.js';
import { signedFile } from './file-signer.js';
import { addFinding, type Findings, type Level } from './findings.js';
import { plainEntriesOf } from './plain-entries.js';

/** What the entries of a list amount to under one policy; goes on where it stopped. */
export interface ImaAppraisal {
  readonly findings: Findings;
  entries: number;
  violations: number;
  /** Violations borne so far, by the glob of the rule that bears them. */
  readonly borne: Map<string, number>;
  /** Globs of required files that were measured as they must be. */
  readonly required: Set<string>;
  /** A policy of IMA that the policy names was measured. */
  covered: boolean;
  aggregate: FileDigest | null;
}

export const emptyAppraisal = (): ImaAppraisal => ({
  findings: new Map(),
  entries: 0,
  violations: 0,
  borne: new Map(),
  required: new Set(),
  covered: false,
  aggregate: null,
});

const WEAK = new Set(['sha1', 'md5']);

/** Takes one more entry of a proven prefix into account. `now` is when the verifier asked for it. */
export const appraiseRecord = (appraisal: ImaAppraisal, policy: HostPolicy, record: ImaRecord, now: Micros): void => {
  appraiseEntry(appraisal, policy, record, now);
};

/** The same for a record that lies in other bytes: most are like those of other hosts, and need not be taken apart. */
export const appraiseSpan = (appraisal: ImaAppraisal, policy: HostPolicy, span: RecordSpan, now: Micros): void => {
  // The first entry is not a file, and says something of its own.
  const plain = appraisal.entries === 0 ? null : plainEntriesOf(policy);
  if (plain?.has(span) === true) appraisal.entries++;
  else if (appraiseEntry(appraisal, policy, spanRecord(span), now)) plain?.add(span);
};

/** True if the policy has nothing to say of it, whatever the host. */
const appraiseEntry = (appraisal: ImaAppraisal, policy: HostPolicy, record: ImaRecord, now: Micros): boolean => {
  const index = appraisal.entries++;
  let entry: ImaEntry;
  try {
    entry = imaEntry(record);
  } catch (error) {
    if (!isAttestreamError(error)) throw error;
    const message = `entry ${index}: ${error.message}`;
    addFinding(appraisal.findings, { code: 'ima.malformed', level: 'contraindicated', message });
    return false;
  }
  const { name, fileDigest } = entry;
  if (index === 0 && name === BOOT_AGGREGATE && !entry.violation) {
    appraisal.aggregate = fileDigest === null ? null : { ...fileDigest, digest: Buffer.from(fileDigest.digest) };
    return false;
  }
  if (!entry.violation) return judge(appraisal, policy, entry, index, now);
  violation(appraisal, policy, name ?? '', index);
  return false;
};

/** That there was one is proven, where it was is only claimed: a rule for a path can bear it, and never affirms it. */
const violation = (appraisal: ImaAppraisal, policy: HostPolicy, path: string, index: number): void => {
  appraisal.violations++;
  const rule = policy.violations.find(({ path: glob }) => globMatches(glob, path));
  const borne = rule === undefined ? 0 : (appraisal.borne.get(rule.path) ?? 0) + 1;
  if (rule !== undefined && borne <= rule.most) {
    appraisal.borne.set(rule.path, borne);
    addFinding(appraisal.findings, {
      code: 'ima.violation-tolerated',
      level: 'warning',
      message: `entry ${index}: ${path} (path as claimed by the host) was written while it was read`,
    });
  } else
    addFinding(appraisal.findings, {
      code: 'ima.violation',
      level: 'contraindicated',
      message: `entry ${index}: ${path} (path as claimed by the host) was written while it was read`,
    });
};

/** True if the policy has nothing to say of it, and it proves nothing that the policy asks for. */
const judge = (appraisal: ImaAppraisal, policy: HostPolicy, entry: ImaEntry, index: number, now: Micros): boolean => {
  const path = entry.name ?? '';
  const digest = entry.fileDigest === null ? null : digestName(entry.fileDigest);
  let plain = true;
  const add = (code: CheckCode, level: Level, what: string): void => {
    plain = false;
    const named = path === '' ? `a record of template ${entry.template}` : path;
    addFinding(appraisal.findings, { code, level, message: `entry ${index}: ${named} ${what}` });
  };
  const signature = signedFile(entry, policy, path, now);
  // What the header says is its writer's: a length that lies fails, whatever the path.
  if (signature.malformed !== null)
    add('ima.signature-malformed', 'contraindicated', `carries a signature ${signature.malformed}`);
  if (signature.bad !== null) add('ima.signature', 'contraindicated', `carries ${signature.bad}`);
  const denied = policy.deny.find(
    (rule) => (rule.digest === null || rule.digest === digest) && (rule.path === null || globMatches(rule.path, path)),
  );
  if (denied !== undefined) {
    add('ima.denied', 'contraindicated', denied.reason === '' ? 'is denied' : `is denied: ${denied.reason}`);
    return plain;
  }
  if (digest !== null && proves(appraisal, policy, digest, path)) plain = false;
  if (policy.exclude.some((pattern) => pattern.matches(path))) return plain;
  if (entry.unhashable) {
    add('ima.unhashable', policy.unhashable, 'was measured without a digest');
    return plain;
  }
  if (policy.files === null) return plain;
  const { algorithm } = entry.fileDigest ?? { algorithm: '' };
  if (WEAK.has(algorithm) && policy.weakDigests === 'warning')
    add('ima.weak-digest', 'warning', `is known by ${algorithm} only`);
  const explained = signature.by !== null || (digest !== null && isExplained(policy, digest, path, now));
  if (!explained && policy.unlisted !== 'allow')
    add('ima.unexplained', policy.unlisted, `is ${digest ?? 'without a digest'}, which nothing explains`);
  return plain;
};

/** Notes what the policy asks to be measured. */
const proves = (appraisal: ImaAppraisal, policy: HostPolicy, digest: string, path: string): boolean => {
  let any = false;
  if (policy.coverage?.policies.has(digest) === true) {
    appraisal.covered = true;
    any = true;
  }
  for (const file of policy.agent)
    if (file.digests.has(digest) && globMatches(file.path, path)) {
      appraisal.required.add(file.path);
      any = true;
    }
  return any;
};

/** What the policy requires or names as a policy of IMA it also knows. */
const isExplained = (policy: HostPolicy, digest: string, path: string, now: Micros): boolean =>
  isListed(policy, digest, path, now) ||
  policy.coverage?.policies.has(digest) === true ||
  policy.agent.some((file) => file.digests.has(digest) && globMatches(file.path, path));
