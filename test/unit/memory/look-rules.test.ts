import { expect, test } from '@jest/globals';
import { lookRules } from '../../../producers/memory/record/look-rules.js';
import { Release } from '../../../producers/memory/record/release.js';
import { parsePolicy } from '../../../schemas/policy/parse.js';
import type { Policy } from '../../../schemas/policy/policy.js';

const policy = (functions: string, more = ''): Policy =>
  parsePolicy(`{ id: p, ${more} functions: ${functions}, machine: { initial: a, states: { a: {} } } }`, 'p');

const A = policy(
  '{ act: { parameters: { level: clear, code: hash } }, open: {} }',
  'globals: { mode: hash }, syscalls: { openat: { a1: hash } }, threadNames: hash,',
);
const B = policy(
  '{ act: { parameters: { code: clear, user: none } }, shut: { parameters: { door: clear } } }',
  'stop: allowed, globals: { mode: clear, count: clear }, syscalls: { openat: { a1: clear, a2: hash } },',
);

test('one policy asks for what it says', () => {
  const { name, binary, stop, functions } = lookRules([A])!;
  expect({ name, binary, stop, functions }).toEqual({
    name: `any ${A.digest}`,
    binary: 'any',
    stop: 'never',
    functions: A.functions,
  });
  expect(lookRules([])).toBe(null);
});

test('of several policies the opener word counts, whatever their order', () => {
  for (const policies of [
    [A, B],
    [B, A],
  ]) {
    const rules = lookRules(policies)!;
    expect(new Set(rules.functions.keys())).toEqual(new Set(['act', 'open', 'shut']));
    const act = rules.functions.get('act')!.parameters;
    expect(Object.fromEntries([...act].map(([name, { release }]) => [name, release]))).toEqual({
      level: 'clear',
      code: 'clear',
      user: 'none',
    });
    expect(Object.fromEntries([...rules.globals].map(([name, { release }]) => [name, release]))).toEqual({
      mode: 'clear',
      count: 'clear',
    });
    expect(rules.syscalls).toEqual(
      new Map([
        [
          'openat',
          new Map([
            ['a1', 'clear'],
            ['a2', 'hash'],
          ]),
        ],
      ]),
    );
    expect([rules.stop, rules.threadNames]).toEqual(['allowed', 'hash']);
    expect(new Release(rules).syscall('openat', ['0x1', '0x2'])).toMatchObject([{ name: 'a1', int: 2 }]);
  }
});

test('rules for one path hold for no other that it could mean as a pattern', () => {
  expect(lookRules([A], '/app/pump')).toMatchObject({ binary: '/app/pump' });
  expect(lookRules([A], '/app/*')).toBe(null);
  expect(lookRules([A], '/app/pum?')).toBe(null);
});

test('equal rules have one name, others another', () => {
  const names = [[A], [B], [A, B]].map((policies) => lookRules(policies)!.name);
  expect(new Set([...names, lookRules([A], '/x')!.name]).size).toBe(4);
  expect(lookRules([A, B])!.name).toBe(names[2]);
});
