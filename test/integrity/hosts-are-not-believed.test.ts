import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import '../support/seed.js';
import { generateKeyPairSync } from 'node:crypto';
import { parseHostPolicy } from '../../schemas/policy/host/parse.js';
import type { Evidence, ListEntry, Tick } from '../../schemas/records.js';
import { signRecord } from '../../schemas/signed.js';
import { ATTESTATION_KEY, OBJECT_ATTRIBUTES } from '../../schemas/tpm/attributes.js';
import { objectName } from '../../schemas/tpm/name.js';
import { imaRecord, sha256, violationOf } from '../support/measured-files.js';
import {
  type EnrolFaults,
  FILES,
  judgeHosts,
  MeasuredHost,
  policyText,
  STRANGER,
  TIME,
  VERIFIER,
} from '../support/measured-host.js';
import { attestationKey, StandInTpm } from '../support/stand-in-tpm.js';

const ready = (): MeasuredHost => {
  const host = new MeasuredHost().ready();
  host.tick();
  return host;
};

const attested = (): MeasuredHost => {
  const host = ready();
  host.evidence();
  host.tick();
  return host;
};

const last = (states: readonly string[]): string => states.at(-1)!;
const other = new StandInTpm('ecdsa', 'another');

describe('an enrolment is not believed', () => {
  const free = attestationKey('ecdsa', 'free aik1', ATTESTATION_KEY & ~OBJECT_ATTRIBUTES.restricted).public;
  test.each<[string, EnrolFaults, string]>([
    ['that no operator approved', { approved: false }, 'ENROLMENT_UNPROVEN'],
    ['that an operator approved for another key', { ekSpki: sha256('another') }, 'ENROLMENT_UNPROVEN'],
    ['that nobody challenged', { challenged: false }, 'ENROLMENT_UNPROVEN'],
    ['that was challenged for other keys', { challengedName: objectName(other.aik1.public) }, 'ENROLMENT_UNPROVEN'],
    ['whose challenge a stranger signed', { challenger: STRANGER }, 'RECORD_UNSIGNED'],
    ['that a stranger signed', { enroller: STRANGER }, 'RECORD_UNSIGNED'],
    ['whose answer is not the secret', { secret: Buffer.alloc(32, 1) }, 'ENROLMENT_UNPROVEN'],
    ['whose answer came too late', { expires: 0 }, 'ENROLMENT_UNPROVEN'],
    ['of a key that is not restricted', { aik1: free }, 'ENROLMENT_UNPROVEN'],
    ['that names another key than was challenged', { enrolledAik1: other.aik1.public }, 'ENROLMENT_UNPROVEN'],
  ])('%s', async (_, faults, code) => {
    const host = new MeasuredHost().startAgent();
    host.tick(2);
    host.enrol(faults).begin().sendList();
    host.evidence();
    const { states, letters } = await judgeHosts(host.records);
    expect(states).toEqual(['none host.unknown']);
    expect(letters.map((letter) => letter.code)).toContain(code);
    expect(letters.at(-1)).toMatchObject({ code: 'EVIDENCE_IGNORED' });
  });

  test('that was withheld until after the revocation', async () => {
    const host = ready();
    const enrolled = host.records.findIndex(({ name }) => name === 'Enrolled');
    const [withheld] = host.records.splice(enrolled, 1);
    host.say('Revoked', { host: host.host, reason: 'stolen', issued: TIME + 100_000_000 });
    host.records.push(withheld!);
    host.evidence();
    expect(last((await judgeHosts(host.records)).states)).toBe('contraindicated host.revoked');
  });

  test('but one after the revocation is, if an operator approves it again', async () => {
    const host = attested();
    host.say('Revoked', { host: host.host, reason: 'repair', issued: TIME });
    host.enrol();
    host.tick();
    host.newSession().evidence();
    expect((await judgeHosts(host.records)).states.slice(-3)).toEqual([
      'contraindicated host.revoked',
      'none evidence.silent',
      'affirming',
    ]);
  });
});

