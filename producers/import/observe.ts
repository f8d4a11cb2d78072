import { AttestreamError } from '../../schemas/errors.js';
import type { Parameter } from '../../schemas/records.js';
import type { ImportFormat, ImportMap, NameSource, TimeColumn } from './import-map.js';
import { FloatText, NumberText } from './number-text.js';
import { cell, isName, type Observation, type Row } from './observation.js';
import { type ColumnType, toParameter, unavailable } from './parameter.js';
import { compileTime, plausible } from './time.js';
import { CASE } from './xes.js';

/** null: the row is to be passed over (`unknown: skip`). Throws an error with the code that the dead letter gets. */
export type Observe = (row: Row) => Observation | null;

const MAX_PARAMETERS = 1024;

const missing = (what: string): AttestreamError => new AttestreamError('IMPORT_ROW', `the row has no ${what}`);

const nameOf = (value: unknown, what: string): string => {
  if (isName(value)) return value;
  if (typeof value === 'number') return String(value);
  if (value instanceof NumberText || value instanceof FloatText) return value.digits;
  if (value === undefined || value === null || value === '') throw missing(what);
  throw new AttestreamError('IMPORT_ROW', `the ${what} is no well-formed text of at most 4096 characters`);
};

/** Whole µs of native NDJSON. */
const nativeTime = (value: unknown, name: string): number => {
  const number = value instanceof NumberText && /^-?\d+$/.test(value.digits) ? Number(value.digits) : value;
  if (typeof number === 'number' && Number.isInteger(number)) return plausible(number);
  throw new AttestreamError(
    'IMPORT_TIME',
    value === undefined ? `the row has no ${name}` : `${name} is no whole number of µs`,
  );
};

const nativeParameters = (given: unknown): Parameter[] => {
  if (given === undefined || given === null) return [];
  if (typeof given !== 'object' || Array.isArray(given) || given instanceof NumberText)
    throw new AttestreamError('IMPORT_ROW', '`parameters` is no object');
  const parameters: Parameter[] = [];
  for (const name of Object.keys(given))
    parameters.push(toParameter(name, (given as Record<string, unknown>)[name], null, false));
  if (parameters.length > MAX_PARAMETERS)
    throw new AttestreamError('IMPORT_ROW', `the row has more than ${MAX_PARAMETERS} parameters`);
  return parameters;
};

const ordered = (observation: Observation): Observation => {
  if (observation.end !== null && observation.end < observation.at)
    throw new AttestreamError(
      'IMPORT_TIME',
      `the activation ends ${observation.at - observation.end} µs before it begins`,
    );
  return observation;
};

/** `{at, process, function, parameters?, end?, receivedAt?, host?}`, times in µs. */
export const observeNative: Observe = (row) => {
  const process = nameOf(cell(row, 'process'), 'process');
  const end = cell(row, 'end');
  const received = cell(row, 'receivedAt');
  const host = cell(row, 'host');
  return ordered({
    at: nativeTime(cell(row, 'at'), 'at'),
    end: end === undefined || end === null ? null : nativeTime(end, 'end'),
    receivedAt: received === undefined || received === null ? null : nativeTime(received, 'receivedAt'),
    host: host === undefined || host === null ? process : nameOf(host, 'host'),
    process,
    function: nameOf(cell(row, 'function'), 'function'),
    parameters: nativeParameters(cell(row, 'parameters')),
  });
};

/** A cell by its name, or by a path of names with dots through nested objects. */
const compileCell = (column: string): ((row: Row) => unknown) => {
  const path = column.split('.');
  if (path.length === 1) return (row) => cell(row, column);
  return (row) => {
    if (Object.hasOwn(row, column)) return row[column];
    let value: unknown = row;
    for (const name of path) {
      if (typeof value !== 'object' || value === null) return undefined;
      value = cell(value as Row, name);
    }
    return value;
  };
};

const compileName = (source: NameSource, what: string): ((row: Row) => string) => {
  if ('constant' in source) return () => source.constant;
  const read = compileCell(source.column);
  return (row) => nameOf(read(row), `${what} (column ${source.column})`);
};

const compileTimeCell = (source: TimeColumn): ((row: Row) => number) => {
  const read = compileCell(source.column);
  const time = compileTime(source);
  return (row) => time(read(row));
};

