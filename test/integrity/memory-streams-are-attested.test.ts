import { createPublicKey } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from '@jest/globals';
import type { Entry, EventLog, Snapshot } from '../../infra/log/event-log.js';
import { memoryLog } from '../../infra/log/memory-log.js';
import { openTrace } from '../../infra/log/trace/trace-log.js';
import { runDigest } from '../../processors/engine/digest.js';
import { createEngine, type EngineCounts } from '../../processors/engine/engine.js';
import { runStartupProcessor } from '../../processors/run/startup-processor.js';
import { runtimeFold } from '../../processors/runtime/fold.js';
import { EventStream } from '../../producers/stream/event-stream.js';
import { decodeRecord, encodeRecord } from '../../schemas/codec.js';
import { hostPolicyFromDocument } from '../../schemas/policy/host/parse.js';
import { parsePolicy } from '../../schemas/policy/parse.js';
import type { Activation, RecordName, Records, Verdict } from '../../schemas/records.js';
import { type PinnedKeys, pinnedKeys, signRecord } from '../../schemas/signed.js';
import { partitionOf } from '../../schemas/topics.js';
import { MeasuredHost, policyText, STRANGER, VERIFIER } from '../support/measured-host.js';
import { cli } from '../support/run-cli.js';
import { temporaryFolder } from '../support/tmp.js';

const POLICY_TEXT = `id: door
binary: any
functions: { open: {}, close: {} }
machine:
  initial: shut
  states:
    shut: { on: { open: wide } }
    wide: { on: { close: shut } }
`;
const POLICY = parsePolicy(POLICY_TEXT, 'door.yaml');
const HOST_POLICY = hostPolicyFromDocument(JSON.parse(policyText()), 'gateways');

const folder = temporaryFolder('attested');

/** A record as it stands in the partition. */
interface Stored {
  readonly host: string;
  readonly name: RecordName;
  readonly value: Buffer;
}

const entryOf = ({ schemas }: EventLog, { host, name, value }: Stored): Entry => ({
  key: host === '' ? null : Buffer.from(host),
  schema: schemas.current(name),
  value,
});

const recordOf = <N extends RecordName>(name: N, { value }: Stored): Records[N] => decodeRecord(name, value);

const stored = async (log: EventLog, topic: string): Promise<Stored[]> => {
  const { end } = (await log.bounds(topic))[0]!;
  const records: Stored[] = [];
  for await (const batch of log.read({ topic, partition: 0 }, 0, end))
    for (let i = 0; i < batch.length; i++)
      records.push({
        host: batch.keys[2 * i]! < 0 ? '' : batch.bytes.toString('utf8', batch.keys[2 * i], batch.keys[2 * i + 1]),
        name: log.schemas.at(batch.schemas[i]!).record!,
        value: Buffer.from(batch.bytes.subarray(batch.values[2 * i], batch.values[2 * i + 1])),
      });
  return records;
};

/** An agent's life in both topics: what it measures, and what it sees in a process. */
class Agent {
  readonly measured: MeasuredHost;
  #events!: EventStream;
  #at = 1_000_000;
  #sent = 0;

  constructor(
    readonly log: EventLog,
    name: string,
    numbers: Map<string, number>,
    readonly kind = 'agent',
  ) {
    this.measured = new MeasuredHost('ecdsa', VERIFIER, name, numbers);
  }

