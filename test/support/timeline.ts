import type { Machine } from '../../processors/runtime/machine/machine.js';
import type { Policy } from '../../schemas/policy/policy.js';
import { FUNCTIONS } from './timeline-machine.js';
import type { Choices } from './timeline-random.js';
import { type RealCall, Reference } from './timeline-reference.js';

/** A frame as it lies on a stack: what the sampler may see of it, and what is true of it. */
export interface RealFrame {
  /** The name that symbols give first. */
  readonly name: string;
  readonly alternatives: readonly string[];
  readonly address: number;
  readonly returnAddress: number;
  /** null for a function that nobody watches. */
  readonly n: number | null;
}

/** From `at` on a thread has this stack (outermost first); until the next moment it computes, or waits in the kernel. */
export interface Moment {
  readonly at: number;
  readonly stack: readonly RealFrame[];
  readonly computing: boolean;
}

export interface Timeline {
  readonly begin: number;
  readonly end: number;
  readonly calls: readonly RealCall[];
  /** Per thread (number from 1), in order of time; the first moment is its birth. */
  readonly threads: ReadonlyMap<number, readonly Moment[]>;
  /** Shortest duration of any call of a function. */
  readonly shortest: ReadonlyMap<string, number>;
  /** The call that the machine forbids, if one was asked for and found. */
  readonly illegal: RealCall | null;
}

export interface TimelineShape {
  readonly threads: number;
  readonly calls: number;
  /** Every call stays on the stack at least so long, µs. */
  readonly dwell: number;
  /** Longest silence between two happenings, µs. */
  readonly silence: number;
  readonly computing: number;
  /** Places in the code that call a function; 2 if absent. The fewer, the more a call looks like the one before it. */
  readonly sites?: number;
  /** Every call returns before the next one of its thread. */
  readonly flat?: boolean;
  /** Share of functions whose code the linker shares with others'. */
  readonly folded: number;
  /** Ends with a call that the machine forbids. */
  readonly illegal: boolean;
}

/** What goes on on one thread while a run is laid out. */
interface Draft {
  readonly moments: { at: number; stack: RealFrame[]; computing: boolean }[];
  /** When each frame of the stack was called. */
  readonly since: number[];
  /** Outermost frames that never return. */
  base: number;
}

export const START = 10_000_000;

