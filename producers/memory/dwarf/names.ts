import { demangle } from '../elf/demangle.js';
import { withoutParameters } from '../elf/function-name.js';
import { AT, TAG } from './constants.js';
import { containerOf } from './functions.js';
import { chainOf, type Die, flagOf, hasAttribute, holderOf, numberOf, referenceOf, stringOf } from './unit.js';

const MAX_DEPTH = 24;
const MAX_LENGTH = 4096;

const PREFIXES: ReadonlySet<number> = new Set([
  TAG.namespace,
  TAG.module,
  TAG.classType,
  TAG.structureType,
  TAG.unionType,
  TAG.interfaceType,
  TAG.enumerationType,
]);

const qualified = new WeakMap<Die, string>();

/** An entry's name with the namespaces and types around it, as debuggers write it; '' for one without a name. */
export const qualifiedName = (die: Die): string => {
  const known = qualified.get(die);
  if (known !== undefined) return known;
  const chain = chainOf(die);
  const holder = holderOf(chain, AT.name);
  const own = holder === null ? '' : stringOf(holder, AT.name);
  // The declaration inside of a class tells where a function belongs, not the place of its definition.
  const full = own === '' || !die.unit.scoped ? own : `${prefixOf(chain.at(-1)!)}${own}`.slice(0, MAX_LENGTH);
  const name = die.unit.rust ? full : usualIntegers(full);
  qualified.set(die, name);
  return name;
};

const INTEGERS: readonly (readonly [RegExp, string])[] = [
  [/\blong long unsigned int\b/g, 'unsigned long long'],
  [/\blong unsigned int\b/g, 'unsigned long'],
  [/\bshort unsigned int\b/g, 'unsigned short'],
  [/\blong long int\b/g, 'long long'],
  [/\blong int\b/g, 'long'],
  [/\bshort int\b/g, 'short'],
];

/** Compilers write `long unsigned int`, people and debuggers `unsigned long`. */
const usualIntegers = (name: string): string => {
  if (!/\b(long|short) /.test(name)) return name;
  return INTEGERS.reduce((text, [long, usual]) => text.replace(long, usual), name);
};

const prefixOf = (die: Die): string => {
  const parts: string[] = [];
  let at = containerOf(die);
  for (let depth = 0; at !== null && depth < MAX_DEPTH; depth++) {
    if (PREFIXES.has(at.tag)) {
      const name = stringOf(at, AT.name);
      if (name !== '') parts.push(name);
      else if (at.tag === TAG.namespace) parts.push('(anonymous namespace)');
    }
    at = containerOf(at);
  }
  return parts.length === 0 ? '' : `${parts.reverse().join('::')}::`;
};

/** The name that the linker knows a function by; '' if that is its plain name. */
export const linkageNameOf = (die: Die): string => {
  const chain = chainOf(die);
  const holder = holderOf(chain, AT.linkageName);
  if (holder !== null) return stringOf(holder, AT.linkageName);
  const old = holderOf(chain, AT.mipsLinkageName);
  return old === null ? '' : stringOf(old, AT.mipsLinkageName);
};

/** A function's name as debuggers write it: C++ by what the linker's name says, without parameters, else by its entry. */
export const functionNameOf = (die: Die): string => {
  if (!die.unit.scoped || die.unit.rust) return qualifiedName(die);
  const mangled = linkageNameOf(die);
  const plain = demangle(mangled);
  return plain === mangled ? qualifiedName(die) : asDebuggers(withoutParameters(plain));
};

const SUFFIXES: Readonly<Record<string, string>> = {
  'unsigned int': 'u',
  long: 'l',
  'unsigned long': 'ul',
  'long long': 'll',
  'unsigned long long': 'ull',
};

/** Numbers in template arguments with their suffix, and no trace of an empty pack. */
const asDebuggers = (name: string): string =>
  name
    .replace(
      /\((unsigned int|(?:unsigned )?long(?: long)?)\)(-?\d+)/g,
      (_, type: string, digits: string) => `${digits}${SUFFIXES[type]}`,
    )
    .replace(/, >/g, '>');

/** A type's name is written around what it is a pointer to or an array of: left and right of that. */
interface Declarator {
  readonly left: string;
  readonly right: string;
}

const plain = (left: string): Declarator => ({ left, right: '' });

