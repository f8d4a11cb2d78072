import { Real, type Value } from '../value.js';
import { int64 } from './integer.js';
import { type Node, strict1, strict2 } from './node.js';
import type { CelType } from './scope.js';

interface Conversion {
  readonly type: CelType;
  readonly from: readonly CelType[];
  readonly convert: (a: Value) => Value | undefined;
}

const WHOLE = /^[+-]?\d{1,20}$/;
const DECIMAL = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/;

const CONVERSIONS: Readonly<Record<string, Conversion>> = {
  int: {
    type: 'int',
    from: ['int', 'double', 'string'],
    convert: (a) => {
      if (typeof a === 'number' || typeof a === 'bigint') return a;
      if (a instanceof Real) return Number.isFinite(a.value) ? int64(BigInt(Math.trunc(a.value))) : undefined;
      return typeof a === 'string' && WHOLE.test(a) ? int64(BigInt(a.replace('+', ''))) : undefined;
    },
  },
  double: {
    type: 'double',
    from: ['int', 'double', 'string'],
    convert: (a) => {
      if (a instanceof Real) return a;
      if (typeof a === 'number' || typeof a === 'bigint') return new Real(Number(a));
      return typeof a === 'string' && DECIMAL.test(a) ? new Real(Number(a)) : undefined;
    },
  },
  string: {
    type: 'string',
    from: ['int', 'double', 'string', 'bool'],
    convert: (a) => {
      if (typeof a === 'object') {
        if (!(a instanceof Real)) return undefined;
        return a.value === Infinity ? '+Inf' : a.value === -Infinity ? '-Inf' : `${a.value}`;
      }
      return `${a}`;
    },
  },
  dyn: { type: 'dyn', from: ['int', 'double', 'string', 'bool', 'null'], convert: (a) => a },
};

/** Code points, as CEL counts. */
const size = (text: string): number => {
  let count = 0;
  for (let i = 0; i < text.length; i++) {
    if ((text.codePointAt(i) ?? 0) > 0xffff) i++;
    count++;
  }
  return count;
};

const TESTS: Readonly<Record<string, (text: string, part: string) => boolean>> = {
  contains: (text, part) => text.includes(part),
  startsWith: (text, part) => text.startsWith(part),
  endsWith: (text, part) => text.endsWith(part),
};

export const FUNCTIONS = ['has', 'size', ...Object.keys(CONVERSIONS)];
export const METHODS = ['size', ...Object.keys(TESTS)];

/** Why a part of CEL or of the library is not taken, by name. */
export const REFUSED: Readonly<Record<string, string>> = {
  matches: 'regular expressions can take exponential time; use contains, startsWith or endsWith',
  exists: 'no loops in expressions; write "value in list", or join the cases by ||',
  all: 'no loops in expressions; join the cases by &&',
  exists_one: 'no loops in expressions',
  map: 'no loops in expressions',
  filter: 'no loops in expressions',
  bind: 'write the part out, or keep it in a context variable',
  timestamp: 'event.at is in microseconds already; compare integers',
  duration: 'event.at is in microseconds already; compare integers',
  type: 'types are known from the declaration',
  uint: 'whole numbers are all int here',
  bytes: 'there are no values of bytes',
  bool: 'compare with a constant instead',
};

export const convert = (name: string, of: Node): Node | undefined => {
  const conversion = Object.hasOwn(CONVERSIONS, name) ? CONVERSIONS[name]! : undefined;
  if (conversion === undefined || !(of.type === 'dyn' || conversion.from.includes(of.type))) return undefined;
  return strict1(conversion.type, of, conversion.convert);
};

export const sizeOf = (of: Node): Node => strict1('int', of, (a) => (typeof a === 'string' ? size(a) : undefined));

export const stringTest = (name: string, text: Node, part: Node): Node | undefined => {
  const test = Object.hasOwn(TESTS, name) ? TESTS[name]! : undefined;
  if (test === undefined) return undefined;
  return strict2('bool', text, part, (a, b) =>
    typeof a === 'string' && typeof b === 'string' ? test(a, b) : undefined,
  );
};
