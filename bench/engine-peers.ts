import { createEngine } from '../processors/engine/engine.js';
import type { Fold, World } from '../processors/engine/fold.js';
import { SchemaTable } from '../schemas/codec.js';
import type { Activation, Verdict } from '../schemas/records.js';
import { PeersJob } from './engine-job.js';
import type { Figure } from './figure.js';
import { runFlink } from './peer-flink.js';

interface State {
  state: number;
}

const KINDS: ReadonlyMap<string, number> = new Map(Array.from({ length: 8 }, (_, kind) => [`handle_${kind}`, kind]));

const DIGEST = `sha256:${'0'.repeat(64)}`;

const TRIGGER = { stream: '', seq: 0, tick: null, timer: null, ordinal: 0 };

const illegal = (name: string, at: number): Verdict => ({
  id: Buffer.alloc(32),
  replaces: null,
  fold: 'state-machines@1',
  kind: 'process',
  state: 'violated',
  severity: 'error',
  host: '',
  container: '',
  process: '',
  slice: '',
  policy: DIGEST,
  machine: DIGEST,
  at,
  message: `${name} is not allowed`,
  trigger: TRIGGER,
  rests: [],
  assumes: [],
  bindings: {},
  believed: [],
  probability: null,
  numbers: {},
});

const next = (state: number, kind: number): number => (kind < 6 ? (state + kind + 1) % 5 : -1);

/** The peers' state machine as a fold: 2 of 8 events are illegal, and one in 1,024 of those is said. */
class StateMachines implements Fold<'Activation', State> {
  readonly name = 'state-machines';
  readonly version = 1;
  readonly topic = 'memory';
  readonly fields = { Activation: ['function'] } as const;
  illegal = 0;

  initial(): State {
    return { state: 0 };
  }

  step(state: State, _type: 'Activation', event: Activation, world: World): State {
    const after = next(state.state, KINDS.get(event.function)!);
    if (after >= 0) state.state = after;
    else {
      this.illegal++;
      if ((world.coordinates.offset & 1023) === 0) world.emit(illegal(event.function, event.at));
    }
    return state;
  }

  timer(state: State): State {
    return state;
  }

  encode({ state }: State): Buffer {
    return Buffer.from([state]);
  }

  decode(_host: string, bytes: Buffer): State {
    return { state: bytes[0]! };
  }
}

const EVENTS = 20_000_000;
const WARM_UP = 4_000_000;

/** Events a second per core, by the CPU time of this process: making the events is part of the job, as it is in the peers. */
export const ours = (): number => {
  const schemas = new SchemaTable();
  const fold = new StateMachines();
  const engine = createEngine({ fold, partition: 0, schemas, snapshots: false });
  const job = new PeersJob(schemas);
  const run = (events: number): void => {
    const until = engine.counts.records + events;
    let taken = engine.counts.records;
    while (engine.counts.records < until) {
      engine.push(job.next());
      if (engine.counts.records - taken < 65_536) continue;
      taken = engine.counts.records;
      engine.take();
    }
  };
  run(WARM_UP);
  const before = engine.counts.records;
  const began = process.cpuUsage();
  run(EVENTS);
  const { user, system } = process.cpuUsage(began);
  const { records, events, late, deadLetters, duplicates } = engine.counts;
  if (events !== records || late + deadLetters + duplicates > 0) throw new Error('the job was not done as meant');
  if (Math.abs(fold.illegal / records - 0.25) > 0.01) throw new Error(`${fold.illegal} of ${records} were illegal`);
  return (records - before) / ((user + system) / 1e6);
};

/** The engine on the peers' job, with Flink on the same job in the same run. */
export const bench = async (): Promise<Figure[]> => {
  const figure = ours();
  const flink = await runFlink();
  const baseline = 'missing' in flink ? null : flink.eventsPerCore;
  if ('missing' in flink) console.error(`engine-peers: without Flink beside it: ${flink.missing}`);
  return [
    {
      name: 'engine, 1,000 state machines, 100-byte events; beside Flink 2.3',
      figure,
      unit: 'events/s per core',
      baseline,
      ratio: baseline === null ? null : figure / baseline,
    },
  ];
};
