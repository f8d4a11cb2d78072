import avro from 'avsc';
import type { SchemaTable } from '../../../schemas/codec.js';
import { AttestreamError } from '../../../schemas/errors.js';
import { AvroBytes, endOfLong, readLong } from './avro-bytes.js';
import { ENVELOPE_SCHEMA } from './envelope.js';
import { FingerprintIndex } from './envelope-columns.js';

/** Version of the trace format, in `attestream.trace` of every file. */
export const TRACE_VERSION = '1';
export const SYNC_BYTES = 16;

const MAGIC = Buffer.from('Obj\x01', 'latin1');
/** Largest header that is read. */
export const MAX_HEADER_BYTES = 8 << 20;
const MAX_METADATA_ENTRIES = 64;
const MAX_SCHEMAS = 1024;

const canonical = (schema: unknown): string =>
  JSON.stringify(avro.Type.forSchema(schema as avro.Schema, { wrapUnions: 'never' }).schema());
const OURS = canonical(ENVELOPE_SCHEMA);

/** Head of an Avro object container file. */
export interface ContainerHeader {
  readonly sync: Buffer;
  readonly codec: 'null' | 'deflate';
  /** Byte offset of the first block. */
  readonly blocks: number;
  /** Newest timestamp (ms) in the partition before this file; −1 if nothing is known. */
  readonly newest: number;
  /** Indices, in the log's schema table, of the schemas that the file describes. */
  readonly schemas: ReadonlySet<number>;
  readonly prints: FingerprintIndex;
}

export const encodeHeader = (sync: Buffer, newest: number, schemas: Iterable<number>, table: SchemaTable): Buffer => {
  const described = [...schemas].map((index) => {
    const { fingerprint, json } = table.at(index);
    return `${JSON.stringify(fingerprint.toString('hex'))}:${JSON.stringify(JSON.parse(json))}`;
  });
  const metadata: readonly (readonly [string, string])[] = [
    ['avro.schema', JSON.stringify(ENVELOPE_SCHEMA)],
    ['avro.codec', 'null'],
    ['attestream.trace', TRACE_VERSION],
    ['attestream.newest', String(newest)],
    ['attestream.schemas', `{${described.join(',')}}`],
  ];
  const out = new AvroBytes();
  out.raw(MAGIC);
  out.long(metadata.length);
  for (const [key, value] of metadata) {
    out.text(key);
    out.text(value);
  }
  out.byte(0);
  out.raw(sync);
  return Buffer.from(out.bytes);
};

/**
 * Reads a header from a file's first bytes; null while more of them are needed.
 * Throws TRACE_FOREIGN (not ours) or TRACE_CORRUPT, naming `path` and the byte.
 */
export const parseHeader = (bytes: Buffer, path: string, table: SchemaTable): ContainerHeader | null => {
  const magic = Math.min(MAGIC.length, bytes.length);
  if (bytes.compare(MAGIC, 0, magic, 0, magic) !== 0)
    throw new AttestreamError('TRACE_FOREIGN', `${path} is not an Avro object container file`, { path, offset: 0 });
  const metadata = new Map<string, string>();
  let position = MAGIC.length;
  const corrupt = (what: string): AttestreamError =>
    new AttestreamError('TRACE_CORRUPT', `the header of ${path} is damaged at byte ${position}: ${what}`, {
      path,
      offset: position,
    });
  /** NaN: more bytes are needed. */
  const long = (): number => {
    const value = readLong(bytes, position, bytes.length);
    if (!Number.isNaN(value)) position = endOfLong();
    else if (bytes.length - position >= 10) throw corrupt('not a number');
    return value;
  };
  const text = (): string | null => {
    const length = long();
    if (Number.isNaN(length)) return null;
    if (length < 0 || length > MAX_HEADER_BYTES) throw corrupt(`a string of ${length} bytes`);
    if (length > bytes.length - position) return null;
    position += length;
    return bytes.toString('utf8', position - length, position);
  };
  for (;;) {
    let count = long();
    if (Number.isNaN(count)) return null;
    if (count === 0) break;
    if (count < 0) {
      count = -count;
      const size = long();
      if (Number.isNaN(size)) return null;
    }
    if (count > MAX_METADATA_ENTRIES || metadata.size > MAX_METADATA_ENTRIES)
      throw corrupt(`${count} metadata entries`);
    for (; count > 0; count--) {
      const key = text();
      if (key === null) return null;
      const value = text();
      if (value === null) return null;
      metadata.set(key, value);
    }
  }
  if (bytes.length - position < SYNC_BYTES) return null;
  const sync = Buffer.from(bytes.subarray(position, position + SYNC_BYTES));
  const codec = checkFormat(metadata, path);
  const newest = Number(metadata.get('attestream.newest') ?? -1);
  return {
    sync,
    codec,
    blocks: position + SYNC_BYTES,
    newest: Number.isFinite(newest) ? newest : -1,
    ...readSchemas(metadata.get('attestream.schemas') ?? '{}', table),
  };
};

const checkFormat = (metadata: ReadonlyMap<string, string>, path: string): 'null' | 'deflate' => {
  const foreign = (why: string): AttestreamError => new AttestreamError('TRACE_FOREIGN', `${path} ${why}`, { path });
  const version = metadata.get('attestream.trace');
  if (version === undefined) throw foreign('is an Avro file, but not part of a trace');
  if (version !== TRACE_VERSION) throw foreign(`is of trace format ${version.slice(0, 20)}, this is ${TRACE_VERSION}`);
  let envelope: string;
  try {
    envelope = canonical(JSON.parse(metadata.get('avro.schema') ?? ''));
  } catch {
    throw foreign('has no usable avro.schema');
  }
  if (envelope !== OURS) throw foreign(`holds records of another schema than trace format ${TRACE_VERSION}`);
  const codec = metadata.get('avro.codec') ?? 'null';
  if (codec !== 'null' && codec !== 'deflate')
    throw foreign(`is compressed by ${codec.slice(0, 20)}; null and deflate are read`);
  return codec;
};

/** Takes the described schemas into the table. One that is unusable, or not what its fingerprint says, stays unknown. */
const readSchemas = (json: string, table: SchemaTable): { schemas: ReadonlySet<number>; prints: FingerprintIndex } => {
  const schemas = new Set<number>();
  const prints = new FingerprintIndex();
  let described: [string, unknown][] = [];
  try {
    const parsed: unknown = JSON.parse(json);
    if (typeof parsed === 'object' && parsed !== null) described = Object.entries(parsed).slice(0, MAX_SCHEMAS);
  } catch {
    // Without descriptions the records are still delivered, as raw bytes.
  }
  for (const [hex, schema] of described) {
    try {
      const index = table.add(JSON.stringify(schema));
      const print = Buffer.from(hex, 'hex');
      if (!table.at(index).fingerprint.equals(print)) continue;
      schemas.add(index);
      prints.add(print, index);
    } catch {
      // As above: unknown to this version, kept byte for byte.
    }
  }
  return { schemas, prints };
};
