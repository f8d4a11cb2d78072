import { AT, ENCODING, TAG } from './constants.js';
import { floatOf } from './floats.js';
import type { MemoryReader } from './frame-view.js';
import { narrow } from './leb128.js';
import { qualifiedName } from './names.js';
import { arrayOf, type Member, membersOf, type Shape, type ShapeKind, shapeOf } from './shapes.js';
import { readCounted, readText, textOf } from './text.js';
import { type Die, numberOf, referenceOf } from './unit.js';
import type { Decoded, ParameterValue } from './values.js';
import { variantOf } from './variants.js';

const MAX_DEPTH = 5;
const MAX_NODES = 400;
const MAX_ELEMENTS = 64;
const MAX_BYTES = 64 * 1024;
const MORE = '…';

interface Room {
  readonly memory: MemoryReader;
  readonly machine: 'x86-64' | 'arm64';
  nodes: number;
}

/** `known` tells, byte by byte, what of an object in pieces there is; null: all. */
export const decodeValue = (
  shape: Shape,
  bytes: Buffer,
  known: Uint8Array | null,
  memory: MemoryReader,
  machine: 'x86-64' | 'arm64',
): Decoded => decode(shape, bytes, known, { memory, machine, nodes: MAX_NODES }, 0);

const none = (kind: ShapeKind, why: string): Decoded => ({
  kind: kind === 'reference' ? 'pointer' : kind,
  value: null,
  number: null,
  why,
});

const OPTIMISED_AWAY = 'optimised away';

const complete = (known: Uint8Array | null, from: number, size: number): boolean => {
  if (known === null) return true;
  for (let i = from; i < from + size; i++) if (known[i] !== 1) return false;
  return true;
};

const decode = (shape: Shape, bytes: Buffer, known: Uint8Array | null, room: Room, depth: number): Decoded => {
  const { kind, size } = shape;
  if (--room.nodes < 0 || depth > MAX_DEPTH) return none(kind, 'nested too deeply');
  if (kind === 'other') return none(kind, `values of type ${shape.name} are not read`);
  if (bytes.length < size || size > MAX_BYTES) return none(kind, 'larger than what is read');
  if (kind === 'struct') return structure(shape, bytes, known, room, depth);
  if (kind === 'array') return array(shape, bytes, known, room, depth);
  if (!complete(known, 0, size)) return none(kind, OPTIMISED_AWAY);
  switch (kind) {
    case 'int':
    case 'uint':
    case 'char': {
      const value = integerOf(bytes, size, shape.signed);
      return value === null ? none(kind, 'an integer of an unusual size') : { kind, value, number: null, why: '' };
    }
    case 'bool': {
      const value = integerOf(bytes, size, false);
      // What is neither was never a bool: a place that is not filled yet, or damage.
      return value === 0 || value === 1
        ? { kind, value: value === 1, number: null, why: '' }
        : none(kind, `neither true nor false: ${value}`);
    }
    case 'float': {
      const value = floatOf(bytes, size, shape.die, room.machine);
      return value === null ? none(kind, 'not exactly a number of 64 bits') : { kind, value, number: null, why: '' };
    }
    case 'enum':
      return enumeration(shape, bytes);
    case 'reference':
      return referred(shape, bytes, room, depth);
    case 'pointer':
    case 'text':
      return pointer(kind, bytes, room);
  }
};

/** Little-endian; null for sizes that no integer has. */
export const integerOf = (bytes: Buffer, size: number, signed: boolean): number | bigint | null => {
  if (size >= 1 && size <= 6) return signed ? bytes.readIntLE(0, size) : bytes.readUIntLE(0, size);
  if (size === 8) {
    const high = signed ? bytes.readInt32LE(4) : bytes.readUInt32LE(4);
    if (high >= -0x10_0000 && high < 0x10_0000) return high * 2 ** 32 + bytes.readUInt32LE(0);
    return narrow(signed ? bytes.readBigInt64LE(0) : bytes.readBigUInt64LE(0));
  }
  if (size !== 16) return null;
  const high = signed ? bytes.readBigInt64LE(8) : bytes.readBigUInt64LE(8);
  return narrow((high << 64n) | bytes.readBigUInt64LE(0));
};

const enumeration = (shape: Shape, bytes: Buffer): Decoded => {
  const number = integerOf(bytes, shape.size, shape.signed)!;
  return { kind: 'enum', value: shape.names?.get(number) ?? flagsOf(shape, number) ?? number, number, why: '' };
};

/** `A | B` where every enumerator is one bit, and no two the same. */
const flagsOf = ({ names }: Shape, number: number | bigint): string | null => {
  if (names === null || typeof number !== 'number' || !(number > 0)) return null;
  let rest = BigInt(number);
  const parts: string[] = [];
  for (const [value, name] of names) {
    const bit = BigInt(value);
    if (bit === 0n) continue;
    if (bit < 0n || (bit & (bit - 1n)) !== 0n) return null;
    if ((rest & bit) === 0n) continue;
    rest &= ~bit;
    parts.push(name);
  }
  return rest === 0n ? parts.join(' | ') : null;
};

