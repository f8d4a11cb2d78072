import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { isAttestreamError } from '../../schemas/errors.js';
import { checkPolicy } from '../../schemas/policy/check.js';
import { parsePolicy, policyFromDocument } from '../../schemas/policy/parse.js';
import type { Policy } from '../../schemas/policy/policy.js';
import { toXState } from '../../schemas/policy/to-xstate.js';

const DOCUMENT = {
  id: 'lock',
  binary: '/app/lock',
  image: 'app:*',
  functions: { open: { parameters: { user: 'clear', key: { type: 'string', release: 'hash' } } }, close: null },
  machine: {
    initial: 'shut',
    context: { n: 0, last: null },
    on: { '*': { guard: 'has(args.user)' } },
    states: {
      shut: {
        on: { open: [{ guard: 'args.user == "root" || context.n < 3', target: 'door.ajar' }, '#gone'] },
        after: { 500: 'door' },
        entry: { type: 'raise', params: { event: 'dark' } },
      },
      door: {
        initial: 'ajar',
        states: {
          ajar: { on: { close: { target: 'end', actions: [{ type: 'assign', params: { n: 'context.n + 1' } }] } } },
          end: { type: 'final' },
        },
        onDone: 'shut',
        always: { guard: 'context.n > 5', target: '.end' },
      },
      gone: { id: 'gone', tags: ['violation'] },
    },
  },
  slice: { session: { open: 'user' } },
  lateness: { within: '10s', beyond: 'list' },
  assume: { minDuration: { open: '4ms' }, callsOnlyFrom: { open: ['main'] }, stable: ['open.user'] },
};

/** Every place of the document, the whole of it apart. */
const PLACES: (readonly string[])[] = [];
const walk = (value: unknown, path: readonly string[]): void => {
  if (path.length > 0) PLACES.push(path);
  if (typeof value === 'object' && value !== null)
    for (const [key, part] of Object.entries(value)) walk(part, [...path, key]);
};
walk(DOCUMENT, []);

const replaced = (path: readonly string[], by: unknown): unknown => {
  const copy = structuredClone(DOCUMENT) as Record<string, unknown>;
  let owner = copy;
  for (const key of path.slice(0, -1)) owner = owner[key] as Record<string, unknown>;
  owner[path[path.length - 1]!] = by;
  return copy;
};

const WORDS = [
  'open',
  'close',
  '*',
  '$exit',
  'shut',
  '.end',
  '#gone',
  '#gone.x',
  '',
  '.',
  '#',
  'door.',
  'a.b',
  '(',
  'args.user',
  'context.n',
  '1 + 1',
  'true',
  'initial',
  'parallel',
  'final',
  'history',
  'assign',
  'raise',
  'constructor',
  'toString',
  '5000',
  '0',
  '\u0000',
];
const strange = fc.oneof(
  fc.constantFrom<unknown>(...WORDS, null, true, 0, -1, 0.5, 1e21, Number.NaN, [], {}, undefined),
  fc.object({ key: fc.constantFrom(...WORDS), values: [fc.constantFrom(...WORDS), fc.integer()], maxDepth: 3 }),
  fc
    .constantFrom(...PLACES)
    .map((path) => path.reduce<unknown>((value, key) => (value as Record<string, unknown>)[key], DOCUMENT)),
);

const usedOrRefused = (read: () => Policy): void => {
  let policy: Policy;
  try {
    policy = read();
  } catch (error) {
    if (!isAttestreamError(error, 'POLICY_INVALID')) throw error;
    return;
  }
  checkPolicy(policy);
  toXState(policy);
};

test('the document that is bent here is valid', () => {
  expect(policyFromDocument(DOCUMENT, 'p').id).toBe('lock');
});

test.each(['open "hash"', '"open"', '{"a":1}', '"__proto__"', '[]'])(
  'a parameter of type %s is refused, not a crash',
  (type) => {
    const text = JSON.stringify(DOCUMENT).replaceAll('"type":"string"', `"type":${type}`);
    expect(text).toContain(type);
    expect(() => parsePolicy(text, 'p')).toThrow(expect.objectContaining({ code: 'POLICY_INVALID' }));
  },
);

test('any part replaced by anything is used or refused, never a crash', () => {
  fc.assert(
    fc.property(fc.constantFrom(...PLACES), strange, (path, by) => {
      usedOrRefused(() => policyFromDocument(replaced(path, by), 'p'));
    }),
    { numRuns: 5000 },
  );
});

test('any text is used or refused, never a crash', () => {
  const text = JSON.stringify(DOCUMENT, null, 1);
  fc.assert(
    fc.property(
      fc.nat(text.length),
      fc.nat(40),
      fc.oneof(
        fc.string({ maxLength: 8 }),
        fc.constantFrom(...WORDS, '&a ', '*a', '!!set', '? ', '- ', '\t', '|', '---\n'),
      ),
      (at, length, by) => {
        usedOrRefused(() => parsePolicy(text.slice(0, at) + by + text.slice(at + length), 'p'));
      },
    ),
    { numRuns: 400 },
  );
});
