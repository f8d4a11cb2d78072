import { Cursor } from '../elf/byte-source.js';
import { AT, ENCODING, FORM, TAG } from './constants.js';
import { narrow } from './leb128.js';
import { elementCount, qualifiedName, typeName } from './names.js';
import { OP } from './operations.js';
import { attributeOf, type Die, flagOf, hasAttribute, numberOf, type RawValue, referenceOf, stringOf } from './unit.js';

const MAX_STEPS = 24;
const MAX_MEMBERS = 256;
const MAX_NAMES = 4096;
const MAX_SIZE = 2 ** 31;

export type ShapeKind =
  | 'int'
  | 'uint'
  | 'bool'
  | 'char'
  | 'float'
  | 'enum'
  | 'pointer'
  | 'text'
  | 'reference'
  | 'struct'
  | 'array'
  | 'other';

/** What the bytes of a value mean. */
export interface Shape {
  readonly kind: ShapeKind;
  /** Bytes; 0 if not known. */
  readonly size: number;
  /** As the source has it: `int`, `const char *`. */
  readonly name: string;
  /** An integer, character or enumeration that can be negative. */
  readonly signed: boolean;
  /** Of an enumeration. */
  readonly names: ReadonlyMap<number | bigint, string> | null;
  /** The entry behind typedefs and qualifiers; null for `void`. */
  readonly die: Die | null;
  /** The outermost type is `const`. */
  readonly constant: boolean;
}

/** A part of a structure. */
export interface Member {
  readonly name: string;
  /** Bytes from the beginning; null if the program decides at run time. */
  readonly offset: number | null;
  /** Bits within the bytes, lowest first; null for a whole number of bytes. */
  readonly bits: { readonly from: number; readonly count: number } | null;
  readonly type: Die | null;
}

const QUALIFIERS: ReadonlySet<number> = new Set([
  TAG.constType,
  TAG.volatileType,
  TAG.restrictType,
  TAG.atomicType,
  TAG.immutableType,
]);

const NOTHING: Shape = { kind: 'other', size: 0, name: 'void', signed: false, names: null, die: null, constant: false };

const shapes = new WeakMap<Die, Shape>();

/** The shape of a type; null is `void`. Throws DWARF_INVALID. */
export const shapeOf = (type: Die | null): Shape => {
  if (type === null) return NOTHING;
  let known = shapes.get(type);
  if (known === undefined) {
    known = compile(type);
    shapes.set(type, known);
  }
  return known;
};

/** The type itself: typedefs and qualifiers taken off, a declaration replaced by its definition. */
export const underlying = (type: Die): { readonly die: Die | null; readonly constant: boolean } => {
  let constant = false;
  let die: Die | null = type;
  for (let steps = 0; die !== null && steps < MAX_STEPS; steps++) {
    if (die.tag === TAG.constType || die.tag === TAG.immutableType) constant = true;
    if (QUALIFIERS.has(die.tag) || die.tag === TAG.typedef) die = referenceOf(die, AT.type);
    else if (hasAttribute(die, AT.signature)) die = referenceOf(die, AT.signature);
    else return { die, constant };
  }
  return { die: null, constant };
};

const ENCODED: ReadonlyMap<number, { readonly kind: ShapeKind; readonly signed: boolean }> = new Map([
  [ENCODING.boolean, { kind: 'bool', signed: false }],
  [ENCODING.float, { kind: 'float', signed: true }],
  [ENCODING.signed, { kind: 'int', signed: true }],
  [ENCODING.signedChar, { kind: 'char', signed: true }],
  [ENCODING.unsigned, { kind: 'uint', signed: false }],
  [ENCODING.unsignedChar, { kind: 'char', signed: false }],
  [ENCODING.utf, { kind: 'char', signed: false }],
]);

export const sizeOf = (die: Die): number => {
  const size = Number(numberOf(die, AT.byteSize) ?? -1);
  return size >= 0 && size < MAX_SIZE ? size : 0;
};

const compile = (type: Die): Shape => {
  const { die, constant } = underlying(type);
  const base = { ...NOTHING, name: typeName(type), die, constant };
  if (die === null) return base;
  const size = sizeOf(die);
  switch (die.tag) {
    case TAG.baseType: {
      const meaning = ENCODED.get(Number(numberOf(die, AT.encoding) ?? 0));
      if (meaning === undefined || size < 1 || size > 16 || hasAttribute(die, AT.bitSize)) return { ...base, size };
      // Rust's u8 is a number, C's unsigned char a character.
      const kind = meaning.kind === 'char' && size > 4 ? 'other' : meaning.kind;
      return { ...base, kind, size, signed: meaning.signed };
    }
    case TAG.enumerationType:
      return enumeration(base, die, size);
    case TAG.pointerType: {
      if (size !== 8 && hasAttribute(die, AT.byteSize)) return { ...base, size };
      const target = referenceOf(die, AT.type);
      const pointed = target === null ? null : underlying(target).die;
      return { ...base, kind: pointed !== null && isCharacter(pointed) ? 'text' : 'pointer', size: 8 };
    }
    case TAG.referenceType:
    case TAG.rvalueReferenceType:
      return { ...base, kind: 'reference', size: 8 };
    case TAG.structureType:
    case TAG.classType:
    case TAG.unionType:
    case TAG.interfaceType:
      return flagOf(die, AT.declaration) || !hasAttribute(die, AT.byteSize)
        ? { ...base, size }
        : { ...base, kind: 'struct', size };
    case TAG.arrayType: {
      const { count, element } = arrayOf(die);
      if (count === null) return base;
      const total = size || count * shapeOf(element).size;
      return { ...base, kind: 'array', size: total < MAX_SIZE ? total : 0 };
    }
    default:
      return { ...base, size };
  }
};