describe('what a host says of time moves nothing', () => {
  test.each([
    ['far in the future', 4_000_000_000_000_000],
    ['long ago', 1],
  ])('evidence %s', async (_, at) => {
    const host = attested();
    host.at = at;
    host.evidence();
    host.tick(3);
    const neighbour = new MeasuredHost('ecdsa', VERIFIER, 'neighbour', host.numbers).startAgent();
    neighbour.ticks.push(...host.ticks);
    neighbour.enrol().begin().sendList();
    neighbour.evidence();
    const { verdicts, states } = await judgeHosts([...host.records, ...neighbour.records]);
    expect(last(states)).toBe('affirming');
    expect(verdicts.filter(({ state }) => state === 'affirming').map((verdict) => verdict.host)).toEqual([
      host.host,
      neighbour.host,
    ]);
    for (const verdict of verdicts) expect(verdict.at).toBeLessThan(TIME + 60_000_000);
  });
});

describe('innocent lives are affirmed', () => {
  test.each<[string, (host: MeasuredHost) => unknown]>([
    [
      'after an unclean loss of power, which sets the clock back',
      (host) => {
        host.reboot();
        host.tpm.clock = 10n;
        host.tpm.safe = false;
        host.begin().sendList();
        host.tick();
        host.evidence();
      },
    ],
    [
      'after a suspend',
      (host) => {
        host.tpm.restartCount++;
        host.newSession().evidence();
      },
    ],
    [
      'with a new AIK2 in each epoch',
      (host) => {
        for (let i = 0; i < 4; i++) {
          host.tpm.aik2 = attestationKey('ecdsa', `rotated ${i}`);
          host.newSession().evidence();
          host.tick();
        }
      },
    ],
    [
      'when entries come after the evidence that counts them',
      (host) => {
        host.measure(imaRecord(FILES[1]!, sha256(FILES[1]!)));
        host.evidence();
        host.tick();
        host.sendList();
      },
    ],
    [
      'when the list ran ahead of the quote',
      (host) => {
        const ahead = imaRecord(FILES[0]!, sha256(FILES[0]!));
        host.list.push(ahead);
        host.sendList();
        host.evidence();
        host.tick();
      },
    ],
    [
      'when the list ran ahead into registers that no TPM has',
      (host) => {
        for (const pcr of [99, -1, 2 ** 30]) host.list.push({ ...imaRecord(FILES[0]!, sha256(FILES[0]!)), pcr });
        host.sendList();
        host.evidence();
        host.tick();
      },
    ],
    [
      'when somebody poisoned the tail, once the host said what it really measured',
      (host) => {
        host.sendEntry(host.list.length, imaRecord('/usr/bin/evil', sha256('evil')));
        host.evidence();
        host.tick();
        host.measure(imaRecord(FILES[0]!, sha256(FILES[0]!))).sendList();
        host.evidence();
      },
    ],
    [
      'after a kexec that carried the list over',
      (host) => {
        host.boot = 'after kexec';
        host.startAgent();
        for (let i = 0; i < host.list.length; i++) host.sendEntry(i);
        host.evidence();
      },
    ],
    [
      'after a restart of the agent that sends nothing again',
      (host) => {
        host.startAgent();
        host.measure(imaRecord(FILES[0]!, sha256(FILES[0]!))).sendList();
        host.newSession().evidence();
      },
    ],
    [
      'after evidence that somebody broke on its way',
      (host) => {
        host.evidence({
          evidence: (evidence) => ({
            ...evidence,
            vpcrTable: [{ container: 'x', formula: 'y', value: Buffer.alloc(1) }],
          }),
        });
        host.tick();
        host.evidence();
      },
    ],
  ])('%s', async (_, act) => {
    const host = attested();
    act(host);
    const { states } = await judgeHosts(host.records);
    expect(last(states)).toBe('affirming');
    const cut = await judgeHosts(host.records, { cut: 1 });
    expect(cut.states).toEqual(states);
  });

  test('by either of two verifiers that share one quote', async () => {
    const second = generateKeyPairSync('ed25519').privateKey;
    const host = ready();
    const { record } = host.say('Tick', { ...host.ticks[1]!, nonce: sha256('second') }, '', second);
    host.evidence({ ticks: [host.ticks[1]!, record as Tick] });
    expect(last((await judgeHosts(host.records)).states)).toBe('affirming');
    expect(last((await judgeHosts(host.records, { keys: [VERIFIER, second] })).states)).toBe('affirming');
  });
});

