import { describe, expect, test } from '@jest/globals';
import { CHECK_VALUES } from '../../processors/startup/checks/check.js';
import { templateHash } from '../../schemas/ima/template-hash.js';
import type { Evidence } from '../../schemas/records.js';
import { ATTESTATION_KEY, OBJECT_ATTRIBUTES } from '../../schemas/tpm/attributes.js';
import { objectName } from '../../schemas/tpm/name.js';
import { marshalSignature, parseSignature } from '../../schemas/tpm/signature.js';
import { firmwareLog, sendFirmwareLog } from '../support/firmware-log.js';
import { extendRecord, imaRecord, sha256, violationOf } from '../support/measured-files.js';
import {
  FILES,
  type Judged,
  judgeHosts,
  MeasuredHost,
  policyText,
  reasonsOf,
  STRANGER,
} from '../support/measured-host.js';
import { attestationKey, type Kind, StandInTpm, signWith } from '../support/stand-in-tpm.js';

/** A host up to the moment in which it makes its evidence. */
const ready = (kind?: Kind): MeasuredHost => {
  const host = new MeasuredHost(kind).ready();
  host.tick();
  return host;
};

/** A host with accepted evidence behind it, and a new epoch before it. */
const attested = (kind?: Kind): MeasuredHost => {
  const host = ready(kind);
  host.evidence();
  host.tick();
  return host;
};

/** Why the last evidence was set aside; otherwise the reasons behind the last verdict. */
const found = ({ verdicts, letters }: Judged): string[] => {
  const ignored = letters
    .filter(({ code }) => code === 'EVIDENCE_IGNORED')
    .map(({ message }) => message.split(': ')[1]!);
  return ignored.length > 0 ? ignored : reasonsOf(verdicts.at(-1)!);
};

interface Fault {
  readonly code: string;
  readonly what: string;
  readonly host: () => MeasuredHost;
  /** Lines of the policy that the fault needs. */
  readonly policy?: Readonly<Record<string, unknown>> | null;
  /** State that the host is in then: `contraindicated` as a rule. */
  readonly state?: string;
}

const changed = (bytes: Buffer, at = bytes.length - 1): Buffer => {
  const copy = Buffer.from(bytes);
  copy[at]! ^= 1;
  return copy;
};

const after = (make: () => MeasuredHost, act: (host: MeasuredHost) => unknown) => (): MeasuredHost => {
  const host = make();
  act(host);
  return host;
};

const with2 =
  (kind: Kind, name: string, attributes: number) =>
  (host: MeasuredHost): void => {
    host.tpm.aik2 = attestationKey(kind, name, attributes);
    host.evidence();
  };

/** Signs a certification again after its bytes were changed. */
const resigned =
  (host: MeasuredHost, change: (attest: Buffer) => Buffer) =>
  (evidence: Evidence): Evidence => {
    const attest = change(evidence.certify!.attest);
    return { ...evidence, certify: { ...evidence.certify!, attest, signature: signWith(host.tpm.aik1, attest) } };
  };

const requoted =
  (host: MeasuredHost, change: (attest: Buffer) => Buffer) =>
  (evidence: Evidence): Evidence => {
    const attest = change(evidence.quote.attest);
    return { ...evidence, quote: { attest, signature: signWith(host.tpm.aik2, attest) } };
  };

const measured =
  (record: ReturnType<typeof imaRecord>) =>
  (host: MeasuredHost): void => {
    host.measure(record).sendList();
    host.evidence();
  };

const other = new StandInTpm('ecdsa', 'another host');
const { restricted, fixedTPM, fixedParent, sensitiveDataOrigin, sign, decrypt, encryptedDuplication } =
  OBJECT_ATTRIBUTES;

