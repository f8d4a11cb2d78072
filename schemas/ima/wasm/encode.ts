/*
 * Just enough of WebAssembly's binary format (core specification 2.0, chapter 5) to write modules of functions over one memory. Code
 * is bytes and pieces of code, flattened once at the end; an expression leaves its value on the stack.
 */

export type Code = readonly (number | Code)[];

const flatten = (code: Code, into: number[] = []): number[] => {
  for (const part of code)
    if (typeof part === 'number') into.push(part);
    else flatten(part, into);
  return into;
};

export type ValueType = 'i32' | 'i64' | 'v128';

const TYPE: Readonly<Record<ValueType, number>> = { i32: 0x7f, i64: 0x7e, v128: 0x7b };

export const unsigned = (value: number): number[] => {
  const bytes: number[] = [];
  let rest = value;
  do {
    const low = rest & 0x7f;
    rest >>>= 7;
    bytes.push(rest === 0 ? low : low | 0x80);
  } while (rest !== 0);
  return bytes;
};

export const signed = (value: bigint): number[] => {
  const bytes: number[] = [];
  for (let rest = value; ; ) {
    const low = Number(rest & 0x7fn);
    rest >>= 7n;
    if ((rest === 0n && (low & 0x40) === 0) || (rest === -1n && (low & 0x40) !== 0)) {
      bytes.push(low);
      return bytes;
    }
    bytes.push(low | 0x80);
  }
};

export const get = (local: number): Code => [0x20, unsigned(local)];
export const set = (local: number, value: Code): Code => [value, 0x21, unsigned(local)];
export const i32Const = (value: number): Code => [0x41, signed(BigInt(value | 0))];
export const i64Const = (value: bigint): Code => [0x42, signed(BigInt.asIntN(64, value))];
export const simd = (op: number): Code => [0xfd, unsigned(op)];
/** Alignment is only a hint; that of bytes is true everywhere. */
export const memory = (op: Code, address: Code, offset: number, value: Code = []): Code => [
  address,
  value,
  op,
  0x00,
  unsigned(offset),
];
export const i32Add = (a: Code, b: Code): Code => [a, b, 0x6a];
/** Repeats `body` until the local `counter`, counted down at its end, is zero; at least once. */
export const countDown = (counter: number, body: Code): Code => [
  [0x03, 0x40],
  body,
  [get(counter), i32Const(1), 0x6b, 0x22, unsigned(counter)],
  [0x0d, 0x00, 0x0b],
];

/** Numbers of locals by name of what they hold; parameters come first. */
export class Locals {
  readonly #types: ValueType[] = [];
  readonly parameters: readonly number[];
  readonly #count: number;

  /** @param parameters how many i32 the function takes */
  constructor(parameters: number) {
    this.#count = parameters;
    this.parameters = Array.from({ length: parameters }, (_, i) => i);
  }

  add(type: ValueType): number {
    this.#types.push(type);
    return this.#count + this.#types.length - 1;
  }

  many(type: ValueType, count: number): number[] {
    return Array.from({ length: count }, () => this.add(type));
  }

  encode(): number[] {
    return [...unsigned(this.#types.length), ...this.#types.flatMap((type) => [1, TYPE[type]])];
  }
}

export interface WasmFunction {
  readonly name: string;
  readonly locals: Locals;
  readonly body: Code;
}

const section = (id: number, content: Code): Code => {
  const bytes = flatten(content);
  return [id, unsigned(bytes.length), bytes];
};
const text = (value: string): Code => [unsigned(value.length), [...Buffer.from(value, 'latin1')]];
const vector = (items: readonly Code[]): Code => [unsigned(items.length), items];

/** A module that exports functions of i32 parameters without a result, and its memory as `memory`. */
export const encodeModule = (functions: readonly WasmFunction[], pages: number): Uint8Array<ArrayBuffer> =>
  Uint8Array.from(
    flatten([
      [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
      section(1, vector(functions.map(({ locals }) => [0x60, vector(locals.parameters.map(() => [TYPE.i32])), 0]))),
      section(3, vector(functions.map((_, i) => unsigned(i)))),
      section(5, [1, 0, unsigned(pages)]),
      section(
        7,
        vector([...functions.map(({ name }, i): Code => [text(name), 0, unsigned(i)]), [text('memory'), 2, 0]]),
      ),
      section(
        10,
        vector(
          functions.map(({ locals, body }) => {
            const code = flatten([locals.encode(), body, 0x0b]);
            return [unsigned(code.length), code];
          }),
        ),
      ),
    ]),
  );