describe('what cannot be taken back stays', () => {
  test('a register that was extended by hand, until the next boot', async () => {
    const host = attested();
    const before = host.tpm.register('sha256', 12);
    host.tpm.extend('sha256', 12, sha256('by hand'));
    host.evidence();
    host.tick();
    host.tpm.registers.set('sha256:12', before);
    host.evidence();
    host.reboot().begin().sendList();
    host.tick();
    host.evidence();
    const { states } = await judgeHosts(host.records);
    expect(states.slice(-2)).toEqual(['contraindicated binding.foreign-extend', 'affirming']);
  });

  test('a cloned identity, until the host is enrolled again', async () => {
    const host = attested();
    host.tpm.resetCount -= 1;
    host.newSession().evidence();
    host.tick();
    host.tpm.resetCount += 5;
    host.newSession().evidence();
    host.tick();
    host.evidence();
    const { states } = await judgeHosts(host.records);
    expect(states.slice(-2)).toEqual(['contraindicated identity.rollback', 'contraindicated identity.cloned']);
  });

  test('a violation under another name is at best a warning', async () => {
    const host = attested();
    host.measure(violationOf(imaRecord('/usr/bin/init', sha256('x'))));
    host.sendEntry(host.list.length - 1, violationOf(imaRecord('/var/log/x', sha256('x'))));
    host.evidence();
    const { states } = await judgeHosts(host.records, { policy: policyText({ violations: { '/var/log/*': 'any' } }) });
    expect(last(states)).toBe('warning ima.violation-tolerated');
  });
});

test("two hosts that send each other's evidence are not believed", async () => {
  const one = ready();
  const two = new MeasuredHost('ecdsa', VERIFIER, 'two', one.numbers).startAgent();
  two.ticks.push(...one.ticks);
  two.enrol().begin().sendList();
  const { record } = two.evidence();
  two.records.pop();
  const { stream: _, seq: __, at: ___, ...evidence } = record;
  one.put('Evidence', evidence);
  const { verdicts } = await judgeHosts([...two.records, ...one.records]);
  expect(verdicts.filter(({ state }) => state === 'affirming')).toEqual([]);
});

describe('a policy comes into force by its signed assignment alone', () => {
  const strict = parseHostPolicy(policyText({ id: 'strict', unlisted: 'contraindicated' }), 'strict');
  const weak = parseHostPolicy(policyText({ id: 'weak', unlisted: 'allow' }), 'weak');
  const life = (assign: (host: MeasuredHost) => void): MeasuredHost => {
    const host = new MeasuredHost();
    const put = (policy: string, version: number): void => {
      host.say('Assignment', { id: 'gateways', selector: '', policy, version, rebase: false });
    };
    put(strict.digest, 2);
    host.ready();
    host.measure(imaRecord('/usr/bin/new', sha256('new'))).sendList();
    assign(host);
    host.tick();
    host.evidence();
    return host;
  };
  const assignment =
    (key: typeof STRANGER, version: number) =>
    (host: MeasuredHost): void => {
      const record = signRecord(
        'Assignment',
        { id: 'gateways', selector: '', policy: weak.digest, version, rebase: false, number: 99, issued: TIME },
        key,
      );
      host.records.push({ host: '', name: 'Assignment', record });
    };
  test.each([
    ['not by a stranger', assignment(STRANGER, 3), 'contraindicated ima.unexplained'],
    ['not by a lower version', assignment(VERIFIER, 1), 'contraindicated ima.unexplained'],
    ['but by a higher one', assignment(VERIFIER, 3), 'affirming'],
  ])('%s', async (_, assign, state) => {
    const { states } = await judgeHosts(life(assign).records, { blobs: [strict, weak] });
    expect(last(states)).toBe(state);
  });

  test('and what was appraised under another is asked for again', async () => {
    const host = life(() => undefined);
    assignment(VERIFIER, 3)(host);
    host.tick();
    host.evidence();
    const waiting = await judgeHosts(host.records, { blobs: [strict, weak] });
    expect(last(waiting.states)).toBe('contraindicated ima.unexplained');
    expect(waiting.said.at(-1)).toMatchObject({
      name: 'Request',
      record: { kind: 'list-from', list: 'kernel', from: 0 },
    });
    for (let i = 0; i < host.list.length; i++) host.sendEntry(i);
    const { states, verdicts } = await judgeHosts(host.records, { blobs: [strict, weak] });
    expect(last(states)).toBe('affirming');
    expect(verdicts.at(-1)!.policy).toBe(weak.digest);
  });
});