const FAULTS: readonly Fault[] = [
  // Which host, and when.
  {
    code: 'host.unknown',
    what: 'nobody enrolled it',
    state: 'none',
    host: () => {
      const host = new MeasuredHost().startAgent();
      host.begin().sendList();
      host.tick();
      host.evidence();
      return host;
    },
  },
  {
    code: 'host.revoked',
    what: 'evidence after its revocation',
    host: after(ready, (host) => {
      host.say('Revoked', { host: host.host, reason: 'sold' });
      host.evidence();
    }),
  },
  {
    code: 'epoch.leaf',
    what: 'it answers no tick',
    state: 'none',
    host: after(ready, (host) => host.evidence({ core: (core) => ({ ...core, leaves: [sha256('made up')] }) })),
  },
  {
    code: 'epoch.leaf',
    what: 'it answers the tick of a stranger',
    state: 'none',
    host: after(ready, (host) => {
      const { record } = new MeasuredHost('ecdsa', STRANGER).say('Tick', {
        ...host.ticks[1]!,
        nonce: sha256('forged'),
      });
      host.records.push({ host: '', name: 'Tick', record });
      host.evidence({ ticks: [record as (typeof host.ticks)[number]] });
    }),
  },
  {
    code: 'epoch.old',
    what: 'two ticks came since',
    state: 'none',
    host: after(ready, (host) => {
      const tick = host.ticks.at(-1)!;
      host.tick(2);
      host.evidence({ ticks: [tick] });
    }),
  },
  {
    code: 'evidence.replayed',
    what: 'the same evidence again',
    state: 'affirming',
    host: after(ready, (host) => {
      const { record } = host.evidence();
      host.put('Evidence', record);
    }),
  },
  {
    code: 'core.malformed',
    what: 'a core that is cut',
    host: after(ready, (host) => host.evidence({ coreBytes: (core) => core.subarray(0, core.length - 3) })),
  },
  {
    code: 'core.malformed',
    what: 'more register values than there are registers',
    host: after(ready, (host) =>
      host.evidence({
        evidence: (evidence) => ({ ...evidence, pcrHints: Array.from({ length: 200 }, () => evidence.pcrHints[0]!) }),
      }),
    ),
  },
  {
    code: 'core.host',
    what: 'evidence of another host',
    host: after(ready, (host) =>
      host.evidence({ core: (core) => ({ ...core, host: sha256('other').toString('hex') }) }),
    ),
  },
  // AIK1's word for AIK2.
  {
    code: 'aik2.malformed',
    what: 'a public area that is cut',
    host: after(ready, (host) =>
      host.evidence({ evidence: (evidence) => ({ ...evidence, aik2Public: evidence.aik2Public.subarray(0, 20) }) }),
    ),
  },
  {
    code: 'certify.missing',
    what: 'nobody vouched for AIK2',
    state: 'none',
    host: after(ready, (host) => host.evidence({ withoutCertify: true })),
  },
  {
    code: 'certify.missing',
    what: 'another AIK2 than the certified one',
    state: 'affirming',
    host: after(attested, (host) => {
      host.tpm.aik2 = attestationKey('ecdsa', 'not certified');
      host.evidence({ withoutCertify: true });
    }),
  },
  {
    code: 'certify.signature',
    what: 'by another AIK1',
    host: after(ready, (host) => host.evidence({ certifySigner: () => other.aik1 })),
  },
  {
    code: 'certify.signature',
    what: 'with a bit changed',
    host: after(ready, (host) =>
      host.evidence({
        evidence: (evidence) => ({
          ...evidence,
          certify: { ...evidence.certify!, signature: changed(evidence.certify!.signature) },
        }),
      }),
    ),
  },
  {
    code: 'certify.signature',
    what: 'of another kind of key',
    host: after(ready, (host) => host.evidence({ certifySigner: () => attestationKey('rsassa', 'wrong kind') })),
  },
  {
    code: 'certify.malformed',
    what: 'signed and cut',
    host: after(ready, (host) =>
      host.evidence({ evidence: resigned(host, (attest) => attest.subarray(0, attest.length - 8)) }),
    ),
  },
  {
    code: 'certify.magic',
    what: 'a blob that no TPM made',
    host: after(ready, (host) => host.evidence({ certify: (fields) => ({ ...fields, magic: 0x12345678 }) })),
  },
  {
    code: 'certify.type',
    what: 'another kind of attestation',
    host: after(ready, (host) => host.evidence({ certify: (fields) => ({ ...fields, type: 0x801a }) })),
  },
  {
    code: 'certify.nonce',
    what: 'for other leaves than it says',
    host: after(ready, (host) => host.evidence({ certifyQualifying: () => sha256('another question') })),
  },
  {
    code: 'certify.signer',
    what: 'by a key under another endorsement key',
    host: after(ready, (host) =>
      host.evidence({ certify: (fields) => ({ ...fields, qualifiedSigner: other.qualified(host.tpm.aik1) }) }),
    ),
  },
  {
    code: 'certify.name',
    what: 'of another key',
    host: after(ready, (host) =>
      host.evidence({
        certify: (fields) => ({ ...fields, certify: { ...fields.certify!, name: objectName(other.aik2.public) } }),
      }),
    ),
  },
  {
    code: 'certify.qn',
    what: 'of a key under another parent',
    host: after(ready, (host) =>
      host.evidence({
        certify: (fields) => ({
          ...fields,
          certify: { ...fields.certify!, qualifiedName: other.qualified(host.tpm.aik2) },
        }),
      }),
    ),
  },
  {
    code: 'certify.trailing',
    what: 'with bytes behind its end',
    host: after(ready, (host) =>
      host.evidence({ evidence: resigned(host, (attest) => Buffer.concat([attest, Buffer.alloc(2)])) }),
    ),
  },
  ...(
    [
      ['not restricted', ATTESTATION_KEY & ~restricted],
      ['may leave its TPM', ATTESTATION_KEY & ~fixedTPM],
      ['may move to another parent', ATTESTATION_KEY & ~fixedParent],
      ['made outside', ATTESTATION_KEY & ~sensitiveDataOrigin],
      ['no signing key', ATTESTATION_KEY & ~sign],
      ['decrypts', ATTESTATION_KEY | decrypt],
      ['duplicates', ATTESTATION_KEY | encryptedDuplication],
    ] as const
  ).map(
    ([what, attributes]): Fault => ({
      code: 'aik2.attributes',
      what,
      host: after(ready, with2('ecdsa', `aik2 ${what}`, attributes)),
    }),
  ),
  {
    code: 'certify.leaf',
    what: 'for the tick of nobody that is known',
    host: after(ready, (host) => host.evidence({ certifyLeaves: () => [sha256('elsewhere')] })),
  },
  {
    code: 'certify.core',
    what: 'another certification than the quote names',
    host: after(ready, (host) => host.evidence({ core: (core) => ({ ...core, certifyDigest: sha256('other') }) })),
  },
  {
    code: 'certify.missing',
    what: 'older than the epoch, where the policy asks for each',
    state: 'affirming',
    policy: { certify: 'epoch' },
    host: after(attested, (host) => host.evidence()),
  },
  {
    code: 'aik2.reused',
    what: 'the key of a former boot',
    state: 'warning',
    host: after(ready, (host) => {
      const { aik2 } = host.tpm;
      host.evidence();
      host.reboot();
      host.tpm.aik2 = aik2;
      host.begin().sendList();
      host.tick();
      host.evidence();
    }),
  },
  // AIK2's word on the registers.
  {
    code: 'quote.signature',
    what: 'by AIK1',
    host: after(ready, (host) => host.evidence({ quoteSigner: (tpm) => tpm.aik1 })),
  },
  {
    code: 'quote.signature',
    what: 'with a bit changed',
    host: after(ready, (host) =>
      host.evidence({
        evidence: (evidence) => ({
          ...evidence,
          quote: { ...evidence.quote, signature: changed(evidence.quote.signature) },
        }),
      }),
    ),
  },
  {
    code: 'quote.signature',
    what: 'over a hash that the key does not use',
    host: after(ready, (host) =>
      host.evidence({
        evidence: (evidence) => {
          const signature = parseSignature(evidence.quote.signature);
          return {
            ...evidence,
            quote: { ...evidence.quote, signature: marshalSignature({ ...signature, hash: 'sha1' }) },
          };
        },
      }),
    ),
  },
  {
    code: 'quote.malformed',
    what: 'signed and cut',
    host: after(ready, (host) =>
      host.evidence({ evidence: requoted(host, (attest) => attest.subarray(0, attest.length - 8)) }),
    ),
  },
  {
    code: 'quote.magic',
    what: 'a blob that no TPM made',
    host: after(ready, (host) => host.evidence({ quote: (fields) => ({ ...fields, magic: 0xff544348 }) })),
  },
  {
    code: 'quote.type',
    what: 'a certification instead',
    host: after(ready, (host) =>
      host.evidence({
        quote: (fields) => ({
          ...fields,
          type: 0x8017,
          quote: null,
          certify: { name: objectName(host.tpm.aik2.public), qualifiedName: host.tpm.qualified(host.tpm.aik2) },
        }),
      }),
    ),
  },
  {
    code: 'quote.nonce',
    what: 'for another core',
    host: after(ready, (host) => host.evidence({ quoteQualifying: () => sha256('another core') })),
  },
  {
    code: 'quote.signer',
    what: 'by a key under another endorsement key',
    host: after(ready, (host) =>
      host.evidence({ quote: (fields) => ({ ...fields, qualifiedSigner: other.qualified(host.tpm.aik2) }) }),
    ),
  },
  {
    code: 'quote.selection',
    what: 'over fewer registers than asked for',
    host: after(ready, (host) => host.evidence({ selection: 'sha256:0,1,2,3,4,5,6,7,8,9,12' })),
  },
  {
    code: 'quote.selection',
    what: 'over another bank',
    host: after(ready, (host) => host.evidence({ selection: 'sha1:0,1,2,3,4,5,6,7,8,9,10,12' })),
  },
  {
    code: 'quote.selection',
    what: 'without a register that the policy asks for',
    policy: { selection: 'sha256:14' },
    host: after(ready, (host) => host.evidence()),
  },
  {
    code: 'quote.trailing',
    what: 'with bytes behind its end',
    host: after(ready, (host) =>
      host.evidence({ evidence: requoted(host, (attest) => Buffer.concat([attest, Buffer.alloc(1)])) }),
    ),
  },
  // The platform's counters.
  {
    code: 'boot.changed',
    what: 'quoted after a reset, certified before',
    host: after(attested, (host) => {
      host.tpm.resetCount++;
      host.evidence();
    }),
  },
  {
    code: 'boot.changed',
    what: 'quoted after a resume, certified before',
    host: after(attested, (host) => {
      host.tpm.restartCount++;
      host.evidence();
    }),
  },
  {
    code: 'clock.backwards',
    what: 'within one boot',
    host: after(attested, (host) => {
      host.tpm.clock -= 100_000n;
      host.evidence();
    }),
  },
  {
    code: 'identity.rollback',
    what: 'the state of an earlier day put back',
    host: after(attested, (host) => {
      host.tpm.resetCount -= 2;
      host.newSession().evidence();
    }),
  },
  {
    code: 'identity.cloned',
    what: 'an older copy beside the TPM itself',
    host: after(attested, (host) => {
      const { resetCount } = host.tpm;
      host.tpm.resetCount -= 2;
      host.newSession().evidence();
      host.tick();
      host.tpm.resetCount = resetCount;
      host.newSession().evidence();
    }),
  },
  {
    code: 'identity.cloned',
    what: 'two histories after one piece of evidence',
    host: after(attested, (host) => {
      const fork = host.previous;
      host.evidence();
      host.tick();
      host.previous = fork;
      host.evidence();
    }),
  },
  // What the quote names by its hash.
  {
    code: 'core.heads',
    what: 'heads that were not signed',
    host: after(ready, (host) =>
      host.evidence({ evidence: (evidence) => ({ ...evidence, heads: [{ ...evidence.heads[0]!, seq: 1 }] }) }),
    ),
  },
  {
    code: 'core.vpcr',
    what: 'a table that was not signed',
    host: after(ready, (host) =>
      host.evidence({
        evidence: (evidence) => ({
          ...evidence,
          vpcrTable: [{ container: 'c', formula: 'binding-log/v1', value: Buffer.alloc(32) }],
        }),
      }),
    ),
  },
  {
    code: 'stream.altered',
    what: 'a record that the host did not send',
    host: after(ready, (host) => {
      const index = host.records.findIndex(({ name }) => name === 'ListEntry');
      host.evidence();
      const { record } = host.records[index]!;
      host.records[index] = { ...host.records[index]!, record: { ...record, at: 999_999 } as typeof record };
    }),
  },
  {
    code: 'stream.gap',
    what: 'a record that somebody dropped',
    state: 'warning',
    host: after(ready, (host) => {
      host.put('FirmwareLog', { index: 0, of: 9, data: Buffer.alloc(1) });
      host.evidence();
      host.records.splice(
        host.records.findIndex(({ name }) => name === 'FirmwareLog'),
        1,
      );
    }),
  },
  // What explains the registers.
  {
    code: 'pcr.digest',
    what: 'a value that was not quoted',
    host: after(ready, (host) =>
      host.evidence({
        evidence: (evidence) => ({
          ...evidence,
          pcrHints: evidence.pcrHints.map((hint, i) => (i === 3 ? { ...hint, value: changed(hint.value) } : hint)),
        }),
      }),
    ),
  },
  {
    code: 'pcr.digest',
    what: 'a value that is missing',
    host: after(ready, (host) =>
      host.evidence({ evidence: (evidence) => ({ ...evidence, pcrHints: evidence.pcrHints.slice(1) }) }),
    ),
  },
  {
    code: 'pcr.digest',
    what: 'a digest that the TPM never computed',
    host: after(ready, (host) =>
      host.evidence({ quote: (fields) => ({ ...fields, quote: { ...fields.quote!, pcrDigest: sha256('x') } }) }),
    ),
  },
  {
    code: 'ima.prefix',
    what: 'another digest in an entry',
    host: after(ready, (host) => {
      host.sendEntry(2, imaRecord(FILES[1]!, sha256('evil')));
      host.evidence();
    }),
  },
  {
    code: 'ima.prefix',
    what: 'two entries in another order',
    host: after(ready, (host) => {
      host.sendEntry(1, host.list[2]).sendEntry(2, host.list[1]);
      host.evidence();
    }),
  },
  {
    code: 'ima.prefix',
    what: 'a register that was extended by more than the list says',
    host: after(ready, (host) => {
      host.tpm.extend('sha256', 10, sha256('hidden'));
      host.evidence();
    }),
  },
  {
    code: 'ima.prefix',
    what: 'a violation made of an entry that was none',
    host: after(ready, (host) => {
      host.sendEntry(2, violationOf(host.list[2]!));
      host.evidence();
    }),
  },
  {
    code: 'ima.kexec',
    what: 'a list that became shorter without a reset',
    host: after(attested, (host) => host.evidence({ evidence: (evidence) => ({ ...evidence, nI1: 2 }) })),
  },
  {
    code: 'ima.kexec',
    what: 'another kernel that did not carry the list over',
    host: after(attested, (host) => {
      host.boot = 'after kexec';
      host.startAgent();
      const kept = host.list.splice(0);
      host.list.push(kept[0]!);
      host.sendEntry(0).tick();
      host.evidence();
    }),
  },
  {
    code: 'evidence.incomplete',
    what: 'entries that never came',
    state: 'none',
    host: after(attested, (host) => {
      host.measure(imaRecord(FILES[0]!, sha256(FILES[0]!)));
      host.evidence();
      host.tick(6);
    }),
  },
  {
    code: 'evidence.silent',
    what: 'no evidence for more than three ticks',
    state: 'none',
    host: after(attested, (host) => host.tick(4)),
  },
  {
    code: 'binding.start-unexplained',
    what: 'register 12 extended before the first binding',
    host: after(ready, (host) => {
      host.tpm.extend('sha256', 12, sha256('by hand'));
      host.evidence();
    }),
  },
  {
    code: 'binding.foreign-extend',
    what: 'register 12 extended by hand while the agent was away',
    host: after(attested, (host) => {
      host.tpm.extend('sha256', 12, sha256('by hand'));
      host.startAgent().evidence();
    }),
  },
  {
    code: 'binding.prefix',
    what: 'a binding that is not the one that was extended',
    host: after(ready, (host) => {
      const record = imaRecord('binding', sha256('binding'), { pcr: 12 });
      host.binding.push(imaRecord('binding', sha256('another'), { pcr: 12 }));
      host.tpm.extend('sha256', 12, templateHash('sha256', false, record.data));
      host.sendList().evidence();
    }),
  },
  {
    code: 'firmware.malformed',
    what: 'a log that lies about a length',
    host: after(ready, (host) => {
      const log = firmwareLog();
      sendFirmwareLog(host, log.subarray(0, log.length - 3)).evidence();
    }),
  },
  {
    code: 'firmware.prefix',
    what: 'an event with another digest',
    host: after(ready, (host) => {
      const log = firmwareLog();
      sendFirmwareLog(host, changed(log, log.indexOf(sha256('firmware 4')))).evidence();
    }),
  },
  // What the policy says of it.
  {
    code: 'firmware.unlisted',
    what: 'registers of no accepted firmware',
    policy: { firmware: [{ name: 'a', pcrs: { sha256: { 7: sha256('other').toString('hex') } } }] },
    host: after(ready, (host) => host.evidence()),
  },
  {
    code: 'ima.boot-aggregate',
    what: 'a list of another boot',
    host: () => {
      const host = new MeasuredHost().startAgent();
      host.tick();
      host.enrol();
      host.measure(imaRecord('boot_aggregate', sha256('another boot')));
      for (const path of FILES) host.measure(imaRecord(path, sha256(path)));
      host.sendList().evidence();
      return host;
    },
  },
  {
    code: 'ima.bank-padded',
    what: 'a bank of padded SHA-1',
    state: 'warning',
    host: () => {
      const host = new MeasuredHost().startAgent();
      host.tick();
      host.enrol();
      const padded = (tpm: StandInTpm, record: ReturnType<typeof imaRecord>): void =>
        extendRecord(tpm, record, ['sha256'], ['sha256']);
      host.measure(imaRecord('/boot/other', sha256('x')), padded);
      for (const path of FILES) host.measure(imaRecord(path, sha256(path)), padded);
      host.sendList().evidence();
      return host;
    },
    policy: { exclude: ['/boot/*'] },
  },
  {
    code: 'ima.weak-digest',
    what: 'a file known by SHA-1',
    state: 'warning',
    policy: { exclude: [], unlisted: 'allow' },
    host: after(attested, measured(imaRecord('/usr/bin/old', sha256('x').subarray(0, 20), { algorithm: 'sha1' }))),
  },
  {
    code: 'ima.denied',
    what: 'a file on the list of those denied',
    policy: {
      deny: [{ digest: `sha256:${sha256('malware').toString('hex')}`, reason: 'known bad' }],
      exclude: ['/tmp/*'],
    },
    host: after(attested, measured(imaRecord('/tmp/x', sha256('malware')))),
  },
  {
    code: 'ima.unexplained',
    what: 'a file that nobody lists',
    state: 'warning',
    host: after(attested, measured(imaRecord('/usr/bin/new', sha256('new')))),
  },
  {
    code: 'ima.unexplained',
    what: 'a listed digest at another path',
    policy: { unlisted: 'contraindicated' },
    host: after(attested, measured(imaRecord('/usr/bin/sshd', sha256(FILES[0]!)))),
  },
  {
    code: 'ima.unexplained',
    what: 'a digest after its time',
    policy: {
      unlisted: 'contraindicated',
      files: {
        ...(JSON.parse(policyText()) as { files: object }).files,
        '/usr/bin/old': { digest: `sha256:${sha256('old').toString('hex')}`, until: '2023-11-14T00:00:00Z' },
      },
    },
    host: after(attested, measured(imaRecord('/usr/bin/old', sha256('old')))),
  },
  {
    code: 'ima.unhashable',
    what: 'a file without a digest',
    host: after(attested, measured(imaRecord(FILES[0]!, Buffer.alloc(32)))),
  },
  {
    code: 'ima.violation',
    what: 'a file written while it was read',
    host: after(attested, measured(violationOf(imaRecord('/var/log/x', sha256('x'))))),
  },
  {
    code: 'ima.violation-tolerated',
    what: 'one that the policy bears',
    state: 'warning',
    policy: { violations: { '/var/log/*': 1 } },
    host: after(attested, measured(violationOf(imaRecord('/var/log/x', sha256('x'))))),
  },
  {
    code: 'ima.violation',
    what: 'one more than the policy bears',
    policy: { violations: { '/var/log/*': 0 } },
    host: after(attested, measured(violationOf(imaRecord('/var/log/x', sha256('x'))))),
  },
  {
    code: 'ima.signature-malformed',
    what: 'a signature that lies about its length, at an excluded path',
    policy: { exclude: ['/opt/*'] },
    host: after(
      attested,
      measured(
        imaRecord('/opt/x', sha256('x'), { signature: Buffer.from([3, 2, 4, 1, 2, 3, 4, 0xff, 0xff, 1, 2, 3]) }),
      ),
    ),
  },
  {
    code: 'ima.malformed',
    what: 'an entry whose data do not fit its template',
    host: after(attested, measured({ ...imaRecord('/x', sha256('x')), data: Buffer.from([9, 0, 0, 0, 1]) })),
  },
  {
    code: 'ima.coverage-unproven',
    what: 'no word of what the kernel measures',
    state: 'warning',
    policy: { coverage: { rules: 'tcb' } },
    host: after(ready, (host) => host.evidence()),
  },
  {
    code: 'agent.missing',
    what: 'an agent that was not measured',
    policy: { agent: { '/dev/shm/agent.mjs': `sha256:${sha256('agent').toString('hex')}` } },
    host: after(ready, (host) => host.evidence()),
  },
  {
    code: 'clock.unsafe',
    what: 'a clock that may have stood higher',
    state: 'warning',
    policy: { safeClock: true },
    host: after(ready, (host) => {
      host.tpm.safe = false;
      host.evidence();
    }),
  },
  {
    code: 'tpm.firmware',
    what: 'firmware of the TPM that is not accepted',
    policy: { tpmFirmware: ['0000000000000001'] },
    host: after(ready, (host) => host.evidence()),
  },
  {
    code: 'policy.missing',
    what: 'no policy',
    state: 'none',
    policy: null,
    host: after(ready, (host) => host.evidence()),
  },
];