const compileOptionalTime = (source: TimeColumn | null): ((row: Row) => number | null) => {
  if (source === null) return () => null;
  const read = compileCell(source.column);
  const time = compileTime(source);
  return (row) => {
    const value = read(row);
    return value === undefined || value === null || value === '' ? null : time(value);
  };
};

/** What a row means where the map does not say. */
const DEFAULTS: Readonly<
  Record<ImportFormat, { time: TimeColumn | null; function: NameSource | null; process: NameSource | null }>
> = {
  csv: { time: null, function: null, process: null },
  ndjson: {
    time: { column: 'at', unit: 'us', format: null, zone: null },
    function: { column: 'function' },
    process: { column: 'process' },
  },
  xes: {
    time: { column: 'time:timestamp', unit: null, format: null, zone: null },
    function: { column: 'concept:name' },
    process: { column: `${CASE}concept:name` },
  },
};

/** Names of the columns that a map must find in every row. */
export const wantedColumns = (map: ImportMap): readonly string[] => {
  const columns = [map.time, map.end, map.receivedAt, map.function, map.process, map.host, ...(map.parameters ?? [])];
  return columns.flatMap((source) => (source !== null && 'column' in source ? [source.column] : []));
};

/** The reading of rows by a map (none: by the format's own names). Throws IMPORT_MAP where the map leaves something open. */
export const compileObserve = (format: ImportFormat, map: ImportMap | null): Observe => {
  if (format === 'ndjson' && map === null) return observeNative;
  const fallback = DEFAULTS[format];
  const required = <T>(source: T | null | undefined, own: T | null, key: string): T => {
    const found = source ?? own;
    if (found === null)
      throw new AttestreamError(
        'IMPORT_MAP',
        `the map does not say where the ${key} stands; add \`${key}: {column: …}\``,
      );
    return found;
  };
  const timeColumn = required(map?.time, fallback.time, 'time');
  const functionSource = required(map?.function, fallback.function, 'function');
  const at = compileTimeCell(timeColumn);
  const end = compileOptionalTime(map?.end ?? null);
  const receivedAt = compileOptionalTime(map?.receivedAt ?? null);
  const functionName = compileName(functionSource, 'function');
  const process = compileName(required(map?.process, fallback.process, 'process'), 'process');
  const host = map?.host ? compileName(map.host, 'host') : null;
  const unknown = map?.unknown ?? 'reject';
  const constants = Object.entries(map?.constants ?? {}).map(([name, value]) => toParameter(name, value, null, false));
  const textual = format === 'csv';
  const columns = map?.parameters?.map((parameter) => ({ ...parameter, read: compileCell(parameter.column) })) ?? null;
  const taken = new Set([timeColumn, functionSource].flatMap((source) => ('column' in source ? [source.column] : [])));

  const pairs = function* (row: Row): Iterable<readonly [string, unknown, ColumnType | null]> {
    if (columns !== null) for (const column of columns) yield [column.name, column.read(row), column.type];
    else if (format === 'xes')
      for (const [name, value] of Object.entries(row)) {
        if (!taken.has(name) && !name.startsWith(CASE)) yield [name, value, null];
      }
  };

  return (row) => {
    const parameters: Parameter[] = [...constants];
    let skip = false;
    for (const [name, value, type] of pairs(row)) {
      // A cell that is not there is a parameter that the call does not have.
      if (value === undefined) continue;
      try {
        parameters.push(toParameter(name, value, type, textual));
      } catch (error) {
        if (unknown === 'reject') throw error;
        if (unknown === 'skip') skip = true;
        parameters.push(unavailable(name, type, 'unknown'));
      }
    }
    if (columns === null && format === 'ndjson') parameters.push(...nativeParameters(cell(row, 'parameters')));
    if (parameters.length > MAX_PARAMETERS)
      throw new AttestreamError('IMPORT_ROW', `the row has more than ${MAX_PARAMETERS} parameters`);
    const name = process(row);
    const observation = ordered({
      at: at(row),
      end: end(row),
      receivedAt: receivedAt(row),
      host: host === null ? name : host(row),
      process: name,
      function: functionName(row),
      parameters,
    });
    return skip ? null : observation;
  };
};
