import { readdirSync, readFileSync } from 'node:fs';
import avro from 'avsc';
import { boundsCheck } from './avro-bounds.js';
import { AttestreamError } from './errors.js';
import { fingerprint } from './fingerprint.js';
import type { RecordName, Records } from './records.js';

const NAMESPACE = 'io.attestream.';

/** Largest schema that is parsed: ours are a few KB, and a hostile one must not choose our memory. */
const MAX_SCHEMA_BYTES = 256 * 1024;

/** Keeps `timestamp-micros` in schemas and file headers while values stay integers (avsc drops logical types it does not know). */
class Micros extends avro.types.LogicalType {
  protected override _fromValue(value: unknown): unknown {
    return value;
  }
  protected override _toValue(value: unknown): unknown {
    return value;
  }
  protected override _resolve(type: avro.Type): ((value: unknown) => unknown) | undefined {
    return avro.Type.isType(type, 'long', 'int', 'logical:timestamp-micros') ? (value) => value : undefined;
  }
}

const parse = (schema: unknown): avro.Type =>
  avro.Type.forSchema(schema as avro.Schema, { wrapUnions: 'never', logicalTypes: { 'timestamp-micros': Micros } });

const folder = new URL('./events/', import.meta.url);

/** Schema documents as committed, by record name. */
export const SCHEMAS: Readonly<Record<RecordName, string>> = Object.fromEntries(
  readdirSync(folder)
    .filter((file) => file.endsWith('.avsc'))
    .map((file) => [file.slice(0, -'.avsc'.length), readFileSync(new URL(file, folder), 'utf8')]),
) as Record<RecordName, string>;

const TYPES = Object.fromEntries(
  Object.entries(SCHEMAS).map(([name, json]) => [name, parse(JSON.parse(json))]),
) as Record<RecordName, avro.Type>;

const BOUNDS = Object.fromEntries(Object.entries(TYPES).map(([name, type]) => [name, boundsCheck(type)])) as Record<
  RecordName,
  ReturnType<typeof boundsCheck>
>;

/** Parsing Canonical Form of a type (Avro specification). */
const canonicalForm = (type: avro.Type): string => JSON.stringify(type.schema());

export const RECORD_NAMES = Object.keys(TYPES) as RecordName[];

/** The Avro body of a record, without any header. Throws RECORD_INVALID if it does not fit its schema. */
export const encodeRecord = <N extends RecordName>(name: N, record: Records[N]): Buffer => {
  try {
    return TYPES[name].toBuffer(record);
  } catch (cause) {
    throw new AttestreamError(
      'RECORD_INVALID',
      `a ${name} does not fit its schema: ${(cause as Error).message}`,
      {},
      { cause },
    );
  }
};

/** Reads an Avro body written with the current schema of `name`. Throws RECORD_INVALID. */
export const decodeRecord = <N extends RecordName>(name: N, body: Buffer): Records[N] => {
  try {
    BOUNDS[name]?.(body);
    return TYPES[name].fromBuffer(body) as Records[N];
  } catch (cause) {
    throw new AttestreamError('RECORD_INVALID', `not a ${name}: ${(cause as Error).message}`, {}, { cause });
  }
};

/** A schema some record was written with, and how to read such records as ours. */
export interface WriterSchema {
  readonly index: number;
  /** CRC-64-AVRO, 8 bytes little-endian. */
  readonly fingerprint: Buffer;
  readonly json: string;
  /** Full name, or the type's kind where it has no name. */
  readonly name: string;
  /** The record of ours that it is a version of; null for a foreign schema. */
  readonly record: RecordName | null;
  /** Byte for byte the layout of the current version: fast decoders apply. */
  readonly current: boolean;
  /** One record as our current version of it (foreign: as written). Throws RECORD_INVALID or SCHEMA_INCOMPATIBLE. */
  decode(body: Buffer): unknown;
}

/** Items that take no bytes would let a hostile count spin a decoder: such schemas are refused. */
const mayBeEmpty = (type: avro.Type, seen = new Set<avro.Type>()): boolean => {
  if (seen.has(type)) return true;
  const inside = new Set(seen).add(type);
  if (avro.Type.isType(type, 'null')) return true;
  if (avro.Type.isType(type, 'fixed')) return (type as avro.types.FixedType).size === 0;
  if (avro.Type.isType(type, 'record'))
    return (type as avro.types.RecordType).fields.every((field) => mayBeEmpty(field.type, inside));
  if (avro.Type.isType(type, 'logical')) return mayBeEmpty((type as avro.types.LogicalType).underlyingType, inside);
  return false;
};

