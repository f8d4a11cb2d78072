import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createActor, createMachine } from 'xstate';
import type { Entry, EventLog } from '../infra/log/event-log.js';
import { openTrace } from '../infra/log/trace/trace-log.js';
import { createEngine } from '../processors/engine/engine.js';
import { runPartition } from '../processors/run/partition-run.js';
import { runtimeFold } from '../processors/runtime/fold.js';
import { encodeRecord } from '../schemas/codec.js';
import { parsePolicy } from '../schemas/policy/parse.js';
import { toXState } from '../schemas/policy/to-xstate.js';
import type { Parameter } from '../schemas/records.js';
import type { Figure } from './figure.js';

const POLICY = `
id: thermostat
functions:
  read_sensor: { parameters: { id: clear } }
  actuate: { parameters: { level: { type: int, release: clear } } }
machine:
  initial: idle
  context: { actuations: 0 }
  states:
    idle:
      on: { read_sensor: deciding }
      after: { 5000: late }
    deciding:
      on:
        actuate:
          guard: args.level <= 80 && context.actuations < 1000000
          actions: { type: assign, params: { actuations: context.actuations + 1 } }
          target: idle
    late: { tags: [violation] }
`;

const EVENTS = 1_000_000;
const HOSTS = 100;
/** µs between two calls of one host. */
const PACE = 100_000;
const FIRST = 1_700_000_000_000_000;
/** One call in so many actuates too much. */
const ILLEGAL = 10_007;

interface Made {
  readonly host: number;
  readonly function: string;
  readonly value: number;
}

const eventAt = (i: number): Made => {
  const turn = Math.floor(i / HOSTS);
  const reads = turn % 2 === 0;
  const value = reads ? i % 7 : i % ILLEGAL === 0 ? 99 : i % 80;
  return { host: i % HOSTS, function: reads ? 'read_sensor' : 'actuate', value };
};

const parameter = (name: string, int: number): Parameter => ({
  name,
  type: 'int',
  kind: 'entry',
  int,
  real: null,
  text: null,
});

/** A trace as an import leaves it: one process on each of 100 hosts, one parameter a call. */
const write = async (log: EventLog): Promise<void> => {
  await log.createTopic('memory', 1);
  const schema = log.schemas.current('Activation');
  const keys = Array.from({ length: HOSTS }, (_, host) => Buffer.from(`thermostat-${host}`));
  const streams = keys.map((_, host) => Buffer.alloc(32, host + 1));
  for (let from = 0; from < EVENTS; from += 4096) {
    const entries: Entry[] = [];
    for (let i = from; i < Math.min(EVENTS, from + 4096); i++) {
      const { host, function: name, value } = eventAt(i);
      const seq = Math.floor(i / HOSTS);
      const at = FIRST + seq * PACE + host;
      const body = encodeRecord('Activation', {
        stream: streams[host]!,
        seq,
        at,
        notBefore: at,
        end: null,
        process: `c0ffee/${host}`,
        thread: 0,
        function: name,
        beginning: true,
        parameters: [parameter(name === 'actuate' ? 'level' : 'id', value)],
      });
      entries.push({ key: keys[host]!, schema, value: body });
    }
    await log.append({ topic: 'memory', partition: 0 }, entries);
  }
};

const cpu = async (work: () => Promise<void> | void): Promise<number> => {
  const began = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(began);
  return (user + system) / 1e6;
};

/** Judges the trace once; CPU seconds of this process, reading and committing included. */
export const judge = async (source: EventLog, folder: string, snapshots: boolean): Promise<number> => {
  const target = await openTrace(folder);
  try {
    for (const topic of ['memory', 'verdicts', 'dead-letters']) await target.createTopic(topic, 1);
    const owning = new AbortController();
    for await (const lease of target.own('bench', 'memory', owning.signal)) {
      const policies = [parsePolicy(POLICY, 'bench.yaml')];
      const engine = createEngine({
        fold: runtimeFold({ policies }),
        partition: 0,
        schemas: source.schemas,
        snapshots,
      });
      const seconds = await cpu(async () => {
        await runPartition({ source, lease, engine, from: 0, until: EVENTS, stop: owning.signal });
      });
      const { events, late, deadLetters, verdicts } = engine.counts;
      if (events !== EVENTS || late + deadLetters > 0 || verdicts < HOSTS)
        throw new Error(`the trace was not judged as meant: ${JSON.stringify(engine.counts)}`);
      await lease.release();
      return seconds;
    }
    throw new Error('no lease');
  } finally {
    await target.close();
  }
};

/** Events per CPU second of XState actors, one per host, that are sent the same events as objects: nothing is read or decoded. */
const xstate = async (events: number): Promise<number> => {
  const { config, guards, actions } = toXState(parsePolicy(POLICY, 'bench.yaml'));
  const machine = createMachine(config as never, { guards, actions } as never);
  const actors = Array.from({ length: HOSTS }, () => createActor(machine).start());
  const seconds = await cpu(() => {
    for (let i = 0; i < events; i++) {
      const { host, function: type, value } = eventAt(i);
      const args = type === 'actuate' ? { level: value } : { id: value };
      actors[host]!.send({ type, args } as never);
    }
  });
  for (const actor of actors) actor.stop();
  return events / seconds;
};

/** A trace folder to its verdicts, as `replay` does it, beside XState actors in the same run. */
export const bench = async (): Promise<Figure[]> => {
  const folder = mkdtempSync(join(tmpdir(), 'attestream-bench-verdicts-'));
  try {
    const log = await openTrace(join(folder, 'trace'));
    try {
      await write(log);
      let runs = 0;
      const best = async (snapshots: boolean, times: number): Promise<number> => {
        let seconds = Number.POSITIVE_INFINITY;
        for (let i = 0; i < times; i++)
          seconds = Math.min(seconds, await judge(log, join(folder, `run-${runs++}`), snapshots));
        return EVENTS / seconds;
      };
      const baseline = await xstate(200_000);
      const row = (name: string, figure: number): Figure => ({
        name,
        figure,
        unit: 'events/s per core',
        baseline,
        ratio: figure / baseline,
      });
      return [
        row('trace → verdicts, beside XState actor.send', await best(false, 3)),
        row('trace → verdicts and snapshots, beside XState actor.send', await best(true, 2)),
      ];
    } finally {
      await log.close();
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
};