  async start(): Promise<void> {
    const { host, stream } = this.measured;
    this.#events = await EventStream.open({ log: this.log, topic: 'memory', stream, host });
    this.#events.put('StreamOpened', {
      at: this.#at,
      kind: this.kind,
      boot: 'boot-1',
      offset: 0,
      agent: 'test',
      previous: [],
    });
  }

  /** Doors open and close. */
  async call(count: number): Promise<void> {
    for (let i = 0; i < count; i++) {
      this.#at += 1000;
      this.#events.put('Activation', {
        at: this.#at,
        notBefore: this.#at,
        process: 'p',
        thread: 1,
        function: i % 2 === 0 ? 'open' : 'close',
        beginning: true,
        callers: [],
        parameters: [],
      } as unknown as Omit<Activation, 'stream' | 'seq'>);
    }
    await this.#events.flush();
  }

  evidence(): void {
    this.measured.evidence({ heads: (own) => [...own, this.#events.head!] });
  }

  /** What was measured and said since the last time. */
  news(): Stored[] {
    const news = this.measured.records.slice(this.#sent);
    this.#sent = this.measured.records.length;
    return news.map(({ host, name, record }) => ({ host, name, value: encodeRecord(name, record) }));
  }
}

/** The memory partition of two hosts, with the checkpoints that the start-up processor put there. */
const attested = async (kind?: string): Promise<Stored[]> => {
  const log = memoryLog();
  for (const topic of ['measurements', 'memory', 'policies']) await log.createTopic(topic, 1);
  const numbers = new Map<string, number>();
  const agents = ['one', 'other'].map((name) => new Agent(log, name, numbers, kind));
  const judge = async (): Promise<void> => {
    await log.append(
      { topic: 'measurements', partition: 0 },
      agents.flatMap((agent) => agent.news().map((record) => entryOf(log, record))),
    );
    await runStartupProcessor({
      log,
      policies: [HOST_POLICY],
      keys: pinnedKeys([VERIFIER]),
      key: VERIFIER,
      once: true,
      stop: new AbortController().signal,
    });
  };
  for (const agent of agents) {
    await agent.start();
    await agent.call(10);
    agent.measured.ready();
    agent.evidence();
    await agent.call(2);
  }
  await judge();
  for (const agent of agents) {
    await agent.call(20);
    agent.measured.tick();
    agent.evidence();
  }
  await judge();
  for (const agent of agents) await agent.call(6);
  return stored(log, 'memory');
};

interface Judged {
  readonly verdicts: readonly Verdict[];
  readonly states: readonly string[];
  readonly digests: readonly string[];
  readonly counts: EngineCounts;
  /** Streams whose chain is followed. */
  readonly followed: number;
}

interface Run {
  readonly keys?: PinnedKeys;
  /** Records that an engine lives for; then another takes up its snapshots. */
  readonly restart?: number;
  readonly partitions?: number;
}

const judgePartition = async (records: readonly Stored[], { keys, restart }: Run) => {
  const log = memoryLog();
  const at = { topic: 'memory', partition: 0 };
  await log.createTopic(at.topic, 1);
  await log.append(
    at,
    records.map((record) => entryOf(log, record)),
  );
  const snapshots = new Map<string, Snapshot>();
  const verdicts: Verdict[] = [];
  const begin = () =>
    createEngine({
      fold: runtimeFold({ policies: [POLICY] }),
      partition: 0,
      schemas: log.schemas,
      keys: keys ?? pinnedKeys([VERIFIER]),
    });
  let engine = begin();
  const total = { deadLetters: 0, missing: 0 };
  for (let from = 0; from < records.length; from += restart ?? records.length) {
    engine = begin();
    for (const snapshot of [...snapshots.values()].sort((a, b) => a.key.length - b.key.length))
      engine.restore(snapshot);
    const until = Math.min(records.length, from + (restart ?? records.length));
    for await (const batch of log.read(at, from, until)) engine.push(batch);
    const taken = engine.take();
    for (const { topic, entry } of taken.outputs)
      if (topic === 'verdicts') verdicts.push(decodeRecord('Verdict', entry.value!));
    for (const snapshot of taken.snapshots) snapshots.set(snapshot.key.toString('latin1'), snapshot);
    total.deadLetters += engine.counts.deadLetters;
    total.missing += engine.counts.missing;
  }
  const followed = [...snapshots.values()].flatMap(({ seen }) => seen).filter(({ head }) => head.length > 0).length;
  return { verdicts, hosts: [...engine.digests()], counts: { ...engine.counts, ...total }, followed };
};

const judge = async (records: readonly Stored[], run: Run = {}): Promise<Judged> => {
  const { partitions = 1 } = run;
  const parts = await Promise.all(
    Array.from({ length: partitions }, (_, partition) =>
      judgePartition(
        records.filter(({ host }) => host === '' || partitionOf(host, partitions) === partition),
        run,
      ),
    ),
  );
  const verdicts = parts.flatMap((part) => part.verdicts);
  const hosts = parts.flatMap((part) => part.hosts);
  return {
    verdicts,
    states: verdicts
      .filter(({ kind }) => kind === 'stream')
      .map(
        ({ state, bindings, numbers }) =>
          `${state} ${JSON.parse(bindings['code']!)} ${numbers['from']}-${numbers['until']}`,
      ),
    digests: [runDigest(hosts, 'head'), runDigest(hosts, 'conclusions')],
    counts: parts[0]!.counts,
    followed: parts.reduce((sum, part) => sum + part.followed, 0),
  };
};

describe('a stream of memory is held against what its TPM attested', () => {
  let whole: Stored[];
  let host: string;
  beforeAll(async () => {
    whole = await attested();
    host = whole[0]!.host;
  });

  const of = (seq: number): number =>
    whole.findIndex((record) => record.name === 'Activation' && record.host === host && seqOf(record) === seq);
  const seqOf = (record: Stored): number => recordOf('Activation', record).seq;
  const checkpoint = (n: number): number =>
    whole.flatMap(({ name, host: of }, i) => (name === 'Checkpoint' && of === host ? [i] : []))[n]!;
  const changed = (i: number, change: Partial<Activation>): Stored => ({
    ...whole[i]!,
    value: encodeRecord('Activation', { ...recordOf('Activation', whole[i]!), ...change }),
  });
  const tick = (number: number): Stored => ({
    host: '',
    name: 'Tick',
    value: encodeRecord(
      'Tick',
      signRecord(
        'Tick',
        {
          number,
          nonce: Buffer.alloc(32, number),
          issued: 1_000_000 + number,
          interval: 5_000_000,
          grace: 10_000_000,
          k: 1,
          selection: '',
        },
        VERIFIER,
      ),
    ),
  });

  test('by the checkpoints that the start-up processor wrote', () => {
    const seqs = whole
      .filter((record) => record.name === 'Checkpoint' && record.host === host)
      .map((record) => recordOf('Checkpoint', record).seq);
    expect(seqs).toEqual([10, 32]);
  });

  test('untouched, it is said once to be what the host sent', async () => {
    const { states, verdicts, counts, followed } = await judge(whole);
    expect(states).toEqual(['conforming stream.attested 0-10', 'conforming stream.attested 0-10']);
    expect(counts.deadLetters).toBe(0);
    expect(followed).toBe(2);
    const [verdict] = verdicts.filter(({ kind }) => kind === 'stream');
    expect(verdict!.slice).toBe(recordOf('StreamOpened', whole[0]!).stream.toString('hex'));
    expect(verdict!.rests.map(({ offset }) => whole[offset]!.name)).toEqual(['Checkpoint']);
  });

  test('checkpoints change nothing of what is said of processes', async () => {
    const without = await judge(whole.filter(({ name }) => name !== 'Checkpoint'));
    expect(without.states).toEqual([]);
    const ids = ({ verdicts }: Judged): string[] =>
      verdicts.filter(({ kind }) => kind === 'process').map(({ id }) => id.toString('hex'));
    expect(ids(without)).toEqual(ids(await judge(whole)));
    expect(ids(without).length).toBeGreaterThan(0);
  });

  test('altered before the first checkpoint', async () => {
    const records = whole.with(of(4), changed(of(4), { function: 'open' }));
    const { states } = await judge(records);
    expect(states).toEqual(['violated stream.altered 0-10', 'conforming stream.attested 0-10']);
  });

  test('altered between two', async () => {
    const records = whole.with(of(20), changed(of(20), { thread: 2 }));
    expect((await judge(records)).states).toEqual([
      'conforming stream.attested 0-10',
      'conforming stream.attested 0-10',
      'violated stream.altered 11-32',
    ]);
  });

  test('altered behind the last, nobody attested it yet', async () => {
    const records = whole.with(of(35), changed(of(35), { thread: 2 }));
    expect((await judge(records)).states).toEqual((await judge(whole)).states);
  });

  test('dropped: a gap', async () => {
    const { states, counts } = await judge(whole.toSpliced(of(20), 1));
    expect(counts.missing).toBe(1);
    expect(states).toContain('undecided stream.gap 11-32');
    expect(states).not.toContain('violated stream.altered 11-32');
  });

  test('dropped, and the others numbered as if it had never been', async () => {
    const records = whole
      .map((record, i) =>
        record.name === 'Activation' && record.host === host && seqOf(record) > 20
          ? changed(i, { seq: seqOf(record) - 1 })
          : record,
      )
      .toSpliced(of(20), 1);
    const { states, counts } = await judge(records);
    expect(counts.missing).toBe(0);
    expect(states).toContain('violated stream.altered 11-32');
  });

  test('reordered: a gap', async () => {
    const records = whole.with(of(20), whole[of(21)]!).with(of(21), whole[of(20)]!);
    expect((await judge(records)).states).toContain('undecided stream.gap 11-32');
  });

  test('reordered and numbered anew', async () => {
    const records = whole.with(of(20), changed(of(21), { seq: 20 })).with(of(21), changed(of(20), { seq: 21 }));
    expect((await judge(records)).states).toContain('violated stream.altered 11-32');
  });

  test('altered twice, it is said once', async () => {
    const records = whole.with(of(4), changed(of(4), { thread: 3 })).with(of(20), changed(of(20), { thread: 2 }));
    expect((await judge(records)).states.filter((state) => state.startsWith('violated'))).toHaveLength(1);
  });

  test('cut off: what was attested is missed after some ticks, and welcome when it comes', async () => {
    const last = checkpoint(1);
    const late = whole.filter((record, i) => i < last && i >= of(25) && record.host === host);
    const cut = whole.slice(0, last + 1).filter((record) => !late.includes(record));
    const ticks = [0, 1, 2].map(tick);
    expect((await judge([...cut, ...ticks.slice(0, 2)])).states).toHaveLength(2);
    const missed = [...cut, ...ticks, tick(3)];
    expect((await judge(missed)).states.slice(2)).toEqual(['undecided stream.behind 11-32']);
    const came = await judge([...missed, ...late]);
    expect(came.states.slice(3)).toEqual(['conforming stream.attested 11-32']);
    const altered = late.map((record) =>
      seqOf(record) === 30
        ? { ...record, value: encodeRecord('Activation', { ...recordOf('Activation', record), thread: 7 }) }
        : record,
    );
    expect((await judge([...missed, ...altered])).states.slice(3)).toEqual(['violated stream.altered 11-32']);
  });

  test('withheld as a whole', async () => {
    const records = whole.filter((record) => record.host !== host || record.name === 'Checkpoint');
    expect((await judge([...records, tick(0), tick(1), tick(2)])).states).toContain('undecided stream.behind 0-32');
  });

  test('its beginning withheld', async () => {
    const records = whole.toSpliced(0, 1);
    expect((await judge(records)).states).toContain('undecided stream.gap 0-10');
  });

  test('a checkpoint that nobody signed who is trusted is none', async () => {
    const records = whole.map((record) =>
      record.name === 'Checkpoint'
        ? {
            ...record,
            value: encodeRecord(
              'Checkpoint',
              signRecord('Checkpoint', { ...recordOf('Checkpoint', record), head: Buffer.alloc(32, 1) }, STRANGER),
            ),
          }
        : record,
    );
    const { states, counts } = await judge(records);
    expect(states).toEqual([]);
    expect(counts.deadLetters).toBe(4);
  });

  test('nothing is hashed where no key is pinned, nor of what was imported', async () => {
    const unpinned = await judge(whole, { keys: new Map() });
    expect([unpinned.followed, unpinned.states]).toEqual([0, []]);
    const imported = await judge((await attested('import')).filter(({ name }) => name !== 'Checkpoint'));
    expect(imported.followed).toBe(0);
  });

  test('a replay says it in words, and ends as with any violation', async () => {
    const [policy, key] = [join(folder, 'door.yaml'), join(folder, 'verifier.pub')];
    writeFileSync(policy, POLICY_TEXT);
    writeFileSync(key, createPublicKey(VERIFIER).export({ type: 'spki', format: 'pem' }));
    const written = async (name: string, records: readonly Stored[]): Promise<string> => {
      const log = await openTrace(join(folder, name));
      await log.createTopic('memory', 1);
      await log.append(
        { topic: 'memory', partition: 0 },
        records.map((record) => entryOf(log, record)),
      );
      await log.close();
      return join(folder, name);
    };
    const replayed = async (trace: string) => cli(['replay', trace, '--policy', policy, '--trust', key]);
    expect(await replayed(await written('whole', whole))).toMatchObject({ code: 0 });
    const { code, stdout } = await replayed(
      await written('altered', whole.with(of(20), changed(of(20), { thread: 2 }))),
    );
    expect(code).toBe(1);
    expect(stdout).toMatch(/violated .* stream [0-9a-f]{8} .*among records 11 to/);
  });

  test('the same is said however it runs', async () => {
    const lives: Stored[][] = [
      whole,
      whole.with(of(20), changed(of(20), { thread: 2 })),
      whole.toSpliced(of(20), 1),
      [...whole.slice(0, checkpoint(1) + 1).filter((_, i) => i < of(25) || i >= checkpoint(1)), ...[0, 1, 2].map(tick)],
    ];
    for (const records of lives) {
      const one = await judge(records);
      for (const restart of [1, 2, 7, 30]) {
        const other = await judge(records, { restart });
        expect(other.digests).toEqual(one.digests);
        expect(other.verdicts).toEqual(one.verdicts);
      }
      expect((await judge(records, { partitions: 3 })).digests).toEqual(one.digests);
    }
  });
});
