import { type Known, UNKNOWN } from '../../../schemas/policy/value.js';
import type { Frame, Parameter } from '../../../schemas/records.js';
import type { SeenCall, Stretch, UnseenCall } from '../belief/advance.js';
import { fillArguments, type Source } from '../call.js';
import type { PolicyInForce } from '../policies.js';
import { type Anchor, cpuUsed, isQuiet, type ThreadSeen } from './threads.js';

/** Calls of one stretch whose order is explored; with more, order and certainty are given up. */
const MOST_CALLS = 10;
/** Calls that are noted before it is known whose they are: bits of a number. */
const MOST_NOTED = 30;

const DECISIVE: ReadonlySet<string> = new Set(['cfi', 'prologue', 'call-site', 'frame-record', 'syscall']);

const sameParameter = (a: Parameter, b: Parameter): boolean =>
  a.name === b.name && a.int === b.int && Object.is(a.real, b.real) && a.text === b.text;

/** An `entry` value that differs tells two calls apart; a `current` one never does. */
const sameEntries = (a: Frame, b: Frame): boolean =>
  a.parameters.every(
    (parameter) =>
      parameter.kind !== 'entry' ||
      b.parameters.every(
        (other) => other.name !== parameter.name || other.kind !== 'entry' || sameParameter(parameter, other),
      ),
  );

/** False only if the two frames certainly belong to different calls. */
const maybeSame = (a: Frame, b: Frame): boolean =>
  a.function === b.function && a.address === b.address && a.returnAddress === b.returnAddress && sameEntries(a, b);

/** Number of frames, from the outermost in, that may be the same calls at both looks. */
const commonOuter = (before: readonly Frame[], after: readonly Frame[]): number => {
  let common = 0;
  while (
    common < before.length &&
    common < after.length &&
    maybeSame(before[before.length - 1 - common]!, after[after.length - 1 - common]!)
  )
    common++;
  return common;
};

/** Whether a call is the instance's own; `perhaps` where its key is unknown. */
export type Keep = boolean | 'perhaps';

/** What happened between two anchors as one policy sees it, and the assumptions that it rests on. */
export interface Observed {
  readonly stretch: Stretch;
  readonly assumes: readonly string[];
}

export const observe = (
  policy: PolicyInForce,
  before: Anchor,
  after: Anchor,
  source: Source,
  keep: (call: SeenCall) => Keep,
): Observed => {
  // Threads are looked at one after the other: happenings reach to the last instant, certainty only to the first.
  const window = after.threads.some(({ at }) => at < after.busy) ? after.from : Number.POSITIVE_INFINITY;
  const span = { from: before.from, to: after.to, settled: after.from, window, windowed: [] };
  if (isQuiet(before, after)) return { stretch: { ...span, to: after.from, seen: [], unseen: [] }, assumes: [] };
  const assumes = new Set<string>();
  const unseen = possiblyUnseen(policy, before, after, assumes);
  const seen: SeenCall[] = [];
  for (const thread of after.threads) {
    const old = before.threads.find(({ tid }) => tid === thread.tid);
    threadCalls(policy, old, thread, before, source, seen, assumes);
  }
  const kept = reorder(seen, keep);
  if (kept.length > MOST_CALLS || seen.length >= MOST_NOTED)
    return { stretch: { ...span, seen: [], unseen: policy.unseen }, assumes: [] };
  // What certainly did not come and go between the looks may still have begun while this one went from thread to thread.
  const windowed = window < after.to ? policy.unseen.filter((one) => !unseen.includes(one)) : [];
  return { stretch: { ...span, seen: kept, unseen, windowed }, assumes: [...assumes] };
};

/** Drops calls that another instance takes, keeping the order among the rest. */
const reorder = (seen: readonly SeenCall[], keep: (call: SeenCall) => Keep): readonly SeenCall[] => {
  const place = new Map<number, number>();
  seen.forEach((call, n) => {
    if (keep(call) !== false) place.set(n, place.size);
  });
  return [...place.keys()].map((n) => {
    let after = 0;
    for (const [other, to] of place) if ((seen[n]!.after & (1 << other)) !== 0) after |= 1 << to;
    const one = seen[n]!;
    return { ...one, must: one.must && keep(one) === true, after };
  });
};

const threadCalls = (
  policy: PolicyInForce,
  old: ThreadSeen | undefined,
  thread: ThreadSeen,
  before: Anchor,
  source: Source,
  seen: SeenCall[],
  assumes: Set<string>,
): void => {
  const { frames } = thread;
  const common = old === undefined ? 0 : commonOuter(old.frames, frames);
  const notBefore = (old?.at ?? before.from) + 1;
  const early = notBefore <= before.busy;
  let outer = 0;
  for (let depth = 0; depth < frames.length && seen.length < MOST_NOTED; depth++) {
    const frame = frames[frames.length - 1 - depth]!;
    const names = [frame.function, ...frame.alternatives];
    const plans = names.map((name) => policy.plan(name)).filter((plan) => plan !== null);
    if (plans.length === 0) continue;
    const certain = depth >= common && DECISIVE.has(frame.foundBy) && plans.length === names.length;
    const plan = plans[0]!;
    // Several functions: a parameter of any of them may be there, with any value.
    const args = plan.blank.map((_, i): Known | undefined =>
      plans.some(({ blank }) => blank[i] !== undefined) ? UNKNOWN : undefined,
    );
    if (plans.length === 1 && fillArguments(plan, frame.parameters, args)) assumes.add(`stable(${frame.function})`);
    seen.push({
      events: plans.map(({ events }) => events[0]),
      function: frame.function,
      thread: thread.tid,
      callers: frames.slice(frames.length - depth).map((caller) => caller.function),
      args,
      notBefore: Math.min(notBefore, thread.at),
      at: thread.at,
      source,
      must: certain,
      early,
      after: outer,
    });
    outer |= 1 << (seen.length - 1);
  }
};

/** Functions that may have come and gone between the looks, unless a declaration excludes it. */
const possiblyUnseen = (
  policy: PolicyInForce,
  before: Anchor,
  after: Anchor,
  assumes: Set<string>,
): readonly UnseenCall[] => {
  const { minDuration, minCpu } = policy.policy.assume;
  const gap = after.to - before.from;
  const cpu = cpuUsed(before, after);
  return policy.unseen.filter(({ function: name }) => {
    if ((minDuration.get(name) ?? 0) >= gap) {
      assumes.add(`minDuration(${name})`);
      return false;
    }
    if ((minCpu.get(name) ?? 0) > cpu) {
      assumes.add(`minCpu(${name})`);
      return false;
    }
    return true;
  });
};