/** Keys of enrolment are judged there and in bundles; a bad signature of a file needs the key of a signer: tests of their own. */
const ELSEWHERE = ['ek.malformed', 'aik1.malformed', 'aik1.attributes', 'ima.signature'];

const judged = ({ host, policy }: Pick<Fault, 'host' | 'policy'>): Promise<Judged> =>
  judgeHosts(host().records, { policy: policy === null ? null : policyText(policy ?? {}) });

describe('the flawless one is affirmed', () => {
  test.each(['ecdsa', 'ecdsa384', 'rsassa', 'rsapss'] as const)('with %s keys', async (kind) => {
    const { states, letters } = await judged({
      host: after(
        () => attested(kind),
        (host) => host.evidence(),
      ),
    });
    expect(letters).toEqual([]);
    expect(states).toEqual(['none host.unknown', 'none evidence.silent', 'affirming']);
  });

  test('with firmware that its log explains and a command line that proves coverage', async () => {
    const { verdicts, states } = await judged({
      policy: { coverage: { rules: 'tcb' } },
      host: () => {
        const host = new MeasuredHost().startAgent();
        host.tick();
        host.enrol();
        host.tpm.extend('sha256', 8, sha256('root=/dev/sda1 ima_policy=tcb'));
        host.begin().sendList();
        sendFirmwareLog(host, firmwareLog('root=/dev/sda1 ima_policy=tcb'));
        host.tick();
        host.evidence();
        return host;
      },
    });
    expect(states.at(-1)).toBe('affirming');
    expect(JSON.parse(verdicts.at(-1)!.bindings['notChecked']!)).toEqual([]);
  });
});

describe('one fault, its own code', () => {
  test.each(FAULTS)('$code: $what', async (fault) => {
    const outcome = await judged(fault);
    expect(found(outcome)).toEqual([fault.code]);
    expect(outcome.verdicts.at(-1)!.state).toBe(fault.state ?? 'contraindicated');
  });

  test('there are at least sixty, and every check is in one', () => {
    expect(FAULTS.length).toBeGreaterThanOrEqual(60);
    const met = new Set<string>(FAULTS.map(({ code }) => code));
    expect(Object.keys(CHECK_VALUES).filter((code) => !met.has(code))).toEqual(ELSEWHERE);
  });
});
