import fc from 'fast-check';
import type { Action, MachineConfig, StateNode, Transition } from '../../schemas/policy/policy.js';

/** Events that are functions of the policy; `a.b` is there for the sake of `a.*`. */
export const EVENTS = ['a', 'b', 'a.b'] as const;

const GUARDS = [
  'context.x < 2',
  'context.y == 1',
  'context.x + context.y > 2',
  'args.n > 1',
  'args.n == context.x',
  'event.function == "a"',
  // Errors in some environments: no such parameter, division by zero.
  'args.m == 0',
  '6 / context.x > 2',
] as const;

const ASSIGNS: readonly Readonly<Record<string, string | number>>[] = [
  { x: '(context.x + 1) % 4' },
  { y: 'args.n' },
  { x: 'context.y', y: 'context.x' },
  { y: 'context.x / context.y', x: 0 },
];

/** What fast-check draws and shrinks: numbers that `drawn` reads modulo what there is to choose from. */
interface RawTransition {
  readonly event: number;
  readonly target: number;
  readonly guard: number;
  readonly actions: readonly number[];
  readonly reenter: boolean;
}

interface RawNode {
  readonly kind: number;
  readonly children: readonly RawNode[];
  readonly initial: number;
  readonly on: readonly RawTransition[];
  readonly after: readonly RawTransition[];
  readonly always: readonly RawTransition[];
  readonly done: readonly RawTransition[];
  readonly entry: readonly number[];
  readonly exit: readonly number[];
  readonly tagged: boolean;
}

const pick = fc.nat({ max: 1000 });

const few = <T>(one: fc.Arbitrary<T>, odds: number, max = 2): fc.Arbitrary<readonly T[]> =>
  fc.oneof(
    { weight: 10 - odds, arbitrary: fc.constant([]) },
    { weight: odds, arbitrary: fc.array(one, { minLength: 1, maxLength: max }) },
  );

const rawTransition: fc.Arbitrary<RawTransition> = fc.record({
  event: pick,
  target: pick,
  guard: pick,
  actions: few(pick, 4),
  reenter: fc.boolean(),
});

const rawNode = (depth: number): fc.Arbitrary<RawNode> =>
  fc.record({
    kind: pick,
    children:
      depth === 0
        ? fc.constant([])
        : fc.array(rawNode(depth - 1), { minLength: depth === 3 ? 2 : 0, maxLength: depth === 3 ? 3 : 2 }),
    initial: pick,
    on: few(rawTransition, 7, 3),
    after: few(rawTransition, 3),
    always: few(rawTransition, 2),
    done: few(rawTransition, 5, 1),
    entry: few(pick, 2),
    exit: few(pick, 2),
    tagged: fc.nat({ max: 9 }).map((n) => n === 0),
  });

const at = <T>(list: readonly T[], index: number): T => list[index % list.length]!;

/** Calls may raise `r`, entries, exits and `r` itself raise `q`, `q` mostly stays: so that most machines come to rest. */
const DESCRIPTORS = [...EVENTS, 'a', 'b', 'a.*', 'r', 'r', 'q', 'q', '$exec', 'a.*', '*'] as const;
const DELAYS = [1, 2, 3, 5];

