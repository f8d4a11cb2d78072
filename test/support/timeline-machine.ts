import { policyFromDocument } from '../../schemas/policy/parse.js';
import type { Policy } from '../../schemas/policy/policy.js';
import type { Choices } from './timeline-random.js';

export const FUNCTIONS = ['f', 'g', 'h'] as const;

const GUARDS = ['args.n < 2', 'args.n == context.x', 'context.x == 1', 'context.x != 2', 'args.n + context.x < 3'];

export interface MachineShape {
  /** Deadlines at most, in all states together. */
  readonly deadlines: number;
  /** Share of guarded transitions. */
  readonly guarded: number;
  /** Adds guards that ask when, from where and by which thread a function was called. */
  readonly circumstances?: boolean;
  readonly extra?: Readonly<Record<string, unknown>>;
}

/** A document of at most 4 states, 3 functions with one parameter, a counter mod 3, and a few deadlines. */
export const randomProcess = (choices: Choices, shape: MachineShape): Record<string, unknown> => {
  const names = ['s0', 's1', 's2'].slice(0, choices.int(1, 3));
  const guards = shape.circumstances
    ? [...GUARDS, 'event.at > 10060000', 'event.thread == 1', 'event.callers.size() < 4', 'event.function == "f"']
    : GUARDS;
  const transition = (target: string, sure: boolean): Record<string, unknown> => ({
    target,
    ...(!sure && choices.chance(shape.guarded) ? { guard: choices.of(guards) } : {}),
    ...(choices.chance(0.4)
      ? {
          actions: {
            type: 'assign',
            params: { x: choices.chance(0.3) ? 'args.n % 3' : '(context.x + 1) % 3' },
          },
        }
      : {}),
    ...(choices.chance(0.2) ? { reenter: true } : {}),
  });
  let deadlines = choices.int(0, shape.deadlines);
  const states = Object.fromEntries(
    names.map((name, i) => {
      const on: Record<string, unknown> = {};
      for (const call of FUNCTIONS)
        if (choices.chance(0.55)) {
          const first = transition(choices.of(names), false);
          on[call] = 'guard' in first && choices.chance(0.5) ? [first, transition(choices.of(names), false)] : [first];
        }
      // At least one way that nothing forbids, or hardly any run would be long.
      on[choices.of(FUNCTIONS)] = [transition(names[(i + 1) % names.length]!, true)];
      const after: Record<string, unknown> = {};
      while (deadlines > 0 && choices.chance(0.6)) {
        deadlines--;
        after[choices.of([3, 12, 40, 150])] = choices.chance(0.5) ? 'late' : choices.of(names);
      }
      return [name, { on, ...(Object.keys(after).length > 0 ? { after } : {}) }];
    }),
  );
  return {
    id: 'timeline',
    functions: Object.fromEntries(
      FUNCTIONS.map((name) => [name, { parameters: { n: { type: 'int', release: 'clear' } } }]),
    ),
    machine: { initial: 's0', context: { x: 0 }, states: { ...states, late: { tags: ['violation'] } } },
    ...shape.extra,
  };
};

export const timelinePolicy = (document: Record<string, unknown>): Policy => policyFromDocument(document, 'timeline');
