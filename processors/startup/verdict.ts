import type { Rest, Verdict } from '../../schemas/records.js';
import { taggedHash, u64be } from '../../schemas/tagged-hash.js';
import type { World } from '../engine/fold.js';

export const FOLD = { name: 'startup', version: 1 } as const;

/** RATS words for how far a host is to be trusted. */
export type TrustState = 'affirming' | 'warning' | 'contraindicated' | 'none';

const SEVERITY: Readonly<Record<TrustState, string>> = {
  affirming: 'info',
  warning: 'warning',
  contraindicated: 'alert',
  none: 'info',
};

/** A reason behind a state, as it stands in the verdict's bindings. */
export interface Reason {
  readonly code: string;
  readonly level: string;
  readonly count: number;
  readonly examples: readonly string[];
}

export interface HostDraft {
  readonly host: string;
  readonly state: TrustState;
  readonly policy: string;
  readonly at: number;
  readonly message: string;
  readonly rests: readonly Rest[];
  readonly assumes: readonly string[];
  /** Values, not yet JSON. */
  readonly bindings: Readonly<Record<string, unknown>>;
  readonly numbers: Readonly<Record<string, number>>;
}

/** A verdict of kind `host`. Its id has no coordinates: the same events give the same id wherever they are copied. */
export const hostVerdict = (draft: HostDraft, world: World, ordinal: number): Verdict => ({
  id: taggedHash(
    'attestream/verdict/1',
    FOLD.name,
    u64be(FOLD.version),
    draft.policy,
    `${draft.host}||`,
    '',
    'host',
    world.tick === null ? `${world.stream}:${world.seq}` : `tick:${world.tick}:-1`,
    u64be(ordinal),
  ),
  replaces: null,
  fold: `${FOLD.name}@${FOLD.version}`,
  kind: 'host',
  state: draft.state,
  severity: SEVERITY[draft.state],
  host: draft.host,
  container: '',
  process: '',
  slice: '',
  policy: draft.policy,
  machine: '',
  at: draft.at,
  message: draft.message,
  trigger: { stream: world.stream, seq: world.seq, tick: world.tick, timer: null, ordinal },
  rests: draft.rests,
  assumes: draft.assumes,
  bindings: Object.fromEntries(Object.entries(draft.bindings).map(([name, value]) => [name, JSON.stringify(value)])),
  believed: [],
  probability: null,
  numbers: draft.numbers,
});
