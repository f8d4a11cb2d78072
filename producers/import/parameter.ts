import { AttestreamError } from '../../schemas/errors.js';
import { integerParameter } from '../../schemas/parameter.js';
import type { Parameter, ValueType } from '../../schemas/records.js';
import { FloatText, NumberText } from './number-text.js';

/** Types that a map may give to a parameter; null: as the value itself shows. */
export type ColumnType = 'int' | 'uint' | 'double' | 'bool' | 'string' | 'enum';

export const COLUMN_TYPES: readonly ColumnType[] = ['int', 'uint', 'double', 'bool', 'string', 'enum'];

const INT64 = 1n << 63n;

const value = (
  name: string,
  type: ValueType,
  int: number | null,
  real: number | null,
  text: string | null,
): Parameter => ({
  name,
  type,
  kind: 'entry',
  int,
  real,
  text,
});

/** A value that the row does not tell. */
export const unavailable = (name: string, type: ColumnType | null, why: string): Parameter => ({
  name,
  type: type ?? 'unknown',
  kind: 'unavailable',
  int: null,
  real: null,
  text: why,
});

const refuse = (name: string, given: unknown, wanted: string): AttestreamError =>
  new AttestreamError('IMPORT_VALUE', `the parameter ${name} is ${JSON.stringify(given)?.slice(0, 64)}, not ${wanted}`);

const integer = (name: string, digits: string, type: 'int' | 'uint' | null): Parameter => {
  if (digits.length > 40) throw refuse(name, digits, 'an integer of 64 bits');
  const big = BigInt(digits);
  const kind = type ?? (big >= INT64 ? 'uint' : 'int');
  if (kind === 'int' ? big < -INT64 || big >= INT64 : big < 0n || big >= 2n * INT64)
    throw refuse(name, digits, kind === 'int' ? 'an integer of 64 bits' : 'an unsigned integer of 64 bits');
  return integerParameter(name, big, 'entry', kind);
};

const DECIMAL = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/;
const WHOLE = /^[+-]?\d+$/;

const fromText = (name: string, text: string, type: ColumnType): Parameter => {
  switch (type) {
    case 'string':
      return value(name, 'string', null, null, text);
    case 'enum':
      return WHOLE.test(text) && Number.isSafeInteger(Number(text))
        ? integerParameter(name, Number(text) + 0, 'entry', 'enum')
        : value(name, 'enum', null, null, text);
    case 'bool': {
      const word = text.trim().toLowerCase();
      if (word === 'true' || word === '1') return value(name, 'bool', 1, null, null);
      if (word === 'false' || word === '0') return value(name, 'bool', 0, null, null);
      throw refuse(name, text, 'true or false');
    }
    case 'double': {
      const number = DECIMAL.test(text.trim()) ? Number(text) : Number.NaN;
      if (!Number.isFinite(number)) throw refuse(name, text, 'a finite number');
      return value(name, 'double', null, number, null);
    }
    default: {
      const match = /^\+?(-?\d+)(?:\.0*)?$/.exec(text.trim());
      if (match === null) throw refuse(name, text, 'an integer');
      return integer(name, match[1]!, type);
    }
  }
};

/** The type that a value shows by itself. Text cells of a CSV file are read as JSON would write them. */
const shown = (given: string, textual: boolean): ColumnType => {
  if (!textual) return 'string';
  const text = given.trim();
  if (WHOLE.test(text)) return 'int';
  if (DECIMAL.test(text)) return 'double';
  return text === 'true' || text === 'false' ? 'bool' : 'string';
};

/**
 * A cell as a parameter. JSON numbers: whole → int, else double; beyond 2^52 as decimal text.
 * @param textual the format has no types of its own (CSV): text that looks like a number is one, an empty cell is unavailable
 * @throws IMPORT_VALUE for nested values and for what does not fit the type
 */
export const toParameter = (name: string, given: unknown, type: ColumnType | null, textual: boolean): Parameter => {
  switch (typeof given) {
    case 'number':
      if (type === null || type === 'int') {
        if (Number.isSafeInteger(given)) return integerParameter(name, given + 0, 'entry');
        if (type === null) return value(name, 'double', null, given, null);
      }
      return fromText(name, String(given), type);
    case 'boolean':
      return type === null || type === 'bool'
        ? value(name, 'bool', given ? 1 : 0, null, null)
        : fromText(name, type === 'string' || type === 'enum' ? String(given) : given ? '1' : '0', type);
    case 'string':
      if (textual && given === '' && type !== 'string') return unavailable(name, type, 'empty');
      if (type === null && !textual) return value(name, 'string', null, null, given);
      return type === null && shown(given, textual) === 'int'
        ? integer(name, given.trim().replace(/^\+/, ''), null)
        : fromText(name, given, type ?? shown(given, textual));
    default:
      if (given === null || given === undefined) return unavailable(name, type, 'null');
      if (given instanceof NumberText) {
        if (type === null)
          return WHOLE.test(given.digits) ? integer(name, given.digits, null) : fromText(name, given.digits, 'double');
        return fromText(name, given.digits, type);
      }
      if (given instanceof FloatText) return fromText(name, given.digits, type ?? 'double');
      throw refuse(name, given, 'a number, text, true, false or null');
  }
};