const addressOfBytes = (bytes: Buffer): number | bigint => integerOf(bytes, 8, false)!;

const pointer = (kind: 'pointer' | 'text', bytes: Buffer, room: Room): Decoded => {
  const number = addressOfBytes(bytes);
  const hex = `0x${number.toString(16)}`;
  if (kind === 'pointer' || number === 0) return { kind, value: hex, number, why: '' };
  const text = typeof number === 'number' ? readText(room.memory, number) : null;
  return text === null
    ? { ...none(kind, `the text at ${hex} cannot be read`), number }
    : { kind, value: text, number, why: '' };
};

/** What a reference refers to: in the source the two are the same. */
const referred = (shape: Shape, bytes: Buffer, room: Room, depth: number): Decoded => {
  const number = addressOfBytes(bytes);
  const target = shapeOf(shape.die === null ? null : referenceOf(shape.die, AT.type));
  const hex = `0x${number.toString(16)}`;
  if (typeof number !== 'number' || target.kind === 'other') return { kind: 'pointer', value: hex, number, why: '' };
  if (target.size === 0 || target.size > MAX_BYTES) return { kind: 'pointer', value: hex, number, why: '' };
  const object = room.memory(number, target.size);
  if (object.length < target.size) return none('pointer', `the object at ${hex} cannot be read`);
  return decode(target, object, null, room, depth + 1);
};

const structure = (shape: Shape, bytes: Buffer, known: Uint8Array | null, room: Room, depth: number): Decoded => {
  const die = shape.die!;
  const members = membersCached(die);
  const text = known === null ? stringOfObject(die, members, bytes, room) : undefined;
  if (text !== undefined)
    return text === null
      ? none('text', 'the text cannot be read')
      : { kind: 'text', value: text, number: null, why: '' };
  const slice = known === null && die.unit.rust ? sliceOf(shape, members, bytes, room, depth) : null;
  if (slice !== null) return slice;
  const variant = die.unit.rust
    ? variantOf(die, (offset, size) =>
        complete(known, offset, size) && offset + size <= bytes.length
          ? integerOf(bytes.subarray(offset), size, false)
          : null,
      )
    : undefined;
  if (variant === null) return none('struct', 'which variant it is cannot be told');
  if (variant !== undefined) {
    const inner = variant.type === null ? null : member(variant, bytes, known, room, depth);
    const empty = inner === null || (typeof inner === 'object' && Object.keys(inner).length === 0);
    return { kind: 'struct', value: empty ? variant.name : { [variant.name]: inner }, number: null, why: '' };
  }
  const value: Record<string, ParameterValue> = {};
  let any = members.length === 0;
  for (const one of members) {
    const part = member(one, bytes, known, room, depth);
    if (part !== null) any = true;
    if (one.name !== '') value[one.name === '__proto__' ? '__proto__ ' : one.name] = part;
    // The members of a nameless structure are written as the outer one's own.
    else if (part !== null && typeof part === 'object' && !Array.isArray(part)) Object.assign(value, part);
  }
  if (!any && known !== null) return none('struct', OPTIMISED_AWAY);
  const tuple = members.length > 0 && members.every(({ name }, i) => name === `__${i}`);
  return { kind: 'struct', value: tuple ? Object.values(value) : value, number: null, why: '' };
};

const memberLists = new WeakMap<Die, readonly Member[]>();

const membersCached = (die: Die): readonly Member[] => {
  let known = memberLists.get(die);
  if (known === undefined) {
    known = membersOf(die);
    memberLists.set(die, known);
  }
  return known;
};

const member = (
  { offset, bits, type }: Member,
  bytes: Buffer,
  known: Uint8Array | null,
  room: Room,
  depth: number,
): ParameterValue => {
  if (offset === null || type === null || offset > bytes.length) return null;
  const shape = shapeOf(type);
  if (bits !== null) return bitField(shape, bits, bytes, offset, known);
  if (offset + shape.size > bytes.length) return null;
  const part = known === null ? null : known.subarray(offset, offset + shape.size);
  return decode(shape, bytes.subarray(offset, offset + shape.size), part, room, depth + 1).value;
};

