import type { Piece, Placed } from './expression.js';
import type { MemoryReader } from './frame-view.js';

const MAX_OBJECT = 64 * 1024;

/** The bytes of an object. `known` marks those that are there, where some are not; a null `bytes` has a reason. */
export interface ObjectBytes {
  readonly bytes: Buffer | null;
  readonly known: Uint8Array | null;
  readonly why: string;
}

const missing = (why: string): ObjectBytes => ({ bytes: null, known: null, why });

const whole = (bytes: Buffer): ObjectBytes => ({ bytes, known: null, why: '' });

/** Gathers an object of `size` bytes from where it is. */
export const collect = (
  placed: Placed,
  size: number,
  register: (number: number) => bigint | null,
  memory: MemoryReader,
): ObjectBytes => {
  if (size > MAX_OBJECT) return missing('larger than what is read');
  switch (placed.kind) {
    case 'none':
      return missing(placed.why);
    case 'implicit-pointer':
      return missing('points at what the compiler has optimised away');
    case 'memory': {
      const bytes = memory(placed.address, size);
      return bytes.length < size ? missing('outside of the memory that can be read') : whole(bytes);
    }
    case 'register': {
      const value = register(placed.register);
      if (value === null) return missing(`register ${placed.register} is not known in this frame`);
      return size > 8 ? missing('larger than its register') : whole(littleEndian(value, size));
    }
    case 'value':
      // The generic type has eight bytes: what lies beyond is not told.
      return size > (placed.type?.size ?? 8) && size > 8
        ? missing('larger than its value')
        : whole(littleEndian(placed.bits, size));
    case 'bytes':
      return placed.bytes.length < size ? missing('larger than its value') : whole(placed.bytes.subarray(0, size));
    case 'pieces':
      return assemble(placed.pieces, size, register, memory);
  }
};

const littleEndian = (value: bigint, size: number): Buffer => {
  const bytes = Buffer.alloc(Math.max(8, size));
  bytes.writeBigUInt64LE(BigInt.asUintN(64, value));
  return bytes.subarray(0, size);
};

const assemble = (
  pieces: readonly Piece[],
  size: number,
  register: (number: number) => bigint | null,
  memory: MemoryReader,
): ObjectBytes => {
  const bytes = Buffer.alloc(size);
  const known = new Uint8Array(size);
  let at = 0;
  let why = '';
  for (const { placed, bits, from } of pieces) {
    if (bits % 8 !== 0 || from % 8 !== 0 || at % 8 !== 0) return missing('in pieces that are no whole bytes');
    const start = at / 8;
    const length = Math.min(bits / 8, size - start);
    at += bits;
    if (length <= 0) break;
    const wanted = from / 8 + length;
    // A register's low bytes are the piece, memory's first ones are.
    const part = collect(placed, wanted, register, memory);
    if (part.bytes === null) {
      why ||= part.why;
      continue;
    }
    part.bytes.copy(bytes, start, from / 8, wanted);
    known.fill(1, start, start + length);
  }
  const all = known.every((one) => one === 1);
  if (all) return whole(bytes);
  return known.some((one) => one === 1) ? { bytes, known, why: '' } : missing(why || 'optimised away');
};