describe('what is asked of agents and told to others', () => {
  test('a certification that is missing', async () => {
    const host = ready();
    host.evidence({ withoutCertify: true });
    const { said } = await judgeHosts(host.records);
    expect(said).toEqual([
      expect.objectContaining({ name: 'Request', record: expect.objectContaining({ kind: 'certify' }) }),
    ]);
  });

  test('entries that are missing, once a tick went by', async () => {
    const host = attested();
    host.measure(imaRecord(FILES[0]!, sha256(FILES[0]!)));
    host.evidence();
    host.tick();
    const { said } = await judgeHosts(host.records);
    expect(said).toMatchObject([{ record: { kind: 'list-from', list: 'kernel', from: 4 } }]);
  });

  test("heads of the host's memory stream that a quote bears out", async () => {
    const host = ready();
    const head = { topic: 'memory', stream: Buffer.alloc(32, 1), seq: 41, head: sha256('head') };
    host.evidence({ heads: (own) => [...own, head] });
    const { said } = await judgeHosts(host.records);
    expect(said).toMatchObject([{ name: 'Checkpoint', topic: 'memory', record: { ...head, host: host.host } }]);
  });
});

test('no change of an authenticated byte is affirmed', async () => {
  const host = ready();
  host.evidence();
  const at = host.records.length - 1;
  const evidence = host.records[at]!.record as Evidence;
  const entryAt = host.records.findIndex(({ name }) => name === 'ListEntry') + 1;
  const entry = host.records[entryAt]!.record as ListEntry;
  const parts: readonly (readonly [name: string, bytes: Buffer, put: (bytes: Buffer) => readonly [number, object]])[] =
    [
      ['core', evidence.core, (core) => [at, { ...evidence, core }]],
      ['AIK2', evidence.aik2Public, (aik2Public) => [at, { ...evidence, aik2Public }]],
      [
        'certification',
        evidence.certify!.attest,
        (attest) => [at, { ...evidence, certify: { ...evidence.certify!, attest } }],
      ],
      [
        'signature of it',
        evidence.certify!.signature,
        (signature) => [at, { ...evidence, certify: { ...evidence.certify!, signature } }],
      ],
      ['quote', evidence.quote.attest, (attest) => [at, { ...evidence, quote: { ...evidence.quote, attest } }]],
      [
        'its signature',
        evidence.quote.signature,
        (signature) => [at, { ...evidence, quote: { ...evidence.quote, signature } }],
      ],
      [
        'register values',
        Buffer.concat(evidence.pcrHints.map(({ value }) => value)),
        (all) => [
          at,
          {
            ...evidence,
            pcrHints: evidence.pcrHints.map((hint, i) => ({ ...hint, value: all.subarray(32 * i, 32 * i + 32) })),
          },
        ],
      ],
      ['head', evidence.heads[0]!.head, (head) => [at, { ...evidence, heads: [{ ...evidence.heads[0]!, head }] }]],
      ['list', entry.data, (data) => [entryAt, { ...entry, data }]],
    ];
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...parts),
      fc.nat(),
      fc.integer({ min: 1, max: 255 }),
      async ([, bytes, put], place, mask) => {
        const damaged = Buffer.from(bytes);
        damaged[place % damaged.length]! ^= mask;
        const [index, record] = put(damaged);
        const records = host.records.map((placed, i) =>
          i === index ? { ...placed, record: record as typeof placed.record } : placed,
        );
        const { verdicts } = await judgeHosts(records);
        return verdicts.every(({ state }) => state !== 'affirming');
      },
    ),
    { numRuns: 250 },
  );
});
