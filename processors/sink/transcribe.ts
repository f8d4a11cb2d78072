import { SCHEMAS } from '../../schemas/codec.js';
import type { RecordName } from '../../schemas/records.js';
import type { AvroSource } from './avro-source.js';
import type { RowBinary } from './row-binary.js';

/**
 * Copies one Avro value into RowBinary. The formats differ only in how numbers and counts are packed, so that a record
 * becomes a row without ever being an object: string → String, long → Int64, enum → Enum8, array → Array, map → Map,
 * record → Tuple (or its columns in a row), union [null, T] → Nullable(T).
 */
export type Transcribe = (from: AvroSource, to: RowBinary) => void;

type Schema = string | readonly Schema[] | SchemaObject;
interface SchemaObject {
  readonly type: Schema;
  readonly name?: string;
  readonly fields?: readonly { readonly name: string; readonly type: Schema }[];
  readonly items?: Schema;
  readonly values?: Schema;
  readonly symbols?: readonly string[];
  readonly size?: number;
}

const string: Transcribe = (from, to) => {
  const size = from.number();
  const at = from.take(size);
  to.string(from.bytes, at, at + size);
};

const long: Transcribe = (from, to) => {
  from.long();
  to.halves(from.low, from.high);
};

const int: Transcribe = (from, to) => {
  from.long();
  if (from.high !== from.low >> 31) from.fail('an int does not fit 32 bits');
  to.u32(from.low);
};

const fixed =
  (size: number): Transcribe =>
  (from, to) => {
    const at = from.take(size);
    to.raw(from.bytes, at, at + size);
  };

const boolean: Transcribe = (from, to) => {
  const value = from.bytes[from.take(1)]!;
  if (value > 1) from.fail(`${value} is no boolean`);
  to.u8(value);
};

const enumeration =
  (symbols: number): Transcribe =>
  (from, to) => {
    const index = from.number();
    if (index < 0 || index >= symbols) from.fail(`an enum has no symbol ${index}`);
    to.u8(index);
  };

const nullable =
  (value: Transcribe): Transcribe =>
  (from, to) => {
    const branch = from.number();
    if (branch !== 0 && branch !== 1) from.fail(`a union has no branch ${branch}`);
    to.u8(1 - branch);
    if (branch === 1) value(from, to);
  };

const countWidth = (count: number): number => {
  let width = 1;
  for (let rest = count; rest >= 0x80; rest = Math.floor(rest / 128)) width++;
  return width;
};

/** Arrays and maps. Avro splits them into blocks as the writer likes; RowBinary wants the whole count in front. */
const items =
  (item: Transcribe): Transcribe =>
  (from, to) => {
    const start = to.length;
    const first = from.block();
    to.count(first);
    if (first === 0) return;
    let total = 0;
    for (let block = first; block !== 0; block = from.block()) {
      total += block;
      for (let i = 0; i < block; i++) item(from, to);
    }
    if (total === first) return;
    to.shift(start + countWidth(first), countWidth(total) - countWidth(first));
    const { length } = to;
    to.length = start;
    to.count(total);
    to.length = length;
  };

const sequence =
  (parts: readonly Transcribe[]): Transcribe =>
  (from, to) => {
    for (let i = 0; i < parts.length; i++) parts[i]!(from, to);
  };

const compile = (schema: Schema, named: Map<string, Transcribe>): Transcribe => {
  if (typeof schema === 'string') {
    switch (schema) {
      case 'string':
      case 'bytes':
        return string;
      case 'long':
        return long;
      case 'int':
        return int;
      case 'boolean':
        return boolean;
      case 'double':
        return fixed(8);
    }
    const known = named.get(schema);
    if (known === undefined) throw new Error(`no RowBinary form for Avro type ${schema}`);
    return known;
  }
  if (Array.isArray(schema)) return nullable(compile(schema[1] as Schema, named));
  const { type, name, fields, items: of, values, symbols, size } = schema as SchemaObject;
  const made = ((): Transcribe => {
    switch (type) {
      case 'record':
        return sequence(fields!.map((field) => compile(field.type, named)));
      case 'array':
        return items(compile(of!, named));
      case 'map':
        return items(sequence([string, compile(values!, named)]));
      case 'enum':
        return enumeration(symbols!.length);
      case 'fixed':
        return fixed(size!);
      default:
        return compile(type, named);
    }
  })();
  if (name !== undefined) named.set(name, made);
  return made;
};

/** One transcriber per field of a record of ours, in the record's order; an array field gives that of its items. */
export const transcribers = (
  record: RecordName,
): readonly { readonly name: string; readonly value: Transcribe; readonly item: Transcribe | null }[] => {
  const named = new Map<string, Transcribe>();
  return (JSON.parse(SCHEMAS[record]) as SchemaObject).fields!.map((field) => {
    const type = field.type as SchemaObject;
    const item = type.type === 'array' ? compile(type.items!, named) : null;
    return { name: field.name, value: item === null ? compile(field.type, named) : items(item), item };
  });
};
