import { isAttestreamError } from '../../../schemas/errors.js';
import { Cursor } from '../elf/byte-source.js';
import { AT, TAG } from './constants.js';
import type { DebugInfo } from './debug-info.js';
import type { MemoryReader } from './frame-view.js';
import { containerOf } from './functions.js';
import { sourceOf } from './line-table.js';
import { locationOf } from './location-lists.js';
import { locationText } from './location-text.js';
import { linkageNameOf, qualifiedName } from './names.js';
import { OP } from './operations.js';
import { constantBytes, type Shape, shapeOf } from './shapes.js';
import { attributeOf, chainOf, type Die, flagOf, holderOf, stringOf, typeOf, type Unit } from './unit.js';
import { decodeValue } from './value-decoder.js';
import type { DecodedParameter } from './values.js';

const MAX_ENTRIES = 50_000_000;
const MAX_FOUND = 64;

/** A global or static variable: where it is at link time, and what it means. */
export interface GlobalVariable {
  /** As it was asked for. */
  readonly name: string;
  readonly shape: Shape;
  /** Link-time address; null if it has none. */
  readonly address: number | null;
  readonly constant: Buffer | null;
  readonly location: string;
  /** Why its value cannot be read; '' if it can. */
  readonly why: string;
}

/**
 * Looks variables up by name: plain for C (`counter`), with namespaces and types (`plant::Valve::made`), of a function
 * (`serve::count`), by the linker's name, or of one source file where several have it (`pump.c:counter`). Every unit is walked once:
 * for opening a target, not for a look. Names that nothing has are absent. Throws DWARF_INVALID.
 */
export const globalVariables = (info: DebugInfo, names: Iterable<string>): ReadonlyMap<string, GlobalVariable> => {
  const wanted = [...names].map(parseName);
  const found = new Map<string, Die[]>();
  const plain = new Set(wanted.map(({ last }) => last));
  for (const unit of info.units)
    try {
      searchUnit(unit.full, wanted, plain, found);
    } catch (error) {
      // A damaged unit hides its own variables only.
      if (!isAttestreamError(error)) throw error;
    }
  return new Map([...found].map(([name, dies]) => [name, describe(name, dies)]));
};

/** Its value by now. `bias`: run-time minus link-time address of its file. */
export const readGlobal = (
  variable: GlobalVariable,
  bias: number,
  memory: MemoryReader,
  machine: 'x86-64' | 'arm64',
): DecodedParameter => {
  const { name, shape, location } = variable;
  const kind = shape.kind === 'reference' ? 'pointer' : shape.kind;
  const none = (unavailable: string): DecodedParameter => ({
    name,
    type: shape.name,
    kind,
    value: null,
    valueKind: 'current',
    number: null,
    location,
    unavailable,
  });
  if (variable.why !== '') return none(variable.why);
  const bytes = variable.constant ?? memory(variable.address! + bias, shape.size);
  if (bytes.length < shape.size) return none('outside of the memory that can be read');
  const { why, ...decoded } = decodeValue(shape, bytes, null, memory, machine);
  return { name, type: shape.name, ...decoded, valueKind: 'current', location, unavailable: why };
};

interface WantedName {
  readonly asked: string;
  /** '' for any. */
  readonly file: string;
  readonly name: string;
  /** The name without what it stands in. */
  readonly last: string;
}

const parseName = (asked: string): WantedName => {
  const file = /^([^:]*[^:]):([^:].*)$/.exec(asked);
  const name = file?.[2] ?? asked;
  return { asked, file: file?.[1] ?? '', name, last: name.split('::').at(-1)! };
};

