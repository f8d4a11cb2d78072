import { describe, expect, test } from '@jest/globals';
import { compileExpression } from '../../../schemas/policy/cel/compile.js';
import type { Scope } from '../../../schemas/policy/cel/scope.js';
import type { Environment } from '../../../schemas/policy/expression.js';
import { type Known, Opaque, Real, UNKNOWN, type Value } from '../../../schemas/policy/value.js';

const SCOPE: Scope = {
  parameters: [
    { name: 'level', type: 'int', released: true },
    { name: 'valve', type: 'hash', released: true },
    { name: 'port', type: 'hash', released: true },
    { name: 'any', type: 'dyn', released: true },
    { name: 'secret', type: 'dyn', released: false },
    { name: 'name', type: 'string', released: true },
  ],
  variables: [
    { name: 'count', type: 'int' },
    { name: 'last', type: 'dyn' },
  ],
};

const environment = <V extends Value | typeof UNKNOWN>(
  args: readonly (V | undefined)[],
  context: readonly V[] = [0 as V, null as V],
): Environment<V> => ({
  args,
  context,
  event: { function: 'f', at: 7, notBefore: 5, thread: 1, callers: ['main', 'loop'] },
  slice: null,
});

const evaluate = (source: string, args: readonly (Value | undefined)[] = [], context?: readonly Value[]): unknown =>
  compileExpression(source, SCOPE, 'dyn', 'test').evaluate(environment<Value>(args, context));

const abstract = (source: string, args: readonly (Known | undefined)[], context?: readonly Known[]): unknown =>
  compileExpression(source, SCOPE, 'dyn', 'test').abstract(environment<Known>(args, context));

const LEAST = '(-9223372036854775807 - 1)';

describe('int64 as CEL has it', () => {
  const cases: readonly (readonly [string, unknown])[] = [
    ['9007199254740991 + 1', 9007199254740992n],
    ['9007199254740992 - 1', 9007199254740991],
    ['9223372036854775807 + 1', undefined],
    ['-9223372036854775808', -9223372036854775808n],
    ['-9223372036854775808 - 1', undefined],
    [`-${LEAST}`, undefined],
    [`${LEAST} / -1`, undefined],
    [`${LEAST} % -1`, 0],
    ['3037000500 * 3037000500', undefined],
    ['-7 / 2', -3],
    ['-7 % 2', -1],
    ['7 % -2', 1],
    ['0 * -5', 0],
    ['-4 % 2', 0],
    ['9007199254740991 / 2', 4503599627370495],
    ['1 / 0', undefined],
    ['1 % 0', undefined],
    ['9223372036854775807 > 9223372036854775806', true],
    ['9007199254740993 == int("9007199254740993")', true],
    ['int("9223372036854775808")', undefined],
    ['int(1e300)', undefined],
    ['int(-2.9)', -2],
    ['int("")', undefined],
    ['int("0x10")', undefined],
  ];
  test.each(cases)('%s', (source, value) => {
    expect(evaluate(source)).toStrictEqual(value);
  });
});

describe('errors and other values', () => {
  const cases: readonly (readonly [string, readonly (Value | undefined)[], unknown])[] = [
    ['args.level > 3', [], undefined],
    ['args.level > 3', ['four'], undefined],
    ['args.level > 3 || true', [], true],
    ['false && args.level > 3', [], false],
    ['args.level > 3 && false', [], false],
    ['args.level > 3 && true', [], undefined],
    ['!(args.level > 3)', [], undefined],
    ['has(args.level) ? args.level : 0', [], 0],
    ['args.any == "x"', [0, undefined, undefined, 3], false],
    ['args.any == 3.0', [0, undefined, undefined, 3], true],
    ['args.any < "x"', [0, undefined, undefined, 3], undefined],
    ['args.any + 1', [0, undefined, undefined, new Real(1)], undefined],
    ['args.any && true', [0, undefined, undefined, 1], undefined],
    ['args.any ? 1 : 2', [0, undefined, undefined, 1], undefined],
    ['args.valve == args.port', [0, new Opaque('a'), new Opaque('a')], true],
    ['args.valve != args.port', [0, new Opaque('a'), new Opaque('b')], true],
    ['args.valve == context.last', [0, new Opaque('a')], false],
    ['size("😀a")', [], 2],
    ['"main" in event.callers', [], true],
    ['event.callers[1]', [], 'loop'],
    ['event.callers[2]', [], undefined],
    ['event.at - event.notBefore', [], 2],
    ['slice == null', [], true],
    ['0.0 / 0.0 == 0.0 / 0.0', [], false],
  ];
  test.each(cases)('%s with %j', (source, args, value) => {
    expect(evaluate(source, args)).toStrictEqual(value);
  });

  test('a text cannot be made to grow without end', () => {
    const long = 'x'.repeat(1 << 15);
    const args = [0, undefined, undefined, undefined, undefined, long];
    expect(evaluate('size(args.name + args.name)', args)).toBe(1 << 16);
    expect(evaluate('args.name + args.name + "x"', args)).toBeUndefined();
  });
});

