import { AttestreamError } from '../../../schemas/errors.js';
import type { Expression } from '../../../schemas/policy/expression.js';
import type { Assignments, Outcome, Step } from './machine.js';
import type { End, Path } from './macrostep.js';
import { inRaisedEvent } from './raised-event.js';

/** Paths of one macrostep and items on one path; beyond, nobody could read the verdict either. */
const MAX_PATHS = 1024;
const MAX_ITEMS = 1024;

type Assigns = Assignments['assigns'];
type Item =
  | { readonly is: 'choice'; readonly guard: Expression; readonly answer: boolean }
  | { readonly is: 'assign'; readonly assigns: Assigns };

interface Trace {
  readonly items: readonly Item[];
  readonly end: End;
}

const tooMany = (what: string): AttestreamError =>
  new AttestreamError(
    'MACHINE_UNBOUNDED',
    `One event has more than ${what} through its guards and raised events. Split the machine, or merge guards.`,
    { path: 'machine' },
  );

export const tooLarge = (what: string): AttestreamError =>
  new AttestreamError(
    'MACHINE_TOO_LARGE',
    `The machine has too many ${what} to be compiled. Split it into several policies, or use slices.`,
    { path: 'machine' },
  );

/** One object per expression and raised event, so that equal guards stay equal. */
export const raisedExpressions = (): ((expression: Expression, raised: string | undefined) => Expression) => {
  const known = new Map<Expression, Map<string, Expression>>();
  return (expression, raised) => {
    if (raised === undefined) return expression;
    let byEvent = known.get(expression);
    if (byEvent === undefined) {
      byEvent = new Map();
      known.set(expression, byEvent);
    }
    let wrapped = byEvent.get(raised);
    if (wrapped === undefined) {
      wrapped = inRaisedEvent(expression, raised);
      byEvent.set(raised, wrapped);
    }
    return wrapped;
  };
};

/**
 * The decision tree of a macrostep: it is run again for every vector of guard answers, and the runs are merged by
 * their common beginnings. A guard that was answered is not asked again before an assign to what it reads.
 * `budget` bounds the paths of all steps of one machine. Throws MACHINE_UNBOUNDED, MACHINE_TOO_LARGE.
 */
export const decisionTree = (
  run: (path: Path) => End,
  within: (expression: Expression, raised: string | undefined) => Expression,
  leaf: (end: End) => Outcome,
  budget: { paths: number },
): Step => {
  const traces: Trace[] = [];
  for (let prefix: boolean[] | undefined = []; prefix !== undefined; ) {
    if (traces.length >= MAX_PATHS) throw tooMany(`${MAX_PATHS} ways`);
    if (--budget.paths < 0) throw tooLarge('ways through its steps');
    const trace = follow(run, within, prefix);
    traces.push(trace);
    prefix = nextPrefix(trace);
  }
  return merge(traces, 0, traces.length, 0, leaf);
};

const follow = (
  run: (path: Path) => End,
  within: (expression: Expression, raised: string | undefined) => Expression,
  prefix: readonly boolean[],
): Trace => {
  const items: Item[] = [];
  const numbers = new Map<Expression, number>();
  const numberOf = (guard: Expression): number => {
    const number = numbers.get(guard) ?? numbers.size;
    numbers.set(guard, number);
    return number;
  };
  const known = new Map<Expression, boolean>();
  let asked = 0;
  const add = (item: Item): void => {
    if (items.push(item) > MAX_ITEMS) throw tooMany(`${MAX_ITEMS} guards and assigns on one way`);
  };
  const end = run({
    ask(guard, raised) {
      const expression = within(guard, raised);
      const before = known.get(expression);
      if (before !== undefined) return before;
      const answer = prefix[asked++] ?? true;
      known.set(expression, answer);
      add({ is: 'choice', guard: expression, answer });
      return answer;
    },
    assign(assigns, raised) {
      for (const guard of known.keys())
        if (assigns.some(({ variable }) => mayRead(guard, variable))) known.delete(guard);
      add({
        is: 'assign',
        assigns: assigns.map(({ variable, value }) => ({ variable, value: within(value, raised) })),
      });
    },
    get asked() {
      return asked;
    },
    known: () => [...known].map(([guard, answer]) => `${numberOf(guard)}${answer ? '+' : '-'}`).join(),
  });
  return { items, end };
};

/** False only if the expression says what it reads (as compiled CEL does) and the variable is not among it. */
const mayRead = (expression: Expression & { readonly variables?: ReadonlySet<number> }, variable: number): boolean =>
  expression.variables?.has(variable) ?? true;

/** Depth first, yes before no: the last yes becomes a no. */
const nextPrefix = ({ items }: Trace): boolean[] | undefined => {
  const answers = items.flatMap((item) => (item.is === 'choice' ? [item.answer] : []));
  const last = answers.lastIndexOf(true);
  return last < 0 ? undefined : [...answers.slice(0, last), false];
};

/** Traces [from, to) agree on their first `at` items. Recursion as deep as a path is long. */
const merge = (traces: readonly Trace[], from: number, to: number, at: number, leaf: (end: End) => Outcome): Step => {
  const { items, end } = traces[from]!;
  const item = items[at];
  if (item === undefined) return leaf(end);
  if (item.is === 'assign') return { is: 'assign', assigns: item.assigns, next: merge(traces, from, to, at + 1, leaf) };
  let split = from;
  while (split < to && isYes(traces[split]!.items[at])) split++;
  const yes = merge(traces, from, split, at + 1, leaf);
  const no = merge(traces, split, to, at + 1, leaf);
  // Interned leaves: the answer made no difference.
  return yes === no ? yes : { is: 'choice', guard: item.guard, yes, no };
};

const isYes = (item: Item | undefined): boolean => item?.is === 'choice' && item.answer;