const isCharacter = (die: Die): boolean => {
  const encoding = numberOf(die, AT.encoding);
  return (
    die.tag === TAG.baseType &&
    sizeOf(die) === 1 &&
    !die.unit.rust &&
    (encoding === ENCODING.signedChar || encoding === ENCODING.unsignedChar)
  );
};

/** Elements of all dimensions together, and what they are; a null count is decided at run time. */
export const arrayOf = (
  die: Die,
): { readonly count: number | null; readonly counts: readonly number[]; readonly element: Die | null } => {
  const counts: number[] = [];
  let total = 1;
  for (const child of die.unit.children(die, 16)) {
    if (child.tag !== TAG.subrangeType && child.tag !== TAG.enumerationType) continue;
    const count = elementCount(child);
    if (count === null) return { count: null, counts, element: referenceOf(die, AT.type) };
    counts.push(count);
    total *= count;
  }
  return { count: counts.length === 0 ? null : total, counts, element: referenceOf(die, AT.type) };
};

const enumeration = (base: Shape, die: Die, declared: number): Shape => {
  const of = referenceOf(die, AT.type);
  const whole = of === null ? null : shapeOf(of);
  const size = declared || (whole?.size ?? 0);
  if (![1, 2, 4, 8].includes(size)) return { ...base, size };
  const names = new Map<number | bigint, string>();
  let signed = whole?.signed ?? false;
  const values: [RawValue, string, number][] = [];
  for (const child of die.unit.children(die, MAX_NAMES)) {
    const value = child.tag === TAG.enumerator ? attributeOf(child, AT.constValue) : null;
    if (value === null) continue;
    values.push([value.value, stringOf(child, AT.name), value.form]);
    if (whole === null && !Buffer.isBuffer(value.value) && BigInt(value.value) < 0n) signed = true;
  }
  for (const [value, name] of values)
    if (!Buffer.isBuffer(value)) {
      const bits = BigInt(value);
      const number = narrow(signed ? BigInt.asIntN(size * 8, bits) : BigInt.asUintN(size * 8, bits));
      if (!names.has(number)) names.set(number, name);
    }
  return { ...base, kind: 'enum', size, signed, names };
};

/** The parts of a structure that its values have, in order; base classes by their names. */
export const membersOf = (die: Die): readonly Member[] => {
  const found: Member[] = [];
  for (const child of die.unit.children(die, MAX_MEMBERS * 4)) {
    if (found.length >= MAX_MEMBERS) break;
    if (child.tag !== TAG.member && child.tag !== TAG.inheritance) continue;
    // A static member is an object of its own.
    if (flagOf(child, AT.external) || (flagOf(child, AT.declaration) && !hasAttribute(child, AT.dataMemberLocation)))
      continue;
    const type = referenceOf(child, AT.type);
    const name = child.tag === TAG.inheritance ? (type === null ? '' : qualifiedName(type)) : stringOf(child, AT.name);
    if (flagOf(child, AT.artificial) && /^_vptr/.test(name)) continue;
    found.push({ name, type, ...placeOf(child, type, die.tag === TAG.unionType) });
  }
  return found;
};

/** One member, by its entry. */
export const memberOf = (member: Die, type: Die | null): Member => ({
  name: stringOf(member, AT.name),
  type,
  ...placeOf(member, type, false),
});

const placeOf = (member: Die, type: Die | null, union: boolean): Pick<Member, 'offset' | 'bits'> => {
  const offset = memberOffset(member);
  const count = numberOf(member, AT.bitSize);
  if (count === null) return { offset: offset ?? (union ? 0 : null), bits: null };
  const dataBits = numberOf(member, AT.dataBitOffset);
  if (dataBits !== null) {
    const from = Number(dataBits) + (offset ?? 0) * 8;
    return { offset: Math.floor(from / 8), bits: { from: from % 8, count: Number(count) } };
  }
  const high = numberOf(member, AT.bitOffset);
  if (high === null) return { offset: offset ?? (union ? 0 : null), bits: { from: 0, count: Number(count) } };
  // Before DWARF 4 bits were counted from the highest one of a storage unit.
  const storage = sizeOf(member) || (type === null ? 0 : shapeOf(type).size);
  const from = (offset ?? 0) * 8 + storage * 8 - Number(high) - Number(count);
  return from < 0
    ? { offset: null, bits: null }
    : { offset: Math.floor(from / 8), bits: { from: from % 8, count: Number(count) } };
};

/** Null if the member has no offset or one that depends on the object. */
const memberOffset = (member: Die): number | null => {
  const place = attributeOf(member, AT.dataMemberLocation);
  if (place === null) return hasAttribute(member, AT.bitSize) || hasAttribute(member, AT.dataBitOffset) ? 0 : null;
  if (!Buffer.isBuffer(place.value)) return Number(place.value);
  if (place.value[0] !== OP.plusUconst) return null;
  const cursor = new Cursor(place.value, 1, place.value.length, 'DWARF_INVALID');
  const offset = cursor.uleb();
  return cursor.done ? offset : null;
};

/** A constant's low bytes, by the size of its form where that tells the sign. */
export const constantBytes = (form: number, value: RawValue, size: number): Buffer | null => {
  if (Buffer.isBuffer(value)) return value.length >= size ? value.subarray(0, size) : null;
  const width = form === FORM.data1 ? 1 : form === FORM.data2 ? 2 : form === FORM.data4 ? 4 : 8;
  if (size > 8 || form === FORM.string || form === FORM.strp || form === FORM.lineStrp || form >= FORM.strx1)
    return null;
  // A form narrower than the type leaves the sign open.
  if (width < size && BigInt(value) >> BigInt(width * 8 - 1) !== 0n) return null;
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt.asUintN(64, BigInt(value)));
  return bytes.subarray(0, size);
};
