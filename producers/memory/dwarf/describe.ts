import { Cursor } from '../elf/byte-source.js';
import { AT } from './constants.js';
import type { DebugInfo } from './debug-info.js';
import { evaluate, type Placed } from './expression.js';
import { frameBaseIsCfa, frameEvaluation, passedValue } from './frame-evaluation.js';
import type { FrameView, MemoryReader } from './frame-view.js';
import { type CompiledFunction, functionOf, parametersOf, type Scope, scopesAt } from './functions.js';
import { type LineTable, readLineTable } from './line-table.js';
import { expressionAt, type Location, locationOf } from './location-lists.js';
import { locationText } from './location-text.js';
import { functionNameOf, linkageNameOf } from './names.js';
import { collect, type ObjectBytes } from './object-bytes.js';
import { OP } from './operations.js';
import { constantBytes, type Shape, shapeOf } from './shapes.js';
import { textOf } from './text.js';
import {
  attributeOf,
  blockOf,
  chainOf,
  type Die,
  flagOf,
  holderOf,
  numberOf,
  stringOf,
  typeOf,
  type Unit,
} from './unit.js';
import { decodeValue } from './value-decoder.js';
import type { DecodedParameter, ParameterValue, ValueKind } from './values.js';

const MAX_PLANS = 8192;
const MAX_PARAMETERS = 64;

/** A function in which a frame stands; several share one physical frame where the compiler put one into the other. */
export interface DescribedFrame {
  /** With namespaces, types and template arguments, as debuggers write it. */
  readonly function: string;
  /** Mangled; '' if the language does not mangle. */
  readonly linkageName: string;
  /** As the compiler wrote it; '' if not told. */
  readonly file: string;
  /** 0 if not told. */
  readonly line: number;
  /** Its code stands within that of the next one. */
  readonly inlined: boolean;
  readonly parameters: readonly DecodedParameter[];
}

/** Everything about a place in the code that is the same at every look. */
interface Plan {
  readonly frames: readonly FramePlan[];
  readonly fn: CompiledFunction;
}

interface FramePlan extends Omit<DescribedFrame, 'parameters'> {
  readonly parameters: readonly ParameterPlan[];
}

interface ParameterPlan {
  readonly name: string;
  readonly shape: Shape;
  readonly location: string;
  /** Where it is here; null if nowhere. */
  readonly expression: Buffer | null;
  /** A slot of the frame at this distance from its canonical frame address: by far the most usual place. */
  readonly slot: number | null;
  /** The value itself, where it is always the same. */
  readonly constant: Buffer | null;
  /** Text that the compiler kept without its place. */
  readonly text: string | null;
  /** What stands in the register on entry of the function can be asked of the caller; null for parameters of inlined functions. */
  readonly passedIn: Buffer | null;
  /** The place that is told here is, itself, what was passed in the parameter's own register. */
  readonly isPassed: boolean;
  /** For people, of what was passed. */
  readonly passedText: string;
  /** What is found here is what was passed: nothing in the source can change it. */
  readonly unchanging: boolean;
  /** Why there is no value here at all. */
  readonly why: string;
}

const plans = new WeakMap<DebugInfo, Map<number, Plan | null>>();
const lines = new WeakMap<Unit, LineTable | null>();

const lineTable = (unit: Unit): LineTable | null => {
  let table = lines.get(unit.base);
  if (table === undefined) {
    table = readLineTable(unit);
    lines.set(unit.base, table);
  }
  return table;
};

const NOBODY: { readonly frames: readonly DescribedFrame[] } = { frames: [] };

/**
 * The functions of a physical frame, innermost first, with their parameters' values. Empty without debug information for its code.
 * Throws DWARF_INVALID where that is damaged. Values are read of functions that are `wanted`.
 */
export const describeFrame = (
  frame: FrameView,
  memory: MemoryReader,
  wanted: (frame: Pick<DescribedFrame, 'function' | 'linkageName' | 'inlined'>) => boolean = () => true,
): { readonly frames: readonly DescribedFrame[] } => {
  const { info } = frame.module;
  if (info === null) return NOBODY;
  const plan = planOf(info, frame);
  if (plan === null) return NOBODY;
  return {
    frames: plan.frames.map((one) => ({
      function: one.function,
      linkageName: one.linkageName,
      file: one.file,
      line: one.line,
      inlined: one.inlined,
      parameters: wanted(one)
        ? one.parameters.map((parameter) => decodedParameter(parameter, frame, plan.fn, memory))
        : [],
    })),
  };
};