const bitField = (
  shape: Shape,
  { from, count }: { readonly from: number; readonly count: number },
  bytes: Buffer,
  offset: number,
  known: Uint8Array | null,
): ParameterValue => {
  const size = Math.ceil((from + count) / 8);
  if (count < 1 || count > 64 || offset + size > bytes.length || !complete(known, offset, size)) return null;
  let bits = 0n;
  for (let i = size - 1; i >= 0; i--) bits = (bits << 8n) | BigInt(bytes[offset + i]!);
  bits = BigInt.asUintN(count, bits >> BigInt(from));
  const number = narrow(shape.signed ? BigInt.asIntN(count, bits) : bits);
  switch (shape.kind) {
    case 'bool':
      return number !== 0;
    case 'enum':
      return shape.names?.get(number) ?? flagsOf(shape, number) ?? number;
    case 'int':
    case 'uint':
    case 'char':
      return number;
    default:
      return null;
  }
};

const array = (shape: Shape, bytes: Buffer, known: Uint8Array | null, room: Room, depth: number): Decoded => {
  const { counts, element } = arrayOf(shape.die!);
  const of = shapeOf(element);
  if (of.size === 0 && shape.size > 0) return none('array', `values of type ${of.name} are not read`);
  const encoding = of.die === null ? null : numberOf(of.die, AT.encoding);
  if (counts.length === 1 && of.kind === 'char' && of.size === 1 && encoding === ENCODING.signedChar) {
    if (!complete(known, 0, shape.size)) return none('array', OPTIMISED_AWAY);
    const end = bytes.indexOf(0);
    return { kind: 'text', value: textOf(end < 0 ? bytes : bytes.subarray(0, end)), number: null, why: '' };
  }
  return { kind: 'array', value: elements(counts, 0, of, bytes, known, room, depth), number: null, why: '' };
};

/** One dimension of an array; dimensions are at most sixteen. */
const elements = (
  counts: readonly number[],
  dimension: number,
  of: Shape,
  bytes: Buffer,
  known: Uint8Array | null,
  room: Room,
  depth: number,
): readonly ParameterValue[] => {
  const count = counts[dimension]!;
  const size = counts.slice(dimension + 1).reduce((product, n) => product * n, of.size);
  const found: ParameterValue[] = [];
  for (let i = 0; i < count; i++) {
    if (i >= MAX_ELEMENTS || room.nodes <= 0) {
      found.push(MORE);
      break;
    }
    const part = bytes.subarray(i * size, (i + 1) * size);
    const mask = known === null ? null : known.subarray(i * size, (i + 1) * size);
    found.push(
      dimension + 1 < counts.length
        ? elements(counts, dimension + 1, of, part, mask, room, depth)
        : decode(of, part, mask, room, depth + 1).value,
    );
  }
  return found;
};

const pointerAt = (bytes: Buffer, offset: number | null): number | null => {
  if (offset === null || offset + 8 > bytes.length) return null;
  const address = integerOf(bytes.subarray(offset), 8, false);
  return typeof address === 'number' ? address : null;
};

/** Texts that are objects: libstdc++'s std::string, Rust's &str. Undefined for other structures. */
const stringOfObject = (die: Die, members: readonly Member[], bytes: Buffer, room: Room): string | null | undefined => {
  const length = (name: string): number | null => {
    const found = members.find((one) => one.name === name);
    return found === undefined ? null : pointerAt(bytes, found.offset);
  };
  if (die.unit.rust) {
    if (members.length !== 2 || !/^&(mut )?str$/.test(qualifiedName(die))) return undefined;
    const [data, size] = [length('data_ptr'), length('length')];
    return data === null || size === null ? undefined : readCounted(room.memory, data, size);
  }
  if (members.length < 3 || members[0]!.name !== '_M_dataplus' || members[0]!.offset !== 0) return undefined;
  if (!/^std::(__cxx11::)?basic_string<char,/.test(qualifiedName(die))) return undefined;
  const size = length('_M_string_length');
  const data = pointerAt(bytes, 0);
  return size === null || data === null ? undefined : readCounted(room.memory, data, size);
};

/** Rust's slices: a pointer and a length. */
const sliceOf = (
  shape: Shape,
  members: readonly Member[],
  bytes: Buffer,
  room: Room,
  depth: number,
): Decoded | null => {
  if (members.length !== 2 || !/^&(mut )?\[/.test(qualifiedName(shape.die!))) return null;
  const [data, length] = [
    members.find(({ name }) => name === 'data_ptr'),
    members.find(({ name }) => name === 'length'),
  ];
  if (data === undefined || length === undefined || data.type === null || data.type.tag !== TAG.pointerType)
    return null;
  const [address, count] = [pointerAt(bytes, data.offset), pointerAt(bytes, length.offset)];
  const element = shapeOf(referenceOf(data.type, AT.type));
  if (address === null || count === null || element.kind === 'other' || element.size === 0) return null;
  const size = Math.min(count, MAX_ELEMENTS) * element.size;
  const object = count === 0 ? Buffer.alloc(0) : room.memory(address, size);
  if (object.length < size) return none('array', `the elements at 0x${address.toString(16)} cannot be read`);
  return { kind: 'array', value: elements([count], 0, element, object, null, room, depth), number: null, why: '' };
};
