import type { Verdict } from '../../schemas/records.js';
import { taggedHash, u64be } from '../../schemas/tagged-hash.js';
import type { World } from '../engine/fold.js';
import type { Draft } from './track.js';

export const FOLD = { name: 'runtime', version: 1 } as const;

/** Whom a verdict is about, and under what. */
export interface Subject {
  readonly host: string;
  readonly container: string;
  readonly process: string;
  readonly slice: string;
  readonly policy: string;
  readonly machine: string;
}

const SEVERITY: Readonly<Record<string, string>> = { violated: 'alert', undecided: 'warning' };

/** Tag and fields as in the contract: no coordinates, so that the same events give the same id wherever they are copied. */
const verdictId = (subject: Subject, world: World, timer: number, ordinal: number): Buffer =>
  taggedHash(
    'attestream/verdict/1',
    FOLD.name,
    u64be(FOLD.version),
    subject.policy,
    `${subject.host}|${subject.container}|${subject.process}`,
    subject.slice,
    'process',
    world.tick === null ? `${world.stream}:${world.seq}` : `tick:${world.tick}:${timer}`,
    u64be(ordinal),
  );

/** The verdict that a draft becomes at the record which `world` is handling. `ordinal` counts that record's verdicts. */
export const makeVerdict = (
  subject: Subject,
  draft: Draft,
  world: World,
  ordinal: number,
  replaces: Verdict | null,
): Verdict => {
  const { topic, partition } = world.coordinates;
  return {
    id: verdictId(subject, world, draft.timer, ordinal),
    replaces: replaces?.id ?? null,
    fold: `${FOLD.name}@${FOLD.version}`,
    kind: 'process',
    state: draft.state,
    severity: SEVERITY[draft.state] ?? 'info',
    ...subject,
    at: draft.at,
    message: draft.message,
    trigger: {
      stream: world.stream,
      seq: world.seq,
      tick: world.tick,
      timer: draft.timer < 0 ? null : draft.timer,
      ordinal,
    },
    rests: draft.rests
      .filter(({ seq }) => seq >= 0)
      .map(({ stream, seq, offset }) => ({ stream, seq, topic, partition, offset })),
    assumes: draft.assumes,
    bindings: draft.bindings,
    believed: draft.believed,
    probability: draft.probability,
    numbers: draft.numbers,
  };
};

/** What takes a verdict away that a late event made untrue and that nothing stands in for. */
export const withdrawal = (subject: Subject, withdrawn: Verdict, world: World, ordinal: number): Verdict => ({
  ...makeVerdict(
    subject,
    {
      state: 'conforming',
      at: withdrawn.at,
      message: `an event that came late shows that the process was not ${withdrawn.state}`,
      rests: [{ stream: world.stream, seq: world.seq, offset: world.coordinates.offset }],
      bindings: {},
      believed: [],
      probability: null,
      numbers: {},
      assumes: [],
      timer: -1,
    },
    world,
    ordinal,
    withdrawn,
  ),
  state: 'withdrawn',
  severity: 'info',
});
