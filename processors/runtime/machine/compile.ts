import { createHash } from 'node:crypto';
import canonicalize from 'canonicalize';
import { compileExpression } from '../../../schemas/policy/cel/compile.js';
import { scopeOf } from '../../../schemas/policy/cel/scope.js';
import { PROCESS_EVENTS } from '../../../schemas/policy/names.js';
import type { Policy } from '../../../schemas/policy/policy.js';
import { Opaque, Real, type Value } from '../../../schemas/policy/value.js';
import { configurations } from './configurations.js';
import { decisionTree, raisedExpressions, tooLarge } from './decision-tree.js';
import type { Machine, Outcome, Step } from './machine.js';
import { type End, isDeaf, macrostep, type Rest, type Stimulus } from './macrostep.js';
import { type CompileExpression, stateTree } from './state-tree.js';

/** Table cells of one machine: configurations times events and timers. */
const MAX_CELLS = 200_000;
/** Paths through all decision trees of one machine: some seconds of work. */
const MAX_PATHS = 100_000;

/** Matches wildcards only; no descriptor can hold it. */
const UNKNOWN_EVENT = '\u0000';

/**
 * Compiles a policy's machine to tables. All configurations that can be reached whatever the guards say are explored
 * at once, so that a machine that cannot be run is refused when it is loaded and steps are plain lookups afterwards.
 * Throws POLICY_INVALID, MACHINE_UNBOUNDED, MACHINE_TOO_LARGE.
 */
export const compileMachine = (policy: Policy, compile: CompileExpression = celOf(policy)): Machine => {
  const tree = stateTree(policy, compile);
  const events = [...new Set([...policy.functions.keys(), ...PROCESS_EVENTS, ...tree.raised])];
  const eventNumbers = new Map(events.map((name, index) => [name, index]));
  const known = configurations(tree);
  const within = raisedExpressions();
  const outcomes = new Map<string, Outcome>();
  const budget = { paths: MAX_PATHS };

  const leaf = (end: End): Outcome => {
    const configuration = known.number(end.rest);
    const violation = end.violation || known.violating(configuration);
    const { taken, exited, entered } = end;
    const key = `${configuration} ${taken} ${violation} ${exited} ${entered}`;
    let outcome = outcomes.get(key);
    if (outcome === undefined) {
      outcome = { is: 'outcome', configuration, taken, violation, exited, entered, done: end.rest.done };
      outcomes.set(key, outcome);
    }
    return outcome;
  };

  const stepOf = (rest: Rest, stimulus: Stimulus): Step =>
    rest.done && stimulus !== 'start'
      ? leaf({ rest, taken: false, violation: false, exited: [], entered: [] })
      : decisionTree((path) => macrostep(tree, rest, stimulus, path), within, leaf, budget);

  const initial = stepOf({ active: [], spent: [], done: false }, 'start');
  // Column 0 answers for events that the machine does not know, then events, then timers.
  const timersFrom = events.length + 1;
  const width = timersFrom + tree.timers.length;
  const stimuli: Exclude<Stimulus, 'start'>[] = [UNKNOWN_EVENT, ...events].map((event) => ({ event }));
  tree.timerEvents.forEach((event, timer) => {
    stimuli.push({ event, timer });
  });
  const cells: Step[] = [];
  // Outcomes number the configurations they reach: the loop ends when no cell found another one.
  for (let from = 0; from < known.count(); from++) {
    if (cells.length + width > MAX_CELLS) throw tooLarge('combinations of states');
    const rest = known.rest(from);
    const active = known.active(from);
    const stays = leaf({ rest, taken: false, violation: false, exited: [], entered: [] });
    stimuli.forEach((stimulus, column) => {
      // A timer that does not run, or an event (a timer that runs is spent by firing, whoever listens).
      const idle = column >= timersFrom ? !active.includes(column - timersFrom) : isDeaf(rest, stimulus.event);
      cells.push(idle ? stays : stepOf(rest, stimulus));
    });
  }
  const all = Array.from({ length: known.count() }, (_, configuration) => configuration);

  return {
    digest: digestOf(policy, events),
    events,
    timers: tree.timers,
    event: (name) => eventNumbers.get(name) ?? -1,
    initial: () => initial,
    step: (configuration, event) => cells[configuration * width + event + 1]!,
    fire: (configuration, timer) => cells[configuration * width + timersFrom + timer]!,
    active: known.active,
    describe: known.describe,
    named: known.named,
    violating: known.violating,
    reachable: () => all,
  };
};

const celOf = (policy: Policy): CompileExpression => {
  const scope = scopeOf(policy);
  return (source, expected, path) => compileExpression(source, scope, expected, path);
};

/** Values as JSON that keeps 1, 1.0 and a large integer apart. */
const plain = (value: Value): unknown => {
  if (typeof value === 'bigint') return { int: String(value) };
  if (value instanceof Real) return { double: String(value.value) };
  return value instanceof Opaque ? { hash: value.hash } : value;
};

const digestOf = (policy: Policy, events: readonly string[]): string => {
  const meaning = {
    events,
    machine: policy.machine,
    parameters: policy.parameterNames,
    variables: policy.variables.map(({ name, type, initial }) => ({ name, type, initial: plain(initial) })),
  };
  return `sha256:${createHash('sha256').update(canonicalize(meaning)!).digest('hex')}`;
};
