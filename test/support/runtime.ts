import type { EventLog, Output } from '../../infra/log/event-log.js';
import { memoryLog } from '../../infra/log/memory-log.js';
import { createEngine, type Engine } from '../../processors/engine/engine.js';
import { runtimeFold } from '../../processors/runtime/fold.js';
import { decodeRecord, encodeRecord } from '../../schemas/codec.js';
import { parsePolicy } from '../../schemas/policy/parse.js';
import type { Activation, RecordName, Records, Verdict } from '../../schemas/records.js';
import type { PinnedKeys } from '../../schemas/signed.js';
import { taggedHash } from '../../schemas/tagged-hash.js';

export const THERMOSTAT = `
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
          guard: "args.level <= 80 && context.actuations < 1000"
          actions: { type: assign, params: { actuations: "context.actuations + 1" } }
          target: idle
    late: { tags: [violation] }
`;

/** One record for the log, with its host. */
export interface Said<N extends RecordName = RecordName> {
  readonly host: string;
  readonly type: N;
  readonly record: Records[N];
}

export const streamOf = (host: string): Buffer => taggedHash('test', host);

export const activation = (
  host: string,
  seq: number,
  at: number,
  name: string,
  parameters: Readonly<Record<string, number>> = {},
  process = 'p',
): Said<'Activation'> => ({
  host,
  type: 'Activation',
  record: {
    stream: streamOf(host),
    seq,
    at,
    notBefore: at,
    end: null,
    process,
    thread: 0,
    function: name,
    beginning: true,
    parameters: Object.entries(parameters).map(([key, value]) => ({
      name: key,
      type: 'int',
      kind: 'entry',
      int: value,
      real: null,
      text: null,
    })),
  } satisfies Activation,
});

export const engineFor = (log: EventLog, policy: string, keys?: PinnedKeys): Engine =>
  createEngine({
    fold: runtimeFold({ policies: [parsePolicy(policy, 'policy.yaml')] }),
    partition: 0,
    schemas: log.schemas,
    ...(keys ? { keys } : {}),
  });

export const write = async (log: EventLog, said: readonly Said[]): Promise<void> => {
  await log.createTopic('memory', 1);
  await log.append(
    { topic: 'memory', partition: 0 },
    said.map(({ host, type, record }) => ({
      key: Buffer.from(host),
      schema: log.schemas.current(type),
      value: encodeRecord(type, record),
    })),
  );
};

export const verdictsOf = (outputs: readonly Output[]): Verdict[] =>
  outputs
    .filter(({ topic }) => topic === 'verdicts')
    .map(({ entry }) => ({ ...decodeRecord('Verdict', entry.value!) }));

/** Judges records under a policy; `cut` takes a snapshot after each of so many records and goes on in a new engine. */
export const judge = async (
  policy: string,
  said: readonly Said[],
  options: { readonly cut?: number; readonly keys?: PinnedKeys } = {},
): Promise<{ verdicts: Verdict[]; outputs: Output[]; engine: Engine }> => {
  const log = memoryLog();
  let engine = engineFor(log, policy, options.keys);
  const outputs: Output[] = [];
  const kept = new Map<string, Parameters<Engine['restore']>[0]>();
  const chunk = options.cut ?? said.length;
  let offset = 0;
  for (let i = 0; i < said.length; i += chunk) {
    await write(log, said.slice(i, i + chunk));
    for await (const batch of log.read(
      { topic: 'memory', partition: 0 },
      offset,
      i + Math.min(chunk, said.length - i),
    )) {
      engine.push(batch);
      offset = batch.next;
    }
    const commit = engine.take();
    outputs.push(...commit.outputs);
    if (options.cut === undefined) continue;
    for (const snapshot of commit.snapshots) kept.set(snapshot.key.toString('hex'), snapshot);
    engine = engineFor(log, policy, options.keys);
    for (const snapshot of kept.values()) engine.restore(snapshot);
  }
  return { verdicts: verdictsOf(outputs), outputs, engine };
};