const searchUnit = (
  unit: Unit,
  wanted: readonly WantedName[],
  plain: ReadonlySet<string>,
  found: Map<string, Die[]>,
): void => {
  const { start, size } = unit.header;
  const cursor = unit.cursor(start + size);
  let depth = 0;
  for (let n = 0; !cursor.done; n++) {
    if (n > MAX_ENTRIES) cursor.fail('too many entries in a unit');
    const at = cursor.at + start;
    const abbreviation = unit.enter(cursor);
    if (abbreviation === null) {
      if (--depth <= 0) return;
      continue;
    }
    unit.pass(cursor, abbreviation);
    if (abbreviation.children) depth++;
    else if (depth === 0) return;
    if (abbreviation.tag !== TAG.variable) continue;
    // Variables without a place are declarations, or constants.
    if (!abbreviation.names.includes(AT.location) && !abbreviation.names.includes(AT.constValue)) continue;
    const die = unit.die(at);
    const linked = linkageNameOf(die);
    const holder = holderOf(chainOf(die), AT.name);
    const own = holder === null ? '' : stringOf(holder, AT.name);
    if (!plain.has(own) && !plain.has(linked)) continue;
    for (const one of wanted) if (fits(die, linked, one)) keep(found, one.asked, die);
  }
};

const keep = (found: Map<string, Die[]>, asked: string, die: Die): void => {
  const list = found.get(asked);
  if (list === undefined) found.set(asked, [die]);
  else if (list.length < MAX_FOUND) list.push(die);
};

const fits = (die: Die, linked: string, { file, name }: WantedName): boolean => {
  if (file !== '') {
    const source = sourceOf(die.unit);
    if (source !== file && !source.endsWith(`/${file}`)) return false;
  }
  if (linked === name && name !== '') return true;
  const container = containerOf(chainOf(die).at(-1)!);
  const local = container?.tag === TAG.subprogram;
  const full = qualifiedName(die);
  // A local variable with a place of its own is a static; its name is nobody's without its function's.
  return local ? isStatic(die) && `${qualifiedName(container)}::${full.split('::').at(-1)}` === name : full === name;
};

const addressOnly = (expression: Buffer): boolean =>
  (expression[0] === OP.addr && expression.length === 9) ||
  expression[0] === OP.addrx ||
  expression[0] === OP.gnuAddrIndex;

const isStatic = (die: Die): boolean => {
  const location = locationOf(die);
  return location.kind === 'always' && addressOnly(location.expression);
};

const describe = (name: string, dies: readonly Die[]): GlobalVariable => {
  const all = dies.map((die) => placed(name, die));
  const [first] = all;
  const same = (one: GlobalVariable): boolean =>
    one.address === first!.address &&
    (one.constant?.equals(first!.constant ?? Buffer.alloc(0)) ?? first!.constant === null);
  if (all.every(same)) return first!;
  // What several files know by this name, against what is one file's own.
  const external = dies.flatMap((die, i) => (chainOf(die).some((one) => flagOf(one, AT.external)) ? [all[i]!] : []));
  if (external.length > 0 && external.every(({ address }) => address === external[0]!.address)) return external[0]!;
  return { ...first!, address: null, constant: null, why: `${dies.length} variables have this name: say FILE:NAME` };
};

const placed = (name: string, die: Die): GlobalVariable => {
  const shape = shapeOf(typeOf(die));
  const location = locationOf(die);
  const value = attributeOf(die, AT.constValue);
  const constant = value === null ? null : constantBytes(value.form, value.value, shape.size);
  const base = { name, shape, address: null, constant: null, location: '', why: '' };
  if (shape.kind === 'other' || shape.size === 0) return { ...base, why: `values of type ${shape.name} are not read` };
  if (constant !== null) return { ...base, constant, location: 'constant' };
  if (location.kind !== 'always') return { ...base, why: 'its place changes, or it has none' };
  const { expression } = location;
  const text = locationText(expression);
  const address = addressIn(expression, die.unit);
  if (address !== null) return { ...base, address, location: text };
  const last = expression.at(-1);
  const why =
    last === OP.formTlsAddress || last === OP.gnuPushTlsAddress ? 'in storage of one thread' : 'its place is not fixed';
  return { ...base, location: text, why };
};

/** A link-time address, possibly with an offset behind it; null for any other expression. */
const addressIn = (expression: Buffer, unit: Unit): number | null => {
  const code = new Cursor(expression, 0, expression.length, 'DWARF_INVALID');
  const op = code.u8();
  let address: number;
  if (op === OP.addr) address = code.u64();
  else if (op === OP.addrx || op === OP.gnuAddrIndex) address = unit.indexedAddress(code.uleb());
  else return null;
  if (!code.done && code.u8() === OP.plusUconst) address += code.uleb();
  return code.done && address > 0 ? address : null;
};
