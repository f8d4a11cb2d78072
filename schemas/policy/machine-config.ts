import { didYouMean } from '../suggest.js';
import { alwaysCycles } from './always-cycles.js';
import { isRecord } from './document.js';
import { MACHINE_KEYS, REFUSED_KEYS, STATE_KEYS } from './machine-reasons.js';
import { PROCESS_EVENTS } from './names.js';
import type { MachineConfig, StateNode } from './policy.js';
import type { Path, Problems } from './problems.js';
import { stateTree } from './state-tree.js';
import { checkActions, checkTransitions, raisedNames } from './transition-config.js';
import type { Vocabulary } from './vocabulary.js';

const MAX_STATES = 2000;
/** Ten years: beyond, a deadline in microseconds nears what a number holds exactly. */
const MAX_AFTER = 315_360_000_000;
const TYPES = ['atomic', 'compound', 'parallel', 'final'];

/**
 * Validates the restricted XState machine configuration and gives it back as it stands. Everything found goes to `problems`;
 * the answer is undefined if its shape is too broken to go on with.
 */
export const checkMachine = (
  value: unknown,
  path: Path,
  vocabulary: Vocabulary,
  problems: Problems,
): MachineConfig | undefined => {
  if (!isRecord(value)) {
    problems.add(path, 'an XState machine configuration is expected here');
    return undefined;
  }
  const before = problems.found.length;
  const count = checkShape(value, path, problems);
  if (problems.found.length > before) return undefined;
  if (count > MAX_STATES) {
    problems.add(path, `${count} states`, `at most ${MAX_STATES}`);
    return undefined;
  }
  const config = value as MachineConfig;
  checkMeaning(config, path, vocabulary, problems);
  return config;
};