/** A run of the machine in event time without a bad step, embodied as nested frames on threads. */
export const timeline = (machine: Machine, policy: Policy, choices: Choices, shape: TimelineShape): Timeline => {
  const reference = new Reference(machine, policy, START);
  const threads = new Map<number, Draft>();
  const shortest = new Map<string, number>();
  const calls: RealCall[] = [];
  const folded = new Map<string, { name: string; alternatives: readonly string[] }>();
  for (const name of FUNCTIONS)
    if (choices.chance(shape.folded)) {
      const other = choices.of([...FUNCTIONS.filter((one) => one !== name), 'unwatched']);
      folded.set(name, choices.chance(0.5) ? { name, alternatives: [other] } : { name: other, alternatives: [name] });
    }
  let now = START;

  const frame = (thread: number, depth: number, name: string, n: number | null): RealFrame => ({
    ...(folded.get(name) ?? { name, alternatives: [] }),
    address: thread * 1_000_000 - depth * 16,
    returnAddress: 0x400 + 8 * choices.int(0, (shape.sites ?? 2) - 1) + depth * 0x100_000,
    n,
  });

  const moment = (draft: Draft, at: number, change: (stack: RealFrame[]) => void): void => {
    const stack = [...(draft.moments.at(-1)?.stack ?? [])];
    change(stack);
    draft.moments.push({ at, stack, computing: choices.chance(shape.computing) });
  };

  const grow = (thread: number, draft: Draft, at: number, name: string, n: number | null): void => {
    moment(draft, at, (stack) => stack.push(frame(thread, stack.length, name, n)));
    draft.since.push(at);
  };

  const shrink = (draft: Draft, at: number): void => {
    const gone = draft.moments.at(-1)!.stack.at(-1)!;
    const lasted = at - draft.since.pop()!;
    const names = gone.n === null ? [] : [gone.name, ...gone.alternatives];
    for (const name of names) shortest.set(name, Math.min(lasted, shortest.get(name) ?? Number.POSITIVE_INFINITY));
    moment(draft, at, (stack) => stack.pop());
  };

  const born = (thread: number, at: number): Draft => {
    const draft: Draft = { moments: [], since: [], base: 0 };
    threads.set(thread, draft);
    draft.moments.push({ at, stack: [], computing: false });
    grow(thread, draft, at, 'main', null);
    if (choices.chance(0.5)) grow(thread, draft, at, 'loop', null);
    draft.base = draft.since.length;
    return draft;
  };
  born(1, START);

  const callersOf = (draft: Draft): readonly string[] => draft.moments.at(-1)!.stack.map(({ name }) => name);

  /** Pops what may be popped before `until`; a stack never loses its outermost frames. */
  const unwindSome = (draft: Draft, until: number): void => {
    while (draft.since.length > draft.base && choices.chance(shape.flat ? 1 : 0.7)) {
      const earliest = Math.max(draft.since.at(-1)! + shape.dwell, draft.moments.at(-1)!.at + 1, now);
      if (earliest >= until) return;
      shrink(draft, choices.chance(0.5) ? earliest : choices.int(earliest, until - 1));
    }
  };

  const gap = (): number => choices.scaled(5, shape.silence);
  let illegal: RealCall | null = null;
  for (let count = 0; count < shape.calls; count++) {
    const last = count === shape.calls - 1;
    let taken: RealCall | null = null;
    for (let attempt = 0; attempt < 12 && taken === null; attempt++) {
      const thread = choices.int(1, shape.threads);
      const draft = threads.get(thread);
      const room = draft === undefined ? now : draft.moments.at(-1)!.at;
      const busy = shape.flat === true && draft !== undefined && draft.since.length > draft.base;
      const at = Math.max(now, room, busy ? draft.since.at(-1)! + shape.dwell : 0) + gap();
      const name = choices.of(FUNCTIONS);
      const n = choices.int(0, 2);
      // Who calls is known only once the stack is as it will be: a guard that asks for it is asked then.
      const trial = reference.copy();
      const bad = trial.wait(at);
      if (bad.length > 0) continue;
      const live = draft ?? born(thread, Math.min(at - 1, now + 1));
      unwindSome(live, at);
      if (!shape.flat && choices.chance(0.3) && live.moments.at(-1)!.at < at - 1)
        grow(thread, live, at - 1, 'helper', null);
      const call: RealCall = { at, name, n, thread, callers: callersOf(live) };
      const fault = trial.call(call).length > 0;
      const wanted = shape.illegal && last;
      if (fault !== wanted) continue;
      if (!fault) reference.call(call);
      else illegal = call;
      grow(thread, live, at, name, n);
      calls.push(call);
      taken = call;
      now = at;
      if (shape.dwell === 0 && choices.chance(0.5)) {
        // A fast path: over before anybody could look.
        const over = at + choices.int(1, 20);
        if (over < trial.due) {
          shrink(live, over);
          now = over;
        }
      }
    }
    if (taken === null) break;
  }
  // It goes on waiting as long as no deadline forbids it.
  const rest = (illegal === null ? 0 : shape.dwell) + choices.scaled(1000, 4 * shape.silence + shape.dwell);
  const trial = reference.copy();
  let end = now + rest;
  if (illegal === null && trial.wait(end).length > 0) {
    const strict = reference.copy();
    end = now;
    while (strict.due < now + rest && strict.wait(strict.due).length === 0) end = strict.now;
    end = Math.max(end, Math.min(strict.due - 1, strict.now));
    end = Math.max(now, end);
  }
  for (const draft of threads.values()) {
    end = Math.max(end, now);
    unwindSome(draft, end);
  }
  return {
    begin: START,
    end,
    calls,
    threads: new Map([...threads].map(([thread, { moments }]) => [thread, moments])),
    shortest,
    illegal,
  };
};