describe('three-valued', () => {
  const cases: readonly (readonly [string, readonly (Known | undefined)[], unknown])[] = [
    ['args.level <= 80', [UNKNOWN], UNKNOWN],
    ['args.level <= 80 || true', [UNKNOWN], true],
    ['args.level <= 80 && false', [UNKNOWN], false],
    ['args.level <= 80 && args.any > 3', [UNKNOWN], UNKNOWN],
    ['args.level <= 80 && true', [undefined], undefined],
    ['has(args.level)', [UNKNOWN], true],
    ['has(args.level)', [undefined], false],
    ['args.level > 1 ? 5 : 5', [UNKNOWN], UNKNOWN],
    ['args.level in []', [3], false],
    ['args.level + 1', [UNKNOWN], UNKNOWN],
    ['args.level + context.count', [undefined], undefined],
    ['args.valve == args.port', [0, UNKNOWN, new Opaque('a')], UNKNOWN],
  ];
  test.each(cases)('%s with %p', (source, args, value) => {
    expect(abstract(source, args)).toBe(value);
  });
});

describe('refused at load', () => {
  const cases: readonly (readonly [string, string])[] = [
    ['args.valve < args.port', 'column 6: a hashed parameter has no order'],
    ['args.valve == "abc"', 'cannot equal a string'],
    ['size(args.valve) > 1', 'has no order, size or content'],
    ['args.valve in [args.port]', 'has no order, size or content'],
    ['string(args.valve) == "x"', 'has no order, size or content'],
    ['dyn(args.valve) == "x"', 'has no order, size or content'],
    ['(args.level > 1 ? args.valve : args.port) < 3', 'has no order'],
    ['has(args.levle)', 'column 10: no function has a parameter "levle"; did you mean "level"?'],
    ['args.secret == 1', 'column 6: parameter "secret" never leaves the host'],
    ['context.cuont > 1', 'column 9: no such name: cuont; did you mean "count"?'],
    ['event.att > 1', 'did you mean "at"?'],
    ['level > 1', 'did you mean "args.level"?'],
    ['count > 1', 'did you mean "context.count"?'],
    ['args.level < "a"', 'no such overload: int < string'],
    ['args.level < 1u', 'leave the "u" away'],
    ['args.level == 1.0', 'convert one side with int(…) or double(…)'],
    ['args.name.matches("(a+)+$")', 'regular expressions can take exponential time'],
    ['[1, 2].exists(x, x > 1)', 'no loops in expressions'],
    ['event.callers.all(c, c == "a")', 'no loops in expressions'],
    ['[1, 2].map(x, x + 1) == [2, 3]', 'no loops in expressions'],
    ['cel.bind(x, 1, x) == 1', 'write the part out'],
    ['timestamp("2024-01-01T00:00:00Z") == timestamp(0)', 'compare integers'],
    ['{"a": 1}["a"] == 1', 'values have no fields'],
    ['[1] == [2]', 'a list may stand on the right of "in"'],
    ['b"a" == b"a"', 'not supported'],
    ['type(1) == int', 'types are known'],
    ['9223372036854775808 > 1', 'beyond 64 bits'],
    ['args[context.last] == 1', 'the name must be written out'],
    ['args == context', 'no such overload'],
    ['args.level >', 'Unexpected token'],
    ['', 'an empty expression'],
    [`${'1 + '.repeat(1000)}1 > 0`, 'maxAstNodes'],
    ['x'.repeat(5000), 'at most 4096'],
  ];
  test.each(cases)('%s', (source, message) => {
    expect(() => compileExpression(source, SCOPE, 'dyn', 'test')).toThrow(message);
  });
});