/** A machine of at most three levels: parallel and final states, guards, timers, `always`, `raise`, `onDone`, wildcards. */
export const randomMachine: fc.Arbitrary<MachineConfig> = rawNode(3).map((raw) => {
  // Ids for all states, so that a transition can lead anywhere below the root.
  const ids: string[] = [];
  const number = (node: RawNode): void => {
    for (const child of node.children) {
      ids.push(`s${ids.length}`);
      number(child);
    }
  };
  number(raw);
  let next = 0;

  const actions = (picks: readonly number[], raises: 'r' | 'q' | 'a' | undefined): Action[] =>
    picks.map((n) =>
      n % 3 === 0 && raises !== undefined
        ? { type: 'raise', params: { event: n % 50 === 0 ? 'a' : raises } }
        : { type: 'assign', params: at(ASSIGNS, n) },
    );

  const transition = (
    drawn: RawTransition,
    mustGuard: boolean,
    raises: 'r' | 'q' | undefined,
    stays = false,
  ): Transition => ({
    ...(drawn.target % 4 === 0 || stays ? {} : { target: `#${at(ids, drawn.target)}` }),
    ...(mustGuard || drawn.guard % 2 === 0 ? { guard: at(GUARDS, drawn.guard >> 1) } : {}),
    ...(drawn.actions.length > 0 ? { actions: actions(drawn.actions, raises) } : {}),
    ...(drawn.reenter ? { reenter: true } : {}),
  });

  /** Mostly guarded and mostly forward: else few machines would ever rest. */
  const eventless = (drawn: RawTransition, own: number): Transition => {
    const wild = drawn.event % 16 === 0;
    const one = transition(
      wild || drawn.target % 4 !== 0 ? drawn : { ...drawn, actions: [] },
      drawn.event % 8 > 0,
      'q',
    );
    if (wild || one.target === undefined || own + 1 >= ids.length) return wild || one.target === undefined ? one : {};
    return { ...one, target: `#${ids[own + 1 + (drawn.target % (ids.length - own - 1))]}` };
  };

  const byKey = (drawn: readonly RawTransition[], keys: readonly (string | number)[]): Record<string, Transition[]> => {
    const grouped: Record<string, Transition[]> = {};
    for (const one of drawn) {
      const key = `${at(keys, one.event)}`;
      grouped[key] ??= [];
      const raises = key === 'r' ? 'q' : key === 'q' || key.includes('*') ? undefined : 'r';
      grouped[key].push(transition(one, false, raises, (key === 'q' || key === '*') && one.guard % 16 > 0));
    }
    return grouped;
  };

  const build = (node: RawNode, depth: number, mayEnd: boolean): StateNode => {
    const common = {
      ...(node.entry.length > 0 ? { entry: actions(node.entry, 'q') } : {}),
      ...(node.exit.length > 0 ? { exit: actions(node.exit, 'q') } : {}),
      ...(node.tagged && depth > 0 ? { tags: ['violation'] } : {}),
    };
    if (node.children.length === 0 && mayEnd && node.kind % 4 === 0) return { type: 'final', ...common };
    const own = next - 1;
    const always = node.always.map((one) => eventless(one, own));
    const parallel = node.children.length > 1 && node.kind % 4 === 1;
    const states: Record<string, StateNode> = {};
    for (const child of node.children) {
      const id = ids[next++]!;
      states[id] = { id, ...build(child, depth + 1, true) };
    }
    return {
      ...common,
      ...(node.children.length === 0 ? {} : { states }),
      ...(parallel ? { type: 'parallel' } : {}),
      ...(node.children.length > 0 && !parallel ? { initial: at(Object.keys(states), node.initial) } : {}),
      on: byKey(node.on, DESCRIPTORS),
      after: byKey(node.after, DELAYS),
      ...(always.length > 0 ? { always } : {}),
      ...(node.children.length > 0 && node.done.length > 0
        ? { onDone: node.done.map((one) => transition(one, false, 'q')) }
        : {}),
    };
  };
  return { ...build(raw, 0, false), context: { x: 0, y: 0 } };
});

export type Move = { readonly event: string; readonly n: number } | { readonly wait: number };

/** Calls with an argument (also of a function that no state knows, and `$exec`), and waits in milliseconds. */
export const randomMoves: fc.Arbitrary<readonly Move[]> = fc.array(
  fc.oneof(
    { weight: 3, arbitrary: fc.record({ event: fc.constantFrom(...EVENTS, '$exec', '$fork'), n: fc.nat({ max: 3 }) }) },
    { weight: 1, arbitrary: fc.record({ wait: fc.nat({ max: 6 }) }) },
  ),
  { minLength: 4, maxLength: 16 },
);
