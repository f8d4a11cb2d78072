import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import canonicalize from 'canonicalize';
import type { EventLog } from '../../../infra/log/event-log.js';
import { memoryLog } from '../../../infra/log/memory-log.js';
import { assignPolicy, withdrawAssignment } from '../../../processors/run/assign-policy.js';
import { InForce } from '../../../processors/runtime/in-force.js';
import { AssignedPolicies } from '../../../producers/memory/assigned/assigned-policies.js';
import { encodeRecord } from '../../../schemas/codec.js';
import { parsePolicy, policyDigest } from '../../../schemas/policy/parse.js';
import type { Policy } from '../../../schemas/policy/policy.js';
import { policyCovers } from '../../../schemas/policy/selector.js';
import type { Assignment } from '../../../schemas/records.js';
import { pinnedKeys, signRecord } from '../../../schemas/signed.js';
import { partitionOf } from '../../../schemas/topics.js';

const operator = generateKeyPairSync('ed25519').privateKey;
const stranger = generateKeyPairSync('ed25519').privateKey;
const HOST = 'ab'.repeat(32);
const CONTAINER = 'cd'.repeat(32);
const PUMP = { host: HOST, container: CONTAINER, image: 'pump:1' };
const PARTITIONS = 3;

const policy = (id: string, more = ''): Policy =>
  parsePolicy(
    `{ id: ${id}, ${more} functions: { act: {} }, machine: { initial: a, states: { a: { on: { act: a } } } } }`,
    id,
  );

const assignment = (fields: Partial<Assignment>, key = operator): Assignment =>
  signRecord(
    'Assignment',
    { number: 0, id: 'a', selector: '', policy: '', version: 1, rebase: false, issued: 0, ...fields },
    key,
  );

const file = async (log: EventLog, digest: string, document: string): Promise<void> => {
  const value = encodeRecord('Policy', { digest, document });
  const entry = { key: Buffer.from(digest), schema: log.schemas.current('Policy'), value };
  await log.append({ topic: 'policies', partition: partitionOf(digest, PARTITIONS) }, [entry]);
};

const setUp = async () => {
  const log = memoryLog();
  for (const topic of ['measurements', 'memory', 'policies']) await log.createTopic(topic, PARTITIONS);
  const notes: string[] = [];
  const assigned = new AssignedPolicies({ keys: pinnedKeys([operator]), onNote: (note) => notes.push(note) });
  const ids = (subject = PUMP, binary?: string): string[] => assigned.of(subject, binary).policies.map(({ id }) => id);
  return { log, notes, assigned, ids };
};

/** In the log, with its document, as an operator puts it there. */
const give = async (log: EventLog, given: Policy, more: { id?: string; selector?: string; rebase?: boolean } = {}) =>
  assignPolicy({ log, policy: given, key: operator, id: given.id, selector: '', rebase: false, ...more });

describe('an assignment counts', () => {
  test('only with a signature by a pinned key over all of it', async () => {
    const { log, notes, assigned, ids } = await setUp();
    const given = policy('p');
    await file(log, given.digest, canonicalize(given.document)!);
    assigned.take(assignment({ policy: given.digest }, stranger));
    assigned.take({ ...assignment({ policy: given.digest, selector: 'image=other*' }), selector: '' });
    assigned.take({ ...assignment({ policy: given.digest }), signature: Buffer.alloc(0) });
    await assigned.look(log);
    expect(ids()).toEqual([]);
    expect(notes).toHaveLength(3);
    for (const note of notes) expect(note).toContain('RECORD_UNSIGNED: assignment "a" is not signed by a pinned key');
    assigned.take(assignment({ policy: given.digest }));
    await assigned.look(log);
    expect(ids()).toEqual(['p']);
  });

  test('only with a higher version than any before, a withdrawal included', async () => {
    const { log, notes, assigned, ids } = await setUp();
    const [old, current] = [policy('old'), policy('current')];
    for (const { digest, document } of [old, current]) await file(log, digest, canonicalize(document)!);
    const first = assignment({ policy: old.digest, version: 1 });
    assigned.take(first);
    assigned.take(assignment({ policy: current.digest, version: 3 }));
    assigned.take(first);
    assigned.take(assignment({ policy: old.digest, version: 3 }));
    await assigned.look(log);
    expect(ids()).toEqual(['current']);
    assigned.take(assignment({ version: 4 }));
    assigned.take(assignment({ policy: current.digest, version: 3 }));
    await assigned.look(log);
    expect(ids()).toEqual([]);
    expect(notes.filter((note) => note.startsWith('RECORD_UNSIGNED: assignment a has version'))).toHaveLength(3);
  });

  test('only with a selector that can be read', async () => {
    const { notes, assigned, ids } = await setUp();
    assigned.take(assignment({ policy: policy('p').digest, selector: 'nmae=pump' }));
    expect(ids()).toEqual([]);
    expect(notes).toMatchObject([expect.stringContaining('SELECTOR_INVALID: assignment a')]);
  });

  test('and a flood of refused ones is not a flood of notes', async () => {
    const { notes, assigned } = await setUp();
    for (let i = 0; i < 1000; i++) assigned.take(assignment({ id: `x${i}` }, stranger));
    expect(notes.length).toBeLessThan(25);
    expect(notes.at(-1)).toContain('512 such records');
  });
});

