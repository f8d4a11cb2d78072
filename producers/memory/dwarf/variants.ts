import { AT, TAG } from './constants.js';
import { type Member, memberOf, shapeOf } from './shapes.js';
import { type Die, numberOf, referenceOf, stringOf } from './unit.js';

const MAX_VARIANTS = 4096;

interface Variants {
  /** Null where there is only one variant. */
  readonly discriminant: Member | null;
  readonly byValue: ReadonlyMap<bigint, Member>;
  /** The variant of all other values. */
  readonly rest: Member | null;
}

const known = new WeakMap<Die, Variants | null>();

const variantsOf = (die: Die): Variants | null => {
  let found = known.get(die);
  if (found === undefined) {
    found = readVariants(die);
    known.set(die, found);
  }
  return found;
};

/** DW_TAG_variant_part (DWARF 5, 5.7.10), as Rust writes its enums. Null for a structure without one. */
const readVariants = (die: Die): Variants | null => {
  const part = die.unit.children(die, MAX_VARIANTS).find(({ tag }) => tag === TAG.variantPart);
  if (part === undefined) return null;
  const discriminant = referenceOf(part, AT.discr);
  const byValue = new Map<bigint, Member>();
  let rest: Member | null = null;
  for (const variant of part.unit.children(part, MAX_VARIANTS)) {
    if (variant.tag !== TAG.variant) continue;
    const held = variant.unit.children(variant, 4).find(({ tag }) => tag === TAG.member);
    if (held === undefined) continue;
    const type = referenceOf(held, AT.type);
    const member = {
      ...memberOf(held, type),
      name: stringOf(held, AT.name) || (type === null ? '' : stringOf(type, AT.name)),
    };
    const value = numberOf(variant, AT.discrValue);
    if (value === null) rest = member;
    else byValue.set(BigInt(value), member);
  }
  return {
    discriminant: discriminant === null ? null : memberOf(discriminant, referenceOf(discriminant, AT.type)),
    byValue,
    rest,
  };
};

/**
 * The variant that an enum value holds. `read` gives unsigned integers of its bytes. Undefined for a structure without variants,
 * null if which one it is cannot be told.
 */
export const variantOf = (
  die: Die,
  read: (offset: number, size: number) => number | bigint | null,
): Member | null | undefined => {
  const variants = variantsOf(die);
  if (variants === null) return undefined;
  const { discriminant, byValue, rest } = variants;
  if (discriminant === null) return rest ?? (byValue.size === 1 ? [...byValue.values()][0]! : null);
  const { size } = shapeOf(discriminant.type);
  const value = discriminant.offset === null ? null : read(discriminant.offset, size);
  if (value === null) return null;
  // Compilers write the values signed or not: the bits decide.
  for (const [wanted, member] of byValue) if (BigInt.asUintN(size * 8, wanted) === BigInt(value)) return member;
  return rest;
};
