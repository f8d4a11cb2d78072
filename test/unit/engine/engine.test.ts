import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import { memoryLog } from '../../../infra/log/memory-log.js';
import { createEngine, type Engine } from '../../../processors/engine/engine.js';
import type { Fold, World } from '../../../processors/engine/fold.js';
import { decodeRecord, encodeRecord } from '../../../schemas/codec.js';
import type { Activation, DeadLetter, Tick } from '../../../schemas/records.js';
import { pinnedKeys, signRecord } from '../../../schemas/signed.js';
import { activation, type Said, write } from '../../support/runtime.js';

interface Seen {
  log: string[];
}

/** Writes down all that the engine tells it; sets a timer where the function's name asks for one: `wake:ID:MICROS`. */
const diary = (lines: string[]): Fold<'Activation', Seen> => ({
  name: 'diary',
  version: 1,
  topic: 'memory',
  fields: { Activation: ['function', 'process'] },
  initial: () => ({ log: [] }),
  step(state, _type, event: Activation, world: World) {
    const [word, id, at] = event.function.split(':');
    if (word === 'wake') world.wake(Number(at), Number(id));
    if (word === 'sleep') world.sleep(Number(id));
    lines.push(
      `${event.function}@${event.at} now ${world.now}${world.late ? ' late' : ''}${world.missing > 0 ? ` missing ${world.missing}` : ''}`,
    );
    return state;
  },
  timer(state, id, world) {
    lines.push(`timer ${id} now ${world.now}${world.tick === null ? '' : ` tick ${world.tick}`}`);
    return state;
  },
  encode: (state) => Buffer.from(JSON.stringify(state)),
  decode: (_host, bytes) => JSON.parse(bytes.toString()) as Seen,
});

const { privateKey } = generateKeyPairSync('ed25519');
const stranger = generateKeyPairSync('ed25519').privateKey;

const tick = (number: number, issued: number, grace = 0, key = privateKey): Said<'Tick'> => ({
  host: '',
  type: 'Tick',
  record: signRecord(
    'Tick',
    {
      verifierId: Buffer.alloc(32),
      number,
      nonce: Buffer.alloc(32, number),
      issued,
      interval: 1,
      grace,
      k: 1,
      selection: '',
      signature: Buffer.alloc(0),
    } satisfies Tick,
    key,
  ),
});

const run = async (said: readonly Said[]): Promise<{ lines: string[]; engine: Engine; letters: DeadLetter[] }> => {
  const lines: string[] = [];
  const log = memoryLog();
  await write(log, said);
  const engine = createEngine({
    fold: diary(lines),
    partition: 0,
    schemas: log.schemas,
    keys: pinnedKeys([privateKey]),
  });
  for await (const batch of log.read({ topic: 'memory', partition: 0 }, 0, said.length)) engine.push(batch);
  const letters = engine
    .take()
    .outputs.filter(({ topic }) => topic === 'dead-letters')
    .map(({ entry }) => decodeRecord('DeadLetter', entry.value!));
  return { lines, engine, letters };
};

describe('time belongs to a host', () => {
  test("a neighbour's fast clock makes nobody late", async () => {
    const { lines } = await run([
      activation('a', 0, 1_000_000, 'x'),
      activation('b', 0, 10, 'y'),
      activation('b', 1, 5, 'z'),
    ]);
    expect(lines).toEqual(['x@1000000 now 1000000', 'y@10 now 10', 'z@5 now 10 late']);
  });

  test('a timer fires before the event at its instant, in order of deadline and registration', async () => {
    const { lines } = await run([
      activation('a', 0, 1, 'wake:7:30'),
      activation('a', 1, 2, 'wake:8:20'),
      activation('a', 2, 3, 'wake:9:20'),
      activation('a', 3, 30, 'x'),
    ]);
    expect(lines.slice(3)).toEqual(['timer 8 now 20', 'timer 9 now 20', 'timer 7 now 30', 'x@30 now 30']);
  });

  test('the same id replaces a timer, and sleep takes it away', async () => {
    const { lines } = await run([
      activation('a', 0, 1, 'wake:1:10'),
      activation('a', 1, 2, 'wake:1:50'),
      activation('a', 2, 3, 'wake:2:20'),
      activation('a', 3, 4, 'sleep:2'),
      activation('a', 4, 60, 'x'),
    ]);
    expect(lines.slice(4)).toEqual(['timer 1 now 50', 'x@60 now 60']);
  });
});