const planOf = (info: DebugInfo, frame: FrameView): Plan | null => {
  let kept = plans.get(info);
  if (kept === undefined) {
    kept = new Map();
    plans.set(info, kept);
  }
  // A frame that stands at a pc and one whose call returns to the address behind it may see the same code differently.
  const key = frame.innermost ? frame.vaddr : -frame.vaddr;
  let plan = kept.get(key);
  if (plan === undefined) {
    if (kept.size >= MAX_PLANS) kept.clear();
    plan = makePlan(info, frame.vaddr);
    kept.set(key, plan);
  }
  return plan;
};

const makePlan = (info: DebugInfo, vaddr: number): Plan | null => {
  const fn = functionOf(info, vaddr);
  if (fn === null) return null;
  const table = lineTable(fn.unit);
  const scopes = scopesAt(fn, vaddr);
  let place = table?.at(vaddr) ?? { file: '', line: 0 };
  const frames = scopes.map((scope, i): FramePlan => {
    const inlined = i < scopes.length - 1;
    const here = place;
    // The next frame stands where this one was put into it.
    if (inlined)
      place = {
        file: table?.file(Number(numberOf(scope.die, AT.callFile) ?? -1)) ?? '',
        line: Number(numberOf(scope.die, AT.callLine) ?? 0),
      };
    return {
      function: functionNameOf(scope.die),
      linkageName: linkageNameOf(scope.die),
      file: here.file,
      line: here.line,
      inlined,
      parameters: parametersOf(scope.die)
        .slice(0, MAX_PARAMETERS)
        .map((die) => parameterPlan(die, scope, fn, table, vaddr)),
    };
  });
  return { frames, fn };
};

const parameterPlan = (
  die: Die,
  scope: Scope,
  fn: CompiledFunction,
  table: LineTable | null,
  vaddr: number,
): ParameterPlan => {
  const chain = chainOf(die);
  const named = holderOf(chain, AT.name);
  const type = typeOf(die);
  const shape = shapeOf(type);
  const location = locationOf(die);
  const artificial = holderOf(chain, AT.artificial);
  const physical = scope.die === fn.die;
  const expression = expressionAt(location, vaddr);
  const value = attributeOf(die, AT.constValue);
  const constant = value === null ? null : constantBytes(value.form, value.value, shape.size);
  const passedIn = physical ? entryRegister(location, fn) : null;
  const ends = location.kind === 'always' && physical ? (table?.prologueEnd(fn.entry, endOf(fn)) ?? null) : null;
  const early = ends !== null && inEntryPart(fn, vaddr) && vaddr < ends;
  return {
    name: named === null ? '' : stringOf(named, AT.name),
    shape,
    location: constant === null ? locationText(expression) : 'constant',
    expression: early ? null : expression,
    slot: early || expression === null ? null : slotOf(expression, fn),
    constant,
    text: shape.kind === 'text' ? pointedText(expression, fn.unit) : null,
    passedIn,
    isPassed: isPassed(expression, passedIn),
    passedText: locationText(passedIn, true),
    unchanging: shape.constant || (artificial !== null && flagOf(artificial, AT.artificial)),
    why: early ? 'the function may not have stored its arguments yet' : 'optimised away',
  };
};

const endOf = (fn: CompiledFunction): number =>
  fn.ranges.find(({ low, high }) => fn.entry >= low && fn.entry < high)?.high ?? fn.entry;

const inEntryPart = (fn: CompiledFunction, vaddr: number): boolean => vaddr >= fn.entry && vaddr < endOf(fn);

/** The register that holds a parameter when its function is entered, as an expression; null if it is not one whole register. */
const entryRegister = (location: Location, fn: CompiledFunction): Buffer | null => {
  const expression = location.kind === 'list' ? expressionAt(location, fn.entry) : null;
  if (expression === null || expression.length !== 1) return null;
  return expression[0]! >= OP.reg0 && expression[0]! <= OP.reg31 ? expression : null;
};

/** `fbreg N` where the frame base is the canonical frame address, as a number. */
const slotOf = (expression: Buffer, fn: CompiledFunction): number | null => {
  if (expression[0] !== OP.fbreg || !frameBaseIsCfa(fn)) return null;
  let value = 0;
  let scale = 1;
  for (let i = 1; i < expression.length && i < 6; i++) {
    const byte = expression[i]!;
    value += (byte & 0x7f) * scale;
    scale *= 128;
    if (byte < 0x80) return i === expression.length - 1 ? ((byte & 0x40) !== 0 ? value - scale : value) : null;
  }
  return null;
};