const refuseEmptyItems = (type: avro.Type, seen = new Set<avro.Type>()): void => {
  if (seen.has(type)) return;
  seen.add(type);
  if (avro.Type.isType(type, 'array')) {
    const items = (type as avro.types.ArrayType).itemsType;
    if (mayBeEmpty(items)) throw new Error('an array of items without width');
    refuseEmptyItems(items, seen);
  } else if (avro.Type.isType(type, 'map')) refuseEmptyItems((type as avro.types.MapType).valuesType, seen);
  else if (avro.Type.isType(type, 'record'))
    for (const field of (type as avro.types.RecordType).fields) refuseEmptyItems(field.type, seen);
  else if (avro.Type.isType(type, 'union'))
    for (const branch of (type as avro.types.UnwrappedUnionType).types) refuseEmptyItems(branch, seen);
};

/**
 * The writer schemas that a log has met, numbered densely so that a batch names one by a small integer.
 * Starts with our current schemas, in the order of `RECORD_NAMES`. Only grows.
 */
export class SchemaTable {
  readonly #schemas: WriterSchema[] = [];
  readonly #byFingerprint = new Map<string, number>();
  readonly #byJson = new Map<string, number>();

  constructor() {
    for (const name of RECORD_NAMES) this.#put(TYPES[name], SCHEMAS[name]);
  }

  /** Index of the current schema of a record of ours. */
  current(name: RecordName): number {
    return RECORD_NAMES.indexOf(name);
  }

  /** Takes a writer schema in. The same layout gives the same index. Throws SCHEMA_INVALID. */
  add(json: string): number {
    const known = this.#byJson.get(json);
    if (known !== undefined) return known;
    if (json.length > MAX_SCHEMA_BYTES)
      throw new AttestreamError(
        'SCHEMA_INVALID',
        `a schema of ${json.length} characters is refused (limit ${MAX_SCHEMA_BYTES})`,
      );
    try {
      const type = parse(JSON.parse(json));
      refuseEmptyItems(type);
      return this.#put(type, json);
    } catch (cause) {
      if (cause instanceof AttestreamError) throw cause;
      throw new AttestreamError(
        'SCHEMA_INVALID',
        `not a usable Avro schema: ${(cause as Error).message}`,
        {},
        { cause },
      );
    }
  }

  /** Index of the schema with this CRC-64-AVRO (8 bytes, little-endian); -1 if it was never added. */
  byFingerprint(bytes: Buffer): number {
    return this.#byFingerprint.get(bytes.toString('latin1', 0, 8)) ?? -1;
  }

  at(index: number): WriterSchema {
    const schema = this.#schemas[index];
    if (schema === undefined) throw new AttestreamError('SCHEMA_UNKNOWN', `no writer schema has index ${index}`);
    return schema;
  }

  get length(): number {
    return this.#schemas.length;
  }

  #put(type: avro.Type, json: string): number {
    const print = fingerprint(canonicalForm(type));
    const key = print.toString('latin1', 0, 8);
    const known = this.#byFingerprint.get(key);
    if (known !== undefined) {
      this.#byJson.set(json, known);
      return known;
    }
    const index = this.#schemas.length;
    this.#schemas.push(writerSchema(index, type, print, json));
    this.#byFingerprint.set(key, index);
    this.#byJson.set(json, index);
    return index;
  }
}

const writerSchema = (index: number, type: avro.Type, print: Buffer, json: string): WriterSchema => {
  const name = type.name ?? type.typeName;
  const short = name.startsWith(NAMESPACE) ? (name.slice(NAMESPACE.length) as RecordName) : null;
  const record = short !== null && Object.hasOwn(TYPES, short) ? short : null;
  const current = record !== null && TYPES[record].equals(type);
  let resolver: ReturnType<avro.Type['createResolver']> | undefined;
  const resolve = (): ReturnType<avro.Type['createResolver']> => {
    try {
      resolver ??= TYPES[record!].createResolver(type);
      return resolver;
    } catch (cause) {
      throw new AttestreamError(
        'SCHEMA_INCOMPATIBLE',
        `${name} (${print.toString('hex')}) cannot be read as this version's ${record}: ${(cause as Error).message}`,
        {},
        { cause },
      );
    }
  };
  let bounds: ReturnType<typeof boundsCheck> | undefined;
  const decode = (body: Buffer): unknown => {
    if (bounds === undefined) bounds = current ? BOUNDS[record] : boundsCheck(type);
    bounds?.(body);
    if (record === null || current) return (record === null ? type : TYPES[record]).fromBuffer(body);
    return TYPES[record].fromBuffer(body, resolve());
  };
  return {
    index,
    fingerprint: print,
    json,
    name,
    record,
    current,
    decode(body) {
      try {
        return decode(body);
      } catch (cause) {
        if (cause instanceof AttestreamError) throw cause;
        throw new AttestreamError('RECORD_INVALID', `not a ${name}: ${(cause as Error).message}`, {}, { cause });
      }
    },
  };
};
