import type { FormalParameter, ValueShape } from './dwarf-parameters.js';

/** A parameter as a look shows it. Exactly one of the values is set unless `unavailable` says why none is. */
export interface DecodedParameter {
  readonly name: string;
  /** As the source has it: `int`, `const char *`. */
  readonly type: string;
  readonly kind: ValueShape['kind'];
  /** A pointer is its address; an enum its name, or its number where it has none; a character its code. */
  readonly value: number | bigint | boolean | string | null;
  readonly valueKind: 'entry' | 'current';
  /** Number behind an enum's name or a pointer; null otherwise. */
  readonly number: number | bigint | null;
  /** `fbreg -20`, '' if nowhere. */
  readonly location: string;
  /** '' if there is a value. */
  readonly unavailable: string;
}

/** Reads memory of the target that may have gone; fewer bytes or none then. */
export type ReadMemory = (address: number, length: number) => Buffer;

const MAX_TEXT = 256;
const PAGE = 4096;

const narrow = (value: bigint): number | bigint =>
  value >= BigInt(Number.MIN_SAFE_INTEGER) && value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value;

const integer = (bytes: Buffer, size: number, signed: boolean): number | bigint => {
  if (size <= 6) return signed ? bytes.readIntLE(0, size) : bytes.readUIntLE(0, size);
  if (size !== 8) return 0;
  return narrow(signed ? bytes.readBigInt64LE(0) : bytes.readBigUInt64LE(0));
};

/** NUL-terminated text, read page by page so that it may end right before unmapped memory; null if it cannot be read. */
const readText = (read: ReadMemory, address: number): string | null => {
  let text = Buffer.alloc(0);
  while (text.length < MAX_TEXT) {
    const at = address + text.length;
    const bytes = read(at, Math.min(MAX_TEXT - text.length, PAGE - (at % PAGE)));
    if (bytes.length === 0) return null;
    const nul = bytes.indexOf(0);
    text = Buffer.concat([text, nul < 0 ? bytes : bytes.subarray(0, nul)]);
    if (nul >= 0) break;
  }
  return text.toString('utf8');
};

/** The value in a frame. `slot` reads the thread's validated stack, `memory` what pointers point at. */
export const decodeParameter = (
  parameter: FormalParameter,
  cfa: number,
  innermost: boolean,
  slot: ReadMemory,
  memory: ReadMemory,
): DecodedParameter => {
  const { shape, name } = parameter;
  const base = { name, type: shape.name, kind: shape.kind, valueKind: 'current' as const };
  const location = parameter.slot === null ? '' : `fbreg ${parameter.slot}`;
  const none = (unavailable: string): DecodedParameter => ({
    ...base,
    value: null,
    number: null,
    location,
    unavailable,
  });
  if (parameter.slot === null) return none(parameter.why);
  // Before the end of the prologue a slot holds what an earlier call left there.
  if (innermost) return none('the function may not have stored its arguments yet');
  if (cfa === 0) return none('the frame address is not certain');
  if (shape.kind === 'other' || ![1, 2, 4, 8].includes(shape.size))
    return none(`values of type ${shape.name} are not read`);
  const bytes = slot(cfa + parameter.slot, shape.size);
  if (bytes.length < shape.size) return none('outside of the stack that was read');
  const found = (value: DecodedParameter['value'], number: DecodedParameter['number'] = null): DecodedParameter => ({
    ...base,
    value,
    number,
    location,
    unavailable: '',
  });
  switch (shape.kind) {
    case 'int':
    case 'char':
      return found(integer(bytes, shape.size, true));
    case 'uint':
      return found(integer(bytes, shape.size, false));
    case 'bool':
      return found(integer(bytes, shape.size, false) !== 0);
    case 'float':
      return shape.size === 8
        ? found(bytes.readDoubleLE(0))
        : shape.size === 4
          ? found(bytes.readFloatLE(0))
          : none('not a float of this machine');
    case 'enum': {
      const unsigned = integer(bytes, shape.size, false);
      const signed = integer(bytes, shape.size, true);
      const known = shape.names?.get(Number(unsigned)) ?? shape.names?.get(Number(signed));
      const number = shape.names?.has(Number(unsigned)) === true ? unsigned : signed;
      return found(known ?? number, number);
    }
    case 'pointer':
    case 'text': {
      const address = integer(bytes, 8, false);
      const hex = `0x${address.toString(16)}`;
      if (shape.kind === 'pointer' || address === 0) return found(hex, address);
      const text = typeof address === 'number' ? readText(memory, address) : null;
      return text === null ? none(`the text at ${hex} cannot be read`) : found(text, address);
    }
  }
};
