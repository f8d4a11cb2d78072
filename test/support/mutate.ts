/** Random numbers that depend on nothing but their seeds (sfc32): an input is known by the run's seed and its number. */
export class Chance {
  #a: number;
  #b: number;
  #c: number;
  #d = 1;

  constructor(seed: number, number: number) {
    this.#a = seed | 0;
    this.#b = number | 0;
    this.#c = (number / 2 ** 32) | 0;
    for (let i = 0; i < 12; i++) this.next();
  }

  /** 32 bits. */
  next(): number {
    const t = (this.#a + this.#b + this.#d) | 0;
    this.#d = (this.#d + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (this.#c << 21) | (this.#c >>> 11);
    this.#c = (this.#c + t) | 0;
    return t >>> 0;
  }

  /** 0 … below - 1. */
  below(below: number): number {
    return below <= 1 ? 0 : this.next() % below;
  }

  /** 0 … below - 1, small ones far more often. */
  small(below: number): number {
    return this.below(this.below(below) + 1);
  }

  of<T>(items: readonly T[]): T {
    return items[this.below(items.length)]!;
  }
}

const BYTES = [0x00, 0x01, 0x0a, 0x20, 0x7f, 0x80, 0xfe, 0xff];
const EDGES = [0, 1, 2, 3, 4, 7, 8, 20, 32, 64, 127, 128, 255, 256, 4096, 0x7fff, 0x8000, 0xffff, 0x10000, 0x7fffffff];
const HIGH = [0x80000000, 0x80000001, 0xfffffff0, 0xfffffffe, 0xffffffff];

type Mutation = (input: Buffer, chance: Chance, others: readonly Buffer[], maxBytes: number) => Buffer;

const chunk = (input: Buffer, chance: Chance): [start: number, end: number] => {
  const start = chance.below(input.length + 1);
  return [start, Math.min(input.length, start + 1 + chance.small(Math.max(1, input.length - start)))];
};

const replaced = (input: Buffer, start: number, end: number, by: Buffer, maxBytes: number): Buffer =>
  Buffer.concat([input.subarray(0, start), by, input.subarray(end)]).subarray(0, maxBytes);

const flipBits: Mutation = (input, chance) => {
  const changed = Buffer.from(input);
  for (let n = 1 + chance.small(8); n > 0 && changed.length > 0; n--)
    changed[chance.below(changed.length)]! ^= 1 << chance.below(8);
  return changed;
};

const setBytes: Mutation = (input, chance) => {
  const changed = Buffer.from(input);
  if (changed.length > 0) changed.fill(chance.of(BYTES), ...chunk(changed, chance));
  return changed;
};

/** An integer where one seems to be that counts what follows: given another value, near the truth or far from it. */
const lieAboutLength: Mutation = (input, chance) => {
  const width = chance.of([1, 2, 4, 4, 4, 8]);
  if (input.length < width) return input;
  const little = chance.below(2) === 0;
  const changed = Buffer.from(input);
  const low = (at: number): number => (little ? at : at + width - Math.min(width, 4));
  const read = (at: number): number => {
    const bytes = Math.min(width, 4);
    return little ? changed.readUIntLE(low(at), bytes) : changed.readUIntBE(low(at), bytes);
  };
  let at = chance.below(changed.length - width + 1);
  for (let tries = 0; tries < 24; tries++) {
    const value = read(at);
    if (value > 0 && value <= changed.length - at) break;
    at = chance.below(changed.length - width + 1);
  }
  const true_ = read(at);
  const left = changed.length - at - width;
  const values = [
    true_ + 1,
    true_ - 1,
    true_ * 2,
    true_ + 4,
    left,
    left + 1,
    left - 1,
    changed.length,
    ...EDGES,
    ...HIGH,
  ];
  const value = Math.max(0, chance.of(values)) % 2 ** (8 * Math.min(width, 4));
  if (little) changed.writeUIntLE(value, at, Math.min(width, 4));
  else changed.writeUIntBE(value, low(at), Math.min(width, 4));
  if (width === 8 && chance.below(4) === 0)
    changed.fill(chance.of(BYTES), little ? at + 4 : at, little ? at + 8 : at + 4);
  return changed;
};

const truncate: Mutation = (input, chance) => input.subarray(0, chance.below(input.length + 1));

const remove: Mutation = (input, chance, _others, maxBytes) =>
  replaced(input, ...chunk(input, chance), Buffer.alloc(0), maxBytes);

const repeat: Mutation = (input, chance, _others, maxBytes) => {
  const [start, end] = chunk(input, chance);
  const piece = input.subarray(start, end);
  if (piece.length === 0) return input;
  const most = Math.max(1, Math.min(1 + chance.small(4096), Math.ceil((maxBytes - input.length) / piece.length)));
  return replaced(input, end, end, Buffer.concat(Array.from({ length: most }, () => piece)), maxBytes);
};

const insert: Mutation = (input, chance, _others, maxBytes) => {
  const bytes = Buffer.alloc(1 + chance.small(32));
  for (let i = 0; i < bytes.length; i++) bytes[i] = chance.next();
  const at = chance.below(input.length + 1);
  return replaced(input, at, at, bytes, maxBytes);
};

const swap: Mutation = (input, chance) => {
  const [start, end] = chunk(input, chance);
  const [from] = chunk(input, chance);
  const changed = Buffer.from(input);
  input.copy(changed, from, start, end);
  return changed;
};

const splice: Mutation = (input, chance, others, maxBytes) => {
  const other = chance.of(others);
  const [start, end] = chunk(other, chance);
  const at = chance.below(input.length + 1);
  return chance.below(2) === 0
    ? Buffer.concat([input.subarray(0, at), other.subarray(start)]).subarray(0, maxBytes)
    : replaced(
        input,
        at,
        Math.min(input.length, at + chance.below(end - start + 1)),
        other.subarray(start, end),
        maxBytes,
      );
};

/** A number in text, replaced by another. */
const lieInText: Mutation = (input, chance, _others, maxBytes) => {
  const from = chance.below(input.length + 1);
  let start = from;
  while (start < input.length && !(input[start]! >= 0x30 && input[start]! <= 0x39)) start++;
  let end = start;
  while (end < input.length && input[end]! >= 0x30 && input[end]! <= 0x39) end++;
  if (start === end) return flipBits(input, chance, [], maxBytes);
  const value = chance.of([
    '',
    '-1',
    '00',
    '1e9',
    '0x10',
    ...EDGES.map(String),
    ...HIGH.map(String),
    '99999999999999999999',
  ]);
  return replaced(input, start, end, Buffer.from(value), maxBytes);
};

const MUTATIONS: readonly Mutation[] = [
  flipBits,
  flipBits,
  setBytes,
  lieAboutLength,
  lieAboutLength,
  lieAboutLength,
  lieAboutLength,
  truncate,
  remove,
  repeat,
  insert,
  swap,
  splice,
  splice,
  lieInText,
];

/** Input `number` of the run with this seed: a well-formed one, broken in one to six ways. */
export const mutated = (seeds: readonly Buffer[], seed: number, number: number, maxBytes: number): Buffer => {
  const chance = new Chance(seed, number);
  let input = chance.of(seeds).subarray(0, maxBytes);
  for (let n = 1 + chance.small(6); n > 0; n--) input = chance.of(MUTATIONS)(input, chance, seeds, maxBytes);
  return Buffer.from(input);
};