/** The characters that a pointer would point at, had the compiler kept it; null for any other place. */
const pointedText = (expression: Buffer | null, unit: Unit): string | null => {
  const op = expression?.[0];
  if (expression === null || (op !== OP.implicitPointer && op !== OP.gnuImplicitPointer)) return null;
  const code = new Cursor(expression, 1, expression.length, 'DWARF_INVALID');
  const target = unit.info.dieAt(unit.header.offsetSize === 8 ? code.u64() : code.u32());
  const offset = code.sleb();
  const value = target === null || unit.skeleton !== null ? null : blockOf(target, AT.location);
  if (value === null || value[0] !== OP.implicitValue || !code.done) return null;
  const held = new Cursor(value, 1, value.length, 'DWARF_INVALID');
  const length = held.uleb();
  const bytes = value.subarray(held.at + offset, held.at + length);
  const end = bytes.indexOf(0);
  return offset < 0 || end < 0 ? null : textOf(bytes.subarray(0, end));
};

const decodedParameter = (
  plan: ParameterPlan,
  frame: FrameView,
  fn: CompiledFunction,
  memory: MemoryReader,
): DecodedParameter => {
  const { name, shape, location } = plan;
  const type = shape.name;
  const told = (
    kind: ValueKind,
    value: ParameterValue,
    valueKind: 'entry' | 'current',
    number: DecodedParameter['number'],
    place: string,
    unavailable: string,
  ): DecodedParameter => ({ name, type, kind, value, valueKind, number, location: place, unavailable });
  if (plan.text !== null) return told('text', plan.text, 'current', null, location, '');
  const passed = plan.passedIn === null ? null : passedIn(plan, frame, fn, memory);
  if (passed !== null && plan.isPassed) {
    const { kind, value, number, why } = decodeValue(shape, passed, null, memory, frame.machine);
    return told(kind, value, shape.kind === 'reference' ? 'current' : 'entry', number, location, why);
  }
  const {
    bytes,
    known,
    why: missing,
  } = plan.constant === null ? objectOf(plan, frame, fn, memory) : whole(plan.constant);
  if (bytes === null && passed === null)
    return told(shape.kind === 'reference' ? 'pointer' : shape.kind, null, 'current', null, location, missing);
  const { kind, value, number, why } = decodeValue(shape, bytes ?? passed!, known, memory, frame.machine);
  // Where it has no place any more, what was passed is told instead.
  if (bytes === null)
    return told(kind, value, shape.kind === 'reference' ? 'current' : 'entry', number, plan.passedText, why);
  const entry =
    plan.isPassed ||
    plan.unchanging ||
    plan.constant !== null ||
    (passed !== null && known === null && bytes.subarray(0, shape.size).equals(passed));
  return told(kind, value, entry && shape.kind !== 'reference' ? 'entry' : 'current', number, location, why);
};

const whole = (bytes: Buffer): ObjectBytes => ({ bytes, known: null, why: '' });

/** The place that is told here is, itself, what was passed in the parameter's own register. */
const isPassed = (expression: Buffer | null, passedIn: Buffer | null): boolean => {
  if (expression === null || passedIn === null) return false;
  const [op, length, register, end] = expression;
  return (
    (op === OP.entryValue || op === OP.gnuEntryValue) &&
    length === 1 &&
    register === passedIn[0] &&
    (end === OP.stackValue || end === undefined)
  );
};

const passedIn = (plan: ParameterPlan, frame: FrameView, fn: CompiledFunction, memory: MemoryReader): Buffer | null => {
  if (plan.shape.size < 1 || plan.shape.size > 8) return null;
  const bits = passedValue(frame, fn, { kind: 'expression', expression: plan.passedIn! }, memory, 0);
  if (typeof bits === 'string') return null;
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt.asUintN(64, bits));
  return bytes.subarray(0, plan.shape.size);
};

const missing = (why: string): ObjectBytes => ({ bytes: null, known: null, why });

const objectOf = (plan: ParameterPlan, frame: FrameView, fn: CompiledFunction, memory: MemoryReader): ObjectBytes => {
  const { expression, shape, slot } = plan;
  if (expression === null) return missing(plan.why);
  if (shape.kind === 'other' || (shape.size === 0 && shape.kind !== 'struct'))
    return missing(`values of type ${shape.name} are not read`);
  if (slot !== null) {
    if (frame.cfa === null) return missing('the frame address is not certain');
    const bytes = memory(frame.cfa + slot, shape.size);
    return bytes.length < shape.size
      ? missing('outside of the memory that can be read')
      : { bytes, known: null, why: '' };
  }
  const placed: Placed = evaluate(expression, frameEvaluation(frame, fn, memory));
  return collect(placed, shape.size, (register) => frame.register(register), memory);
};