/** Keys, kinds and the tree; returns the number of states. The document's depth bounds the recursion. */
const checkShape = (node: Readonly<Record<string, unknown>>, path: Path, problems: Problems, root = true): number => {
  const keys: readonly string[] = root ? MACHINE_KEYS : STATE_KEYS;
  for (const key of Object.keys(node)) {
    if (keys.includes(key)) continue;
    const reason = Object.hasOwn(REFUSED_KEYS, key) ? REFUSED_KEYS[key] : undefined;
    problems.add(
      [...path, key],
      reason === undefined ? `unknown key "${key}"` : `"${key}" is refused`,
      reason ?? didYouMean(key, keys),
    );
  }
  const { type, initial, id, tags, description, states } = node;
  if (type === 'history') problems.add([...path, 'type'], 'a history state is refused', REFUSED_KEYS['history']);
  else if (type !== undefined && !TYPES.includes(type as string))
    problems.add([...path, 'type'], `unknown type ${JSON.stringify(type)}`, didYouMean(String(type), TYPES));
  if (id !== undefined && (typeof id !== 'string' || id === '' || /[.#\\]/.test(id)))
    problems.add([...path, 'id'], 'an id is a word without ".", "#" and "\\"');
  if (description !== undefined && typeof description !== 'string')
    problems.add([...path, 'description'], 'not a text');
  const words = Array.isArray(tags) ? tags : tags === undefined ? [] : [tags];
  if (!words.every((word) => typeof word === 'string' && word !== ''))
    problems.add([...path, 'tags'], 'not a word or a list of words');
  for (const key of ['on', 'after'])
    if (node[key] !== undefined && !isRecord(node[key]))
      problems.add(
        [...path, key],
        'not a mapping',
        key === 'on' ? 'write EVENT: TARGET' : 'write MILLISECONDS: TARGET',
      );

  if (states !== undefined && !isRecord(states)) {
    problems.add([...path, 'states'], 'not a mapping', 'write NAME: {…}');
    return 1;
  }
  const names = Object.keys(states ?? {});
  checkInitial(type, initial, names, path, problems, root);
  if (type === 'final')
    for (const key of ['states', 'on', 'after', 'always', 'onDone'])
      if (node[key] !== undefined)
        problems.add([...path, key], 'a final state has no way on', 'remove it, or the type "final"');

  let count = 1;
  for (const name of names) {
    const at = [...path, 'states', name];
    if (name === '' || /[.#\\|]/.test(name))
      problems.add(
        at,
        'a state is named without ".", "#", "|" and "\\"',
        'these separate names in targets and verdicts',
      );
    const child = states![name];
    if (child === null) problems.add(at, 'nothing stands here', 'write {} for a state without parts');
    else if (isRecord(child)) count += checkShape(child, at, problems, false);
    else problems.add(at, 'not a state', 'write {…}');
  }
  return count;
};

const checkInitial = (
  type: unknown,
  initial: unknown,
  names: readonly string[],
  path: Path,
  problems: Problems,
  root: boolean,
): void => {
  const at = [...path, 'initial'];
  if (type === 'parallel') {
    if (initial !== undefined) problems.add(at, 'a parallel state starts in all its regions', 'remove "initial"');
    if (names.length === 0) problems.add(path, 'a parallel state without regions', 'give it "states"');
  } else if (names.length > 0) {
    if (type === 'atomic') problems.add([...path, 'type'], 'an atomic state has no states inside', 'remove "type"');
    if (initial === undefined)
      problems.add(path, 'no "initial"', `say in which state it starts: ${names.slice(0, 6).join(', ')}`);
    else if (typeof initial !== 'string')
      problems.add(at, 'not the name of a state', 'XState\'s form {target, actions} is refused: use "entry"');
    else if (!names.includes(initial)) problems.add(at, `no state "${initial}" here`, didYouMean(initial, names));
  } else {
    if (root) problems.add(path, 'a machine without states', 'give it "initial" and "states"');
    if (type === 'compound') problems.add([...path, 'type'], 'a compound state needs states inside');
    if (initial !== undefined) problems.add(at, 'there are no states inside');
  }
};

/** Events, targets, expressions and loops, over a tree of sound shape. */
const checkMeaning = (config: MachineConfig, path: Path, vocabulary: Vocabulary, problems: Problems): void => {
  const tree = stateTree(config);
  const raised = raisedNames(tree);
  const events = new Set<string>([...vocabulary.functions.keys(), ...PROCESS_EVENTS, ...raised]);
  const ids = new Set<string>();
  for (const state of tree.states) {
    const at = [...path, ...state.path.flatMap((key) => ['states', key])];
    const { node } = state;
    if (node.id !== undefined) {
      if (ids.has(node.id)) problems.add([...at, 'id'], `a second state with the id "${node.id}"`);
      ids.add(node.id);
    }
    const place = { tree, state, vocabulary, problems };
    for (const [event, transitions] of Object.entries(node.on ?? {})) {
      const here = [...at, 'on', event];
      if (event !== '*' && !events.has(event)) problems.add(here, ...unknownEvent(event, events));
      checkTransitions(transitions, here, place, vocabulary.functions.get(event) && event);
    }
    for (const [delay, transitions] of Object.entries(node.after ?? {})) {
      const here = [...at, 'after', delay];
      if (!/^[1-9]\d*$/.test(delay) || Number(delay) > MAX_AFTER)
        problems.add(
          here,
          `"${delay}" is no deadline`,
          delay === '0'
            ? 'use "always" for what happens at once'
            : 'write whole milliseconds from 1 on; named delays are refused',
        );
      checkTransitions(transitions, here, place);
    }
    if (node.always !== undefined) checkTransitions(node.always, [...at, 'always'], place);
    if (node.onDone !== undefined) checkOnDone(node, at, place);
    for (const key of ['entry', 'exit'] as const) checkActions(node[key], [...at, key], place);
  }
  // Targets that do not resolve would only confuse the search for loops.
  if (problems.found.length > 0) return;
  for (const cycle of alwaysCycles(tree)) {
    const names = cycle.map((state) => (state.parent === null ? '(machine)' : state.path.join('.')));
    const where = [...path, ...cycle[0]!.path.flatMap((key) => ['states', key]), 'always'];
    problems.add(
      where,
      `"always" without a guard goes round for ever: ${names.join(' → ')}`,
      'give one of them a guard',
    );
  }
};

const checkOnDone = (node: StateNode, at: Path, place: Parameters<typeof checkTransitions>[2]): void => {
  if (node.states === undefined) place.problems.add([...at, 'onDone'], 'there are no states inside that could be done');
  else if (place.state.parent === null)
    place.problems.add([...at, 'onDone'], 'the machine itself has nothing to go on to', 'tag the final state instead');
  checkTransitions(node.onDone!, [...at, 'onDone'], place);
};

const unknownEvent = (event: string, events: ReadonlySet<string>): [string, string] => {
  if (event.endsWith('.*') || event.includes('*'))
    return [
      `the pattern "${event}" is refused`,
      'names of functions hold dots of their own; list them, or use "*" for any event',
    ];
  if (event === '') return ['an event without a name', 'XState 5 writes "always"'];
  return [`no function or event "${event}"`, didYouMean(event, events) || 'name it under "functions"'];
};