const KEYWORDS: ReadonlyMap<number, string> = new Map([
  [TAG.structureType, 'struct '],
  [TAG.classType, 'class '],
  [TAG.unionType, 'union '],
  [TAG.enumerationType, 'enum '],
]);

const typeNames = new WeakMap<Die, string>();

/** A type as the source writes it: `const char *`, `struct point`, `int (*)(int)`. Null is `void`. */
export const typeName = (die: Die | null): string => {
  if (die === null) return 'void';
  let known = typeNames.get(die);
  if (known === undefined) {
    const { left, right } = declarator(die, 0);
    known = right === '' ? left : `${left}${/[*(&]$/.test(left) ? '' : ' '}${right}`;
    typeNames.set(die, known);
  }
  return known;
};

const declarator = (die: Die | null, depth: number): Declarator => {
  if (die === null) return plain('void');
  if (depth > MAX_DEPTH) return plain('…');
  const target = (): Declarator => declarator(referenceOf(die, AT.type), depth + 1);
  switch (die.tag) {
    case TAG.pointerType:
      return hasAttribute(die, AT.name) ? plain(stringOf(die, AT.name)) : pointed(target(), '*');
    case TAG.referenceType:
      return pointed(target(), '&');
    case TAG.rvalueReferenceType:
      return pointed(target(), '&&');
    case TAG.constType:
      return qualifier(die, target(), 'const');
    case TAG.volatileType:
      return qualifier(die, target(), 'volatile');
    case TAG.restrictType:
      return qualifier(die, target(), 'restrict');
    case TAG.atomicType:
      return qualifier(die, target(), '_Atomic');
    case TAG.arrayType: {
      const name = stringOf(die, AT.name);
      if (name !== '') return plain(name);
      const { left, right } = target();
      const bounds = die.unit.children(die, 16).flatMap((child) => {
        if (child.tag !== TAG.subrangeType) return [];
        const count = elementCount(child);
        return [`[${count ?? ''}]`];
      });
      return { left, right: `${bounds.join('')}${right}` };
    }
    case TAG.subroutineType: {
      const { left, right } = target();
      const parameters = die.unit
        .children(die, 64)
        .map((child) =>
          child.tag === TAG.formalParameter
            ? nameOfDeclarator(declarator(referenceOf(child, AT.type), depth + 1))
            : child.tag === TAG.unspecifiedParameters
              ? '...'
              : '',
        );
      const list = parameters.length > 0 ? parameters.join(', ') : flagOf(die, AT.prototyped) ? 'void' : '';
      return { left, right: `(${list.slice(0, MAX_LENGTH)})${right}` };
    }
    default: {
      const name = qualifiedName(die);
      const keyword = die.unit.scoped ? '' : (KEYWORDS.get(die.tag) ?? '');
      return plain(`${keyword}${name || '{...}'}`);
    }
  }
};

const nameOfDeclarator = ({ left, right }: Declarator): string =>
  right === '' ? left : `${left}${/[*(&]$/.test(left) ? '' : ' '}${right}`;

const pointed = ({ left, right }: Declarator, mark: string): Declarator =>
  right === ''
    ? plain(`${left}${/[*&]$/.test(left) ? '' : ' '}${mark}`)
    : { left: `${left}${/[*&(]$/.test(left) ? '' : ' '}(${mark}`, right: `)${right}` };

/** A qualifier stands before a plain type and behind a pointer. */
const qualifier = (die: Die, { left, right }: Declarator, word: string): Declarator => {
  const target = referenceOf(die, AT.type);
  const behind = target !== null && (target.tag === TAG.pointerType || /[*&]$/.test(left)) && /[*&]$/.test(left);
  return { left: behind ? `${left} ${word}` : `${word} ${left}`, right };
};

/** Elements of one dimension; null if the program decides at run time. */
export const elementCount = (subrange: Die): number | null => {
  const count = numberOf(subrange, AT.count);
  if (count !== null) return Number(count);
  const upper = numberOf(subrange, AT.upperBound);
  if (upper === null) return null;
  // An array without elements has an upper bound of -1, which some compilers write unsigned.
  const last = Number(BigInt.asIntN(64, BigInt(upper)));
  return last >= -1 && last < 2 ** 40 && upper !== 0xffffffff ? last + 1 : 0;
};
