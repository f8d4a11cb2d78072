import { parseDocument } from 'yaml';
import { AttestreamError } from '../../schemas/errors.js';
import { didYouMean } from '../../schemas/suggest.js';
import { COLUMN_TYPES, type ColumnType } from './parameter.js';
import { compileTime, type TimeFormat, type TimeUnit } from './time.js';

export const FORMATS = ['csv', 'ndjson', 'xes'] as const;
export type ImportFormat = (typeof FORMATS)[number];

export interface TimeColumn extends TimeFormat {
  readonly column: string;
}

/** Where a name comes from: a cell of the row, or the same for all rows. */
export type NameSource = { readonly column: string } | { readonly constant: string };

export interface ParameterColumn {
  readonly name: string;
  readonly column: string;
  readonly type: ColumnType | null;
}

/** What a foreign log's columns mean. */
export interface ImportMap {
  /** The map's file as it is: part of the identity of the imported streams. */
  readonly bytes: Buffer;
  readonly format: ImportFormat | null;
  readonly delimiter: string;
  /** Column names of a CSV file without header. */
  readonly columns: readonly string[] | null;
  /** null: the format's own. */
  readonly time: TimeColumn | null;
  readonly end: TimeColumn | null;
  readonly receivedAt: TimeColumn | null;
  readonly function: NameSource | null;
  readonly process: NameSource | null;
  /** null: each process is a host of its own. */
  readonly host: NameSource | null;
  /** null: the format's own. */
  readonly parameters: readonly ParameterColumn[] | null;
  readonly constants: Readonly<Record<string, string | number | boolean>>;
  /** A row with a value that does not fit: a dead letter, passed over, or kept with that value unavailable. */
  readonly unknown: 'reject' | 'skip' | 'null';
  readonly beginning: 'seen' | 'unknown';
}

const MAX_BYTES = 1024 * 1024;

type Json = Readonly<Record<string, unknown>>;

/** The reader of one map: all complaints carry its path. */
class MapReader {
  constructor(readonly path: string) {}

  bad(where: string, message: string): AttestreamError {
    return new AttestreamError('IMPORT_MAP', `${where === '' ? '' : `${where}: `}${message}`, { path: this.path });
  }

  object(value: unknown, where: string, known: readonly string[] | null): Json {
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      throw this.bad(where, 'must be a mapping of names to values');
    if (known !== null)
      for (const key of Object.keys(value))
        if (!known.includes(key))
          throw this.bad(where, `the key ${JSON.stringify(key)} is not known; ${didYouMean(key, known)}`);
    return value as Json;
  }

  text(value: unknown, where: string): string {
    if (typeof value === 'number') return String(value);
    if (typeof value !== 'string' || value === '') throw this.bad(where, 'must be a text that is not empty');
    return value;
  }

  word<T extends string>(value: unknown, where: string, words: readonly T[]): T {
    const found = words.find((word) => word === value);
    if (found !== undefined) return found;
    throw this.bad(
      where,
      `${JSON.stringify(value)} is not one of ${words.join(', ')}; ${didYouMean(String(value), words)}`,
    );
  }

  time(value: unknown, where: string, base: TimeColumn | null): TimeColumn | null {
    if (value === undefined || value === null) return null;
    const given =
      typeof value === 'object' ? this.object(value, where, ['column', 'unit', 'format', 'zone']) : { column: value };
    if (given['unit'] !== undefined && given['format'] !== undefined)
      throw this.bad(where, '`unit` and `format` exclude each other');
    const own = given['unit'] !== undefined || given['format'] !== undefined;
    const unit =
      given['unit'] === undefined ? null : this.word<TimeUnit>(given['unit'], `${where}.unit`, ['s', 'ms', 'us', 'ns']);
    const column: TimeColumn = {
      column: this.text(given['column'], `${where}.column`),
      unit: own ? unit : (base?.unit ?? null),
      format: own
        ? given['format'] === undefined
          ? null
          : this.text(given['format'], `${where}.format`)
        : (base?.format ?? null),
      zone: given['zone'] === undefined ? (base?.zone ?? null) : this.text(given['zone'], `${where}.zone`),
    };
    try {
      compileTime(column);
    } catch (error) {
      throw this.bad(where, (error as Error).message);
    }
    return column;
  }

