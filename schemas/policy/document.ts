import { type Document, isMap, isPair, isScalar, isSeq, LineCounter, type Node, parseDocument } from 'yaml';
import { AttestreamError } from '../errors.js';
import { jsonFault } from './json-keys.js';
import type { Path, Problems } from './problems.js';

/** A policy is written by people; beyond this it is an attack or a mistake. Bytes of UTF-8. */
export const MAX_POLICY_BYTES = 1 << 20;
/** Reference values of a whole distribution are written by programs, as JSON. */
export const MAX_REFERENCE_BYTES = 64 << 20;
const MAX_DEPTH = 64;
const MAX_NODES = 100_000;
/** Of a policy of hosts, with its reference values. */
export const MAX_REFERENCE_NODES = 2_000_000;
const MAX_ALIASES = 64;

export interface Parsed {
  readonly document: unknown;
  /** `LINE:COLUMN` of the deepest part of the path that stands in the text. */
  readonly locate: (path: Path) => string | undefined;
}

const fail = (file: string, what: string, offset?: number): never => {
  throw new AttestreamError('POLICY_INVALID', `${file}: ${what}`, {
    path: file,
    ...(offset === undefined ? {} : { offset }),
  });
};

/** Nesting of flow brackets and indentation, found before the YAML parser recurses into it. */
const tooDeep = (text: string): boolean => {
  let open = 0;
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (c === 0x5b || c === 0x7b) {
      if (++open > 4 * MAX_DEPTH) return true;
    } else if (c === 0x5d || c === 0x7d) open = Math.max(0, open - 1);
  }
  // `- - - - x` nests without a bracket.
  return /(?:[-?:][ \t]+){128}/.test(text);
};

/** The parser's own search compares each key with each other one; this one is linear. */
const repeatedKey = (yaml: Document): { readonly key: string; readonly offset: number } | undefined => {
  const stack: unknown[] = [yaml.contents];
  while (stack.length > 0) {
    const node = stack.pop();
    if (isSeq(node)) for (const item of node.items) stack.push(item);
    if (!isMap(node)) continue;
    const keys = new Set<string>();
    for (const { key, value } of node.items) {
      const word = isScalar(key) ? String(key.value) : '';
      if (keys.has(word)) return { key: word, offset: (key as Node).range?.[0] ?? 0 };
      keys.add(word);
      stack.push(value);
    }
  }
  return undefined;
};

const positionIn = (yaml: Document, lines: LineCounter, path: Path): string | undefined => {
  let node: unknown = yaml.contents;
  let offset = 0;
  for (const step of path) {
    if (isMap(node)) {
      const pair = node.items.find((item) => isPair(item) && isScalar(item.key) && String(item.key.value) === step);
      if (pair === undefined) break;
      offset = (pair.key as Node).range?.[0] ?? offset;
      node = pair.value;
    } else if (isSeq(node) && typeof step === 'number') {
      const item = node.items[step] as Node | undefined;
      if (item === undefined) break;
      offset = item.range?.[0] ?? offset;
      node = item;
    } else break;
  }
  const { line, col } = lines.linePos(offset);
  return line === 0 ? undefined : `${line}:${col}`;
};

/** What is too large for a person to have written: a policy of hosts as JSON, whose places have no line. */
const parseReferences = (text: string, file: string): Parsed => {
  const tooLarge = `larger than ${MAX_POLICY_BYTES} bytes; only policies of hosts may be, as JSON of up to ${MAX_REFERENCE_BYTES}`;
  if (Buffer.byteLength(text) > MAX_REFERENCE_BYTES || !/^\s{0,64}\{/.test(text)) fail(file, tooLarge);
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch (error) {
    fail(file, `not JSON: ${(error as Error).message}`);
  }
  if (!isRecord(document) || document['kind'] !== 'host') fail(file, tooLarge);
  const fault = jsonFault(text, MAX_DEPTH);
  if (fault?.what === 'depth') fail(file, `nested deeper than ${MAX_DEPTH} levels`, fault.offset);
  if (fault !== undefined) fail(file, `the key "${fault.key}" stands here a second time`, fault.offset);
  return { document, locate: () => undefined };
};

/**
 * Text of YAML (of which JSON is a part) to plain data; beyond MAX_POLICY_BYTES only JSON of a policy of hosts. Throws
 * POLICY_INVALID with line and column.
 */
export const parseDocumentText = (text: string, file: string): Parsed => {
  if (Buffer.byteLength(text) > MAX_POLICY_BYTES) return parseReferences(text, file);
  if (tooDeep(text)) fail(file, `nested deeper than ${MAX_DEPTH} levels`);
  const lines = new LineCounter();
  try {
    const yaml = parseDocument(text, { lineCounter: lines, uniqueKeys: false, stringKeys: true, prettyErrors: false });
    const problem = yaml.errors[0] ?? yaml.warnings[0];
    if (problem !== undefined) {
      const { line, col } = lines.linePos(problem.pos[0]);
      fail(file, `${line}:${col} ${problem.message.split('\n')[0]}`, problem.pos[0]);
    }
    const repeated = repeatedKey(yaml);
    if (repeated !== undefined) {
      const { line, col } = lines.linePos(repeated.offset);
      fail(file, `${line}:${col} the key "${repeated.key}" stands here a second time`, repeated.offset);
    }
    const document: unknown = yaml.toJS({ maxAliasCount: MAX_ALIASES });
    return { document, locate: (path) => positionIn(yaml, lines, path) };
  } catch (error) {
    if (error instanceof AttestreamError) throw error;
    return fail(file, error instanceof RangeError ? `nested too deeply` : (error as Error).message);
  }
};

/** True for a mapping of the document. */
export const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/**
 * Refuses what RFC 8785 cannot hold or what would not survive a way through JSON: numbers that JSON readers round, cycles,
 * dates, functions. Walks with its own stack.
 */
export const checkIsJson = (document: unknown, problems: Problems, most = MAX_NODES): void => {
  const stack: { value: unknown; path: Path }[] = [{ value: document, path: [] }];
  for (let count = 0; stack.length > 0; count++) {
    const { value, path } = stack.pop()!;
    if (count > most) {
      problems.add([], `more than ${most} values`);
      return;
    }
    if (path.length > MAX_DEPTH) {
      problems.add(path.slice(0, 8), `nested deeper than ${MAX_DEPTH} levels`);
      return;
    }
    if (Array.isArray(value)) {
      for (let i = value.length - 1; i >= 0; i--) stack.push({ value: value[i], path: [...path, i] });
    } else if (typeof value === 'number') {
      if (!Number.isFinite(value)) problems.add(path, 'not a finite number');
      else if (Number.isInteger(value) && !Number.isSafeInteger(value))
        problems.add(path, 'an integer beyond ±(2^53 − 1), which JSON readers round', 'write it in quotes');
    } else if (typeof value === 'object' && value !== null) {
      const prototype: unknown = Object.getPrototypeOf(value);
      if (prototype !== Object.prototype && prototype !== null) {
        problems.add(path, `a ${value.constructor?.name ?? 'strange value'} is not JSON data`);
        continue;
      }
      for (const key of Object.keys(value).reverse()) {
        if (key === '__proto__') problems.add(path, 'a key "__proto__" is refused');
        else stack.push({ value: (value as Record<string, unknown>)[key], path: [...path, key] });
      }
    } else if (value !== null && typeof value !== 'string' && typeof value !== 'boolean')
      problems.add(
        path,
        typeof value === 'function' ? 'a function: a policy is data, never code' : `a ${typeof value} is not JSON data`,
      );
  }
};
