import { expect, test } from '@jest/globals';
import { checkPolicy } from '../../../schemas/policy/check.js';
import { parsePolicy } from '../../../schemas/policy/parse.js';

const findingsOf = (text: string): string[] =>
  checkPolicy(parsePolicy(text, 'p.yaml')).map(({ code, path }) => `${code} ${path}`);

const FUNCTIONS = 'functions: { f: { parameters: { n: { type: int, release: clear } } }, g: {} }\n';

test('a policy that means what it says has no findings', () => {
  expect(
    findingsOf(`id: p
${FUNCTIONS}
machine:
  initial: a
  context: { most: 3 }
  states:
    a: { on: { f: { guard: "args.n < context.most", target: b } } }
    b: { on: { g: a }, after: { 10: late } }
    late: { tags: [violation] }
`),
  ).toEqual([]);
});

test('what makes no difference is found', () => {
  expect(
    findingsOf(`id: p
functions: { f: { parameters: { n: clear, m: hash, k: none } }, g: {}, h: {} }
unexpected: ignore
machine:
  initial: a
  context: { count: 0, unread: 1 }
  states:
    a:
      on:
        f: [{ guard: "false && args.n == 1", target: b }, { guard: "context.count > 3", target: c }]
      after: { 10: b, 20: c, 30: a }
    b: {}
    c: { on: { g: { target: a, actions: { type: assign, params: { unread: "context.unread + 1" } } } } }
    d: { on: { h: b }, initial: e, states: { e: {} } }
`),
  ).toEqual([
    'unreachable-state machine.states.d',
    'dead-end machine.states.b',
    'unreachable-deadline machine.states.a.after["20"]',
    'unreachable-deadline machine.states.a.after["30"]',
    'constant-guard machine.states.a.on.f[0].guard',
    'unused-function functions.h',
    'unused-parameter functions.f.parameters.m',
    'unused-variable machine.context.unread',
    'never-violated unexpected',
  ]);
});

test('regions of a parallel state are reached together, and take each other on', () => {
  expect(
    findingsOf(`id: p
${FUNCTIONS}
machine:
  initial: a
  states:
    a: { on: { f: { guard: "has(args.n)", target: both.one.y } } }
    both:
      type: parallel
      states:
        one: { initial: x, states: { x: { on: { g: y } }, y: { on: { f: x } } } }
        two: { initial: z, states: { z: {} } }
`),
  ).toEqual(['constant-guard machine.states.a.on.f.guard']);
});

test('a key of slices is used, a star answers every call, and has() after a star is open', () => {
  expect(
    findingsOf(`id: p
functions: { f: { parameters: { key: clear } }, g: { parameters: { n: clear } } }
slice: { session: { f: key } }
machine: { initial: a, states: { a: { on: { "*": { guard: "has(args.n)", target: a } } } } }
`),
  ).toEqual([]);
});
