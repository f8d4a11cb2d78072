import fc from 'fast-check';
import type { Scope } from '../../schemas/policy/cel/scope.js';
import type { Environment } from '../../schemas/policy/expression.js';
import { Opaque, Real, type Value } from '../../schemas/policy/value.js';

/** One name of each type, in the order of the arrays of an environment. */
export const SCOPE: Scope = {
  parameters: [
    { name: 'i', type: 'int', released: true },
    { name: 'j', type: 'int', released: true },
    { name: 'r', type: 'double', released: true },
    { name: 's', type: 'string', released: true },
    { name: 'b', type: 'bool', released: true },
    { name: 'x', type: 'dyn', released: true },
    { name: 'org:who', type: 'dyn', released: true },
  ],
  variables: [
    { name: 'n', type: 'int' },
    { name: 'd', type: 'double' },
    { name: 'w', type: 'string' },
    { name: 'f', type: 'bool' },
    { name: 'y', type: 'dyn' },
  ],
};

const EDGES = [
  0n,
  1n,
  -1n,
  2n,
  3n,
  1n << 31n,
  (1n << 53n) - 1n,
  1n << 53n,
  -(1n << 53n),
  (1n << 62n) + 1n,
  (1n << 63n) - 1n,
  -(1n << 63n) + 1n,
];
const whole = fc.oneof(fc.constantFrom(...EDGES), fc.bigInt({ min: -9n, max: 9n }));
const reals = fc.constantFrom(0, -0, 0.5, 1, -2.25, 2 ** 53, 1e300, Number.POSITIVE_INFINITY, Number.NaN);
const words = fc.constantFrom('', 'a', 'ab', 'b', '7', '-12', '1e3', 'ä', '😀a', 'main');

const asInt = (value: bigint): Value => (value >= -(2n ** 53n - 1n) && value <= 2n ** 53n - 1n ? Number(value) : value);
const ints: fc.Arbitrary<Value> = whole.map(asInt);
const doubles: fc.Arbitrary<Value> = reals.map((value) => new Real(value));
const anything: fc.Arbitrary<Value> = fc.oneof(
  ints,
  doubles,
  words,
  fc.boolean(),
  fc.constant(null),
  fc.constantFrom('h1', 'h2').map((h) => new Opaque(h)),
);
const noHash: fc.Arbitrary<Value> = fc.oneof(ints, doubles, words, fc.boolean(), fc.constant(null));

const maybe = (value: fc.Arbitrary<Value>): fc.Arbitrary<Value | undefined> =>
  fc.option(value, { nil: undefined, freq: 8 });

const environmentWith = (dyn: fc.Arbitrary<Value>): fc.Arbitrary<Environment<Value>> =>
  fc.record({
    args: fc.tuple(maybe(ints), maybe(ints), maybe(doubles), maybe(words), maybe(fc.boolean()), maybe(dyn), maybe(dyn)),
    context: fc.tuple(ints, doubles, words, fc.boolean(), dyn),
    event: fc.record({
      function: words,
      at: fc.nat(),
      notBefore: fc.nat(),
      thread: fc.nat(9),
      callers: fc.array(words, { maxLength: 3 }),
    }),
    slice: dyn,
  });

/** Concrete environments that the library can hold too. */
export const environments = environmentWith(noHash);
export const environmentsWithHashes = environmentWith(anything);

type Term = 'int' | 'double' | 'string' | 'bool' | 'dyn';

const { int, double, string, bool, dyn } = fc.letrec<Record<Term, string>>((tie) => {
  const pair = (term: Term, operators: readonly string[], other: Term = term): fc.Arbitrary<string> =>
    fc.tuple(tie(term), fc.constantFrom(...operators), tie(other)).map(([a, operator, b]) => `(${a} ${operator} ${b})`);
  const choice = (term: Term): fc.Arbitrary<string> =>
    fc.tuple(tie('bool'), tie(term), tie(term)).map(([c, a, b]) => `(${c} ? ${a} : ${b})`);
  const of = (form: (term: string) => string, term: Term): fc.Arbitrary<string> => tie(term).map(form);
  const orders = ['<', '<=', '>', '>='];
  return {
    int: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      fc.constantFrom('args.i', 'args.j', 'context.n', 'event.at', 'event.thread', 'args["i"]', 'size(event.callers)'),
      whole.filter((value) => value >= 0n).map((value) => `${value}`),
      pair('int', ['+', '-', '*']),
      // The library lets the least int through these two without an overflow; see the unit tests for what CEL says.
      fc
        .tuple(tie('int'), fc.constantFrom('/', '%'), tie('string'))
        .map(([a, operator, b]) => `(${a} ${operator} size(${b}))`),
      fc.constantFrom('(-args.i)', '(-context.n)', '(args.i / args.j)', '(args.i % context.n)', '(context.n / -3)'),
      of((a) => `size(${a})`, 'string'),
      of((a) => `${a}.size()`, 'string'),
      of((a) => `int(${a})`, 'int'),
      choice('int'),
    ),
    double: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      fc.constantFrom('args.r', 'context.d', '0.5', '2.0', '1e300'),
      pair('double', ['+', '-', '*', '/']),
      of((a) => `(-${a})`, 'double'),
      of((a) => `double(${a})`, 'int'),
      choice('double'),
    ),
    string: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      fc.constantFrom('args.s', 'context.w', 'event.function', '"ab"', "''", 'event.callers[0]'),
      pair('string', ['+']),
      of((a) => `string(${a})`, 'int'),
      of((a) => `string(${a})`, 'bool'),
      choice('string'),
    ),
    bool: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      fc.constantFrom('args.b', 'context.f', 'true', 'false', 'has(args.i)', 'has(args.x)', '(slice == 1)'),
      pair('bool', ['&&', '||', '==', '!=']),
      of((a) => `(!${a})`, 'bool'),
      pair('int', [...orders, '==', '!=']),
      pair('double', [...orders, '==', '!=']),
      pair('int', orders, 'double'),
      pair('double', orders, 'int'),
      pair('string', [...orders, '==', '!=']),
      pair('dyn', ['==', '!=']),
      pair('dyn', [...orders, '==', '!='], 'int'),
      pair('double', [...orders, '==', '!='], 'dyn'),
      pair('dyn', ['==', '!=', '<'], 'string'),
      fc.tuple(tie('int'), tie('int'), tie('int')).map(([a, b, c]) => `(${a} in [${b}, ${c}, 3])`),
      of((a) => `(${a} in [1, 2, 3])`, 'int'),
      of((a) => `(${a} in event.callers)`, 'string'),
      fc
        .tuple(tie('string'), fc.constantFrom('contains', 'startsWith', 'endsWith'), tie('string'))
        .map(([a, name, b]) => `${a}.${name}(${b})`),
      choice('bool'),
    ),
    dyn: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      fc.constantFrom('args.x', 'context.y', 'slice', 'args["org:who"]'),
      of((a) => `dyn(${a})`, 'int'),
      pair('dyn', ['+', '-'], 'int').map((a) => `dyn(${a})`),
      pair('dyn', ['+', '-', '*']).map((a) => `dyn(${a})`),
    ),
  };
});

export const terms = { int, double, string, bool, dyn };