  name(value: unknown, where: string): NameSource | null {
    if (value === undefined || value === null) return null;
    if (typeof value !== 'object') return { column: this.text(value, where) };
    const given = this.object(value, where, ['column', 'constant']);
    if (given['constant'] !== undefined) return { constant: this.text(given['constant'], `${where}.constant`) };
    return { column: this.text(given['column'], `${where}.column`) };
  }

  parameters(value: unknown): readonly ParameterColumn[] | null {
    if (value === undefined || value === null) return null;
    return Object.entries(this.object(value, 'parameters', null)).map(([name, given]) => {
      const where = `parameters.${name}`;
      if (typeof given === 'string') return { name, column: name, type: this.word(given, where, COLUMN_TYPES) };
      const { column, type } = this.object(given ?? {}, where, ['column', 'type']);
      return {
        name,
        column: column === undefined ? name : this.text(column, `${where}.column`),
        type: type === undefined || type === null ? null : this.word(type, `${where}.type`, COLUMN_TYPES),
      };
    });
  }

  constants(value: unknown): Record<string, string | number | boolean> {
    const found: Record<string, string | number | boolean> = {};
    for (const [name, given] of Object.entries(this.object(value ?? {}, 'constants', null))) {
      if (typeof given !== 'string' && typeof given !== 'number' && typeof given !== 'boolean')
        throw this.bad(`constants.${name}`, 'must be a number, a text, true or false');
      found[name] = given;
    }
    return found;
  }
}

const KEYS = [
  'format',
  'delimiter',
  'columns',
  'time',
  'end',
  'receivedAt',
  'function',
  'process',
  'host',
  'parameters',
  'constants',
  'unknown',
  'beginning',
] as const;

/**
 * Reads MAP.yaml.
 * @param path for messages
 * @throws IMPORT_MAP
 */
export const parseImportMap = (bytes: Buffer, path: string): ImportMap => {
  const reader = new MapReader(path);
  if (bytes.length > MAX_BYTES) throw reader.bad('', `a map of ${bytes.length} bytes is refused (limit ${MAX_BYTES})`);
  let parsed: unknown;
  try {
    const document = parseDocument(bytes.toString('utf8'), { uniqueKeys: true });
    if (document.errors[0] !== undefined) throw document.errors[0];
    parsed = document.toJS({ maxAliasCount: 16 });
  } catch (error) {
    throw reader.bad('', `not readable as YAML: ${(error as Error).message.split('\n')[0]}`);
  }
  const map = reader.object(parsed ?? {}, '', KEYS);
  const format = map['format'] === undefined ? null : reader.word(map['format'], 'format', FORMATS);
  const constants = reader.constants(map['constants']);
  const time = reader.time(map['time'], 'time', null);
  // A field that has no column may be a constant; where it has one, the constant is a parameter like any other.
  const named = (key: 'function' | 'process' | 'host'): NameSource | null => {
    const column = reader.name(map[key], key);
    const constant = constants[key];
    if (column !== null || constant === undefined) return column;
    delete constants[key];
    return { constant: String(constant) };
  };
  const result: ImportMap = {
    bytes,
    format,
    delimiter: map['delimiter'] === undefined ? ',' : reader.text(map['delimiter'], 'delimiter'),
    columns: columnList(map['columns'], reader),
    time,
    end: reader.time(map['end'], 'end', time),
    receivedAt: reader.time(map['receivedAt'], 'receivedAt', time),
    function: named('function'),
    process: named('process'),
    host: named('host'),
    parameters: reader.parameters(map['parameters']),
    constants,
    unknown:
      map['unknown'] === undefined
        ? 'reject'
        : reader.word(map['unknown'] ?? 'null', 'unknown', ['reject', 'skip', 'null']),
    beginning:
      map['beginning'] === undefined ? 'seen' : reader.word(map['beginning'], 'beginning', ['seen', 'unknown']),
  };
  if (result.delimiter.length !== 1 || result.delimiter === '"')
    throw reader.bad('delimiter', 'must be one character, and no quote');
  return result;
};

const columnList = (value: unknown, reader: MapReader): readonly string[] | null => {
  if (value === undefined || value === null) return null;
  if (!Array.isArray(value)) throw reader.bad('columns', 'must be a list of names');
  return value.map((name, i) => reader.text(name, `columns[${i}]`));
};
