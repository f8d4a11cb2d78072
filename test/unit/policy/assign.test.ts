import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { expect, test } from '@jest/globals';
import { memoryLog } from '../../../infra/log/memory-log.js';
import { assignPolicy, withdrawAssignment } from '../../../processors/run/assign-policy.js';
import { encodeRecord } from '../../../schemas/codec.js';
import { parsePolicy } from '../../../schemas/policy/parse.js';
import type { Assignment } from '../../../schemas/records.js';
import { pinnedKeys, signRecord, verifierId } from '../../../schemas/signed.js';

const keyPair = (): KeyObject => generateKeyPairSync('ed25519').privateKey;
const [operator, colleague, stranger] = [keyPair(), keyPair(), keyPair()];
const policy = parsePolicy('{ id: p, functions: { act: {} }, machine: { initial: a, states: { a: {} } } }', 'p');

const setUp = async () => {
  const log = memoryLog();
  for (const topic of ['measurements', 'memory', 'policies']) await log.createTopic(topic, 2);
  const notes: string[] = [];
  const request = { log, policy, id: 'p', selector: '', rebase: false, onNote: (note: string) => notes.push(note) };
  const write = (record: Assignment) =>
    log.append({ topic: 'measurements', partition: 1 }, [
      { key: null, schema: log.schemas.current('Assignment'), value: encodeRecord('Assignment', record) },
    ]);
  return { log, notes, request, write };
};

const FIELDS = { id: 'p', selector: '', policy: '', rebase: false, issued: 0 };
/** The highest that a record holds: one more cannot be written. */
const HIGH = 2 ** 52 - 1;

test('versions go up from what is known, by a withdrawal too', async () => {
  const { request } = await setUp();
  expect(await assignPolicy({ ...request, key: operator })).toMatchObject({ version: 1 });
  expect(await withdrawAssignment({ ...request, key: operator })).toMatchObject({ version: 2, policy: '' });
  expect(await assignPolicy({ ...request, key: operator })).toMatchObject({ version: 3 });
});

test('a record that the key did not sign moves neither its numbers nor the version, and is told of', async () => {
  const { request, notes, write } = await setUp();
  await write(signRecord('Assignment', { ...FIELDS, version: HIGH, number: HIGH }, stranger));
  await write({
    ...FIELDS,
    version: HIGH - 1,
    number: HIGH,
    verifierId: verifierId(operator),
    signature: Buffer.alloc(64),
  });
  expect(await assignPolicy({ ...request, key: operator })).toMatchObject({ version: 1 });
  expect(notes).toHaveLength(1);
  expect(notes[0]).toContain(`version ${HIGH} of assignment p by a key that is not known here`);
  // The next one goes on from its own number.
  expect(await assignPolicy({ ...request, key: operator })).toMatchObject({ version: 2 });
});

test('a colleague who is trusted counts', async () => {
  const { request, notes } = await setUp();
  await assignPolicy({ ...request, key: colleague });
  await assignPolicy({ ...request, key: colleague });
  const trusted = pinnedKeys([colleague]);
  expect(await assignPolicy({ ...request, key: operator, trusted })).toMatchObject({ version: 3 });
  expect(notes).toEqual([]);
  await expect(withdrawAssignment({ ...request, id: 'other', key: operator })).rejects.toMatchObject({ code: 'USAGE' });
});