describe('a document', () => {
  test('that has not arrived is waited for', async () => {
    const { log, assigned, ids } = await setUp();
    const given = policy('p');
    assigned.take(assignment({ policy: given.digest }));
    await assigned.look(log);
    expect(assigned.of(PUMP)).toMatchObject({ policies: [], waiting: true });
    const { basis } = assigned;
    await file(log, policy('other').digest, canonicalize(policy('other').document)!);
    await assigned.look(log);
    expect(assigned.of(PUMP).waiting).toBe(true);
    await file(log, given.digest, canonicalize(given.document)!);
    await assigned.look(log);
    expect(ids()).toEqual(['p']);
    expect(assigned.of(PUMP).waiting).toBe(false);
    expect(assigned.basis).not.toBe(basis);
  });

  test.each([
    ['another one', canonicalize(policy('other').document)!],
    ['no JSON', '{"id": '],
    ['no document', '[]'],
    ['not what JSON can say', '{ id: .nan }'],
    ['empty', ''],
    ['much too large', `{"id":"${'x'.repeat(2 << 20)}"}`],
    ['deep', '['.repeat(5000)],
  ])('that is %s under the digest of the right one does not stand in its way', async (_, garbage) => {
    const { log, assigned, ids } = await setUp();
    const given = policy('p');
    assigned.take(assignment({ policy: given.digest }));
    await file(log, given.digest, garbage);
    await assigned.look(log);
    expect(ids()).toEqual([]);
    await file(log, given.digest, canonicalize(given.document)!);
    await assigned.look(log);
    expect(ids()).toEqual(['p']);
  });

  test('that is signed for but no policy is refused with its code, and others hold', async () => {
    const { log, notes, assigned, ids } = await setUp();
    const digest = policyDigest({ id: 'nothing' });
    await file(log, digest, '{"id":"nothing"}');
    const given = policy('p');
    await file(log, given.digest, canonicalize(given.document)!);
    assigned.take(assignment({ id: 'a', policy: digest }));
    assigned.take(assignment({ id: 'b', policy: given.digest }));
    await assigned.look(log);
    expect(ids()).toEqual(['p']);
    expect(assigned.of(PUMP).waiting).toBe(false);
    expect(notes).toMatchObject([expect.stringContaining(`POLICY_INVALID: the document of policy ${digest}`)]);
  });

  test('of hosts is none of processes, and no fault', async () => {
    const { log, notes, assigned } = await setUp();
    const document = { kind: 'host', id: 'gateways' };
    await file(log, policyDigest(document), canonicalize(document)!);
    assigned.take(assignment({ policy: policyDigest(document) }));
    await assigned.look(log);
    expect(assigned.of(PUMP)).toEqual({ policies: [], ofBinary: false, waiting: false });
    expect(notes).toEqual([]);
  });
});

test('what holds for a process is what the verifier judges it by', async () => {
  const { log, assigned } = await setUp();
  const policies = new Map<string, Policy>();
  const fold = new InForce(null, (digest) => policies.get(digest));
  const given: readonly (readonly [id: string, document: string, selector: string])[] = [
    ['z', '', 'image=pump*'],
    ['a', '', ''],
    ['b', 'binary: /app/pump,', ''],
    ['c', 'binary: "/app/*",', 'host=ab*'],
    ['d', '', 'binary=/bin/*'],
    ['e', 'image: "door:*",', 'container=cd*'],
    ['f', '', 'host=00*'],
  ];
  for (const [number, [id, document, selector]] of given.entries()) {
    const made = policy(id, document);
    policies.set(made.digest, made);
    await file(log, made.digest, canonicalize(made.document)!);
    const record = assignment({ id, number, selector, policy: made.digest });
    fold.assign(record);
    assigned.take(record);
    await assigned.look(log);
    for (const image of ['pump:1', 'door:2'])
      for (const binary of ['/app/pump', '/app/door', '/bin/sh']) {
        const judged = fold.of({ ...PUMP, image, binary }).map((one) => one.policy.id);
        const held = assigned.of({ ...PUMP, image }, binary).policies;
        // Where all say the same word for the binary, that word goes with the rules and decides at each program anew.
        const named = held.filter((one) => policyCovers(one, { binary, image })).map((one) => one.id);
        expect({ id, image, binary, ids: named }).toEqual({ id, image, binary, ids: judged });
      }
  }
  expect(assigned.of(PUMP, '/app/pump').ofBinary).toBe(true);
});

test('the log is followed from its first record on, after a restart too', async () => {
  const { log, notes, assigned, ids } = await setUp();
  await give(log, policy('p'));
  await give(log, policy('q', 'image: "pump:*",'), { rebase: true });
  await withdrawAssignment({ log, key: operator, id: 'p' });
  const stop = new AbortController();
  const context = { log, host: HOST, boot: '', stream: Buffer.alloc(32), now: () => 0, stop: stop.signal };
  let follow: Promise<void> = Promise.resolve();
  await new Promise<void>((ready) => {
    follow = assigned.follow(context, ready);
  });
  expect(ids()).toEqual(['q']);
  expect(notes).toEqual([]);
  const { rebase } = assigned;
  await give(log, policy('r'));
  await withdrawAssignment({ log, key: operator, id: 'q' });
  for (let i = 0; i < 100 && ids().join() !== 'r'; i++) await new Promise((resolve) => setTimeout(resolve, 20));
  expect(ids()).toEqual(['r']);
  expect(assigned.rebase).not.toBe(rebase);
  stop.abort();
  await follow;
  const again = new AssignedPolicies({ keys: pinnedKeys([operator]) });
  const over = new AbortController();
  await new Promise<void>((ready) => {
    follow = again.follow({ ...context, stop: over.signal }, ready);
  });
  expect(again.of(PUMP).policies.map(({ id }) => id)).toEqual(['r']);
  over.abort();
  await follow;
});