describe('ticks', () => {
  test("move a host's clock by elapsed time, never to the verifier's time", async () => {
    const { lines } = await run([
      activation('a', 0, 100, 'wake:1:150'),
      tick(1, 9_000_000),
      tick(2, 9_000_049),
      tick(3, 9_000_050),
    ]);
    expect(lines).toEqual(['wake:1:150@100 now 100', 'timer 1 now 150 tick 3']);
  });

  test('count less the grace that an event may travel', async () => {
    const { lines } = await run([
      activation('a', 0, 100, 'wake:1:150'),
      tick(1, 1_000, 30),
      tick(2, 1_079, 30),
      tick(3, 1_080, 30),
    ]);
    expect(lines[1]).toBe('timer 1 now 150 tick 3');
  });

  test('of strangers, and lower numbers, are dead letters; an equal copy is dropped', async () => {
    const { letters } = await run([tick(5, 1), tick(5, 1), tick(4, 2), tick(6, 3, 0, stranger)]);
    expect(letters.map(({ code, offset }) => [code, offset])).toEqual([
      ['RECORD_UNSIGNED', 2],
      ['RECORD_UNSIGNED', 3],
    ]);
  });
});

describe('what cannot be used', () => {
  test('is set aside with its coordinates, and everything else is processed', async () => {
    const log = memoryLog();
    await log.createTopic('memory', 1);
    const schema = log.schemas.current('Activation');
    const body = (seq: number): Buffer => encodeRecord('Activation', activation('a', seq, 10 + seq, `f${seq}`).record);
    const key = Buffer.from('a');
    await log.append({ topic: 'memory', partition: 0 }, [
      { key, schema, value: body(0) },
      { key, schema: -1, value: Buffer.from('raw') },
      { key, schema, value: body(1).subarray(0, 40) },
      { key: null, schema, value: body(1) },
      { key, schema: log.schemas.current('Verdict'), value: Buffer.from([1]) },
      { key, schema, value: null },
      { key, schema, value: body(1) },
    ]);
    const lines: string[] = [];
    const engine = createEngine({ fold: diary(lines), partition: 0, schemas: log.schemas });
    for await (const batch of log.read({ topic: 'memory', partition: 0 }, 0, 7)) engine.push(batch);
    const letters = engine.take().outputs.map(({ entry }) => decodeRecord('DeadLetter', entry.value!));
    expect(letters.map(({ code, offset }) => [offset, code])).toEqual([
      [1, 'SCHEMA_UNKNOWN'],
      [2, 'RECORD_INVALID'],
      [3, 'HOST_KEY_MISSING'],
      [4, 'RECORD_UNEXPECTED'],
    ]);
    expect(lines).toEqual(['f0@10 now 10', 'f1@11 now 11']);
  });

  test('a time that runs backwards or lies beyond what is plausible is refused, and does not move the clock', async () => {
    const backwards = activation('a', 0, 5, 'y');
    const { lines, letters } = await run([
      { ...backwards, record: { ...backwards.record, notBefore: 8 } },
      activation('a', 0, -1, 'before 1970'),
      activation('a', 0, 7, 'z'),
    ]);
    expect(letters.map(({ code }) => code)).toEqual(['TIME_OUT_OF_RANGE', 'TIME_OUT_OF_RANGE']);
    expect(lines).toEqual(['z@7 now 7']);
  });
});

describe('identity', () => {
  test('a resend is dropped, a jump is a gap', async () => {
    const { lines, engine } = await run([
      activation('a', 0, 1, 'x'),
      activation('a', 0, 1, 'x'),
      activation('a', 4, 2, 'y'),
      activation('a', 3, 2, 'y'),
    ]);
    expect(lines).toEqual(['x@1 now 1', 'y@2 now 2 missing 3']);
    expect(engine.counts).toMatchObject({ duplicates: 2, missing: 3, events: 2 });
  });
});
