import { AttestreamError } from '../../schemas/errors.js';
import { NumberText } from './number-text.js';
import type { Row } from './observation.js';

/** Digits enough that a double may lose some: 17 in a row, a decimal point counted, or 16 from 9007199254740992 on. */
const LONG = /[\d.]{17}|9\d{15}/;

const TOKENS = /"(?:[^"\\]|\\.)*"|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/g;

/** The one key of the object that stands for a number while the JSON is parsed. */
const MARK = '\u0000';

const significant = (token: string): boolean => {
  const number = Number(token);
  return Number.isInteger(number) && /^-?\d+$/.test(token)
    ? !Number.isSafeInteger(number)
    : token.replace(/[^\d]/g, '').length > 15;
};

const revive = (value: unknown, depth: number): unknown => {
  if (typeof value !== 'object' || value === null || depth === 0) return value;
  const held = (value as Record<string, unknown>)[MARK];
  if (typeof held === 'string' && /^-?\d[\d.eE+-]*$/.test(held)) return new NumberText(held);
  for (const [name, inner] of Object.entries(value))
    (value as Record<string, unknown>)[name] = revive(inner, depth - 1);
  return value;
};

/** Levels that are looked through for numbers with too many digits: a column may lie a few levels down, no deeper. */
const DEPTH = 8;

/**
 * One JSON object from a line of text. Numbers that a double cannot hold come as `NumberText`, so that no digit is lost.
 * @throws IMPORT_ROW
 */
export const parseJsonRow = (text: string): Row => {
  let value: unknown;
  try {
    value = LONG.test(text)
      ? revive(
          JSON.parse(
            text.replace(TOKENS, (token) =>
              token[0] !== '"' && significant(token) ? `{"\\u0000":"${token}"}` : token,
            ),
          ),
          DEPTH,
        )
      : JSON.parse(text);
  } catch {
    throw new AttestreamError('IMPORT_ROW', 'the line is not JSON');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value) || value instanceof NumberText)
    throw new AttestreamError('IMPORT_ROW', 'the line is JSON, but not an object');
  return value as Row;
};
