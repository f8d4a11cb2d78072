import {
  type Code,
  countDown,
  get,
  i32Add,
  i32Const,
  i64Const,
  Locals,
  memory,
  set,
  simd,
  type WasmFunction,
} from './encode.js';
import { SHA1_CONSTANTS, SHA1_INITIAL, sha1Rounds } from './sha1.js';
import { knownSchedule, SHA256, SHA512, type Sha2, sha2Rounds } from './sha2.js';
import { I32, I32X4, I64, type Word } from './word.js';

/*
 * Digests and states lie in memory as words of the machine, not as bytes: what is computed here is only ever computed with. One
 * digest each RECORD bytes, so that every bank can be walked alike.
 */
export const RECORD = 64;
/** Tables of the four-lane functions: constants of SHA-256, then of SHA-1, each in all lanes. */
export const SHA256_TABLE = 0;
export const SHA1_TABLE = SHA256_TABLE + 64 * 16;
export const TABLES_END = SHA1_TABLE + 4 * 16;

const load = (word: Word): Code => (word.type === 'i64' ? [0x29] : [0x28]);
const store = (word: Word): Code => (word.type === 'i64' ? [0x37] : [0x36]);
const advance = (local: number, by: number): Code => set(local, i32Add(get(local), i32Const(by)));

/** Extends registers: state ← H(state ‖ digest) for `count` digests, each state also written behind the last to `out`. */
interface Chain {
  readonly word: Word;
  /** Words of a digest. */
  readonly words: number;
  /** How long the message is, in blocks. */
  readonly blocks: 1 | 2;
  readonly initial: readonly bigint[];
  readonly rounds: (code: { state: number[]; schedule: number[]; scratch: [number, number, number] }) => Code[];
  /** Rounds over a second block, which holds nothing but padding. */
  readonly padding:
    | ((code: { state: number[]; schedule: number[]; scratch: [number, number, number] }) => Code[])
    | null;
}

const SHA1_CHAIN: Chain = {
  word: I32,
  words: 5,
  blocks: 1,
  initial: SHA1_INITIAL,
  rounds: (locals) => sha1Rounds(I32, locals, (index) => I32.constant(SHA1_CONSTANTS[index]!)),
  padding: null,
};

const sha2Chain = (sha: Sha2, word: Word, words: number, initial: readonly bigint[]): Chain => {
  const bits = BigInt(words * word.bits * 2);
  const block = [1n << BigInt(word.bits - 1), ...Array.from({ length: 14 }, () => 0n), bits];
  const schedule = knownSchedule(sha, word.bits, block);
  const sum = (t: number): bigint => BigInt.asUintN(word.bits, sha.constants[t]! + schedule[t]!);
  return {
    word,
    words,
    blocks: words === 8 ? 2 : 1,
    initial,
    rounds: (locals) => sha2Rounds(sha, word, locals, (t) => word.constant(sha.constants[t]!)),
    padding: words === 8 ? (locals) => sha2Rounds(sha, word, locals, (t) => word.constant(sum(t)), true) : null,
  };
};

interface Prepared {
  readonly begin: Code;
  /** Of each digest, in order; those of several chains may be mixed. */
  readonly steps: readonly Code[];
  readonly end: Code;
}

/** One chain's share of a function: it keeps its register in locals from digest to digest. */
const prepareChain = (locals: Locals, chain: Chain, state: number, digests: number, out: number): Prepared => {
  const { word, words, initial } = chain;
  const bytes = word.bits / 8;
  const register = locals.many(word.type, words);
  const working = locals.many(word.type, initial.length);
  const schedule = locals.many(word.type, 16);
  const scratch = locals.many(word.type, 3) as [number, number, number];
  const used = { state: working, schedule, scratch };
  const start = (from: readonly Code[]): Code => working.map((local, i) => set(local, from[i]!));
  const message: Code[] = [
    ...register.map((local) => get(local)),
    ...register.map((_, i) => memory(load(word), get(digests), i * bytes)),
  ];
  // The message's own end, where it is in the same block.
  for (let i = message.length; i < 16; i++)
    message.push(
      word.constant(i === words * 2 ? 1n << BigInt(word.bits - 1) : i === 15 ? BigInt(words * 2 * word.bits) : 0n),
    );
  const constants = initial.map((value) => word.constant(value));
  const first: Code[] = [schedule.map((local, i) => set(local, message[i]!)), start(constants), ...chain.rounds(used)];
  const store1 = (from: (i: number) => Code): Code =>
    register.map((local, i) => [set(local, from(i)), memory(store(word), get(out), i * bytes, get(local))]);
  const steps: Code[] = [...first];
  if (chain.padding === null) steps.push(store1((i) => word.add(get(working[i]!), constants[i]!)));
  else {
    const middle = register;
    steps.push(middle.map((local, i) => set(local, word.add(get(working[i]!), constants[i]!))));
    steps.push(start(middle.map((local) => get(local))));
    steps.push(...chain.padding(used));
    steps.push(store1((i) => word.add(get(working[i]!), get(middle[i]!))));
  }
  steps.push([advance(digests, RECORD), advance(out, RECORD)]);
  return {
    begin: register.map((local, i) => set(local, memory(load(word), get(state), i * bytes))),
    steps,
    end: register.map((local, i) => memory(store(word), get(state), i * bytes, get(local))),
  };
};

/** `name(state, digests, out, count)`. */
const chainFunction = (name: string, chain: Chain): WasmFunction => {
  const locals = new Locals(4);
  const [state, digests, out, count] = locals.parameters as [number, number, number, number];
  const { begin, steps, end } = prepareChain(locals, chain, state, digests, out);
  return { name, locals, body: [begin, countDown(count, steps), end] };
};

const v128Load = simd(0x00);
const shuffle = (a: Code, b: Code, lanes: readonly number[]): Code => [a, b, simd(0x0d), lanes];
const bytesOf = (words: readonly number[], bytes: number): number[] =>
  words.flatMap((word) => Array.from({ length: bytes }, (_, i) => word * bytes + i));
const LOW = bytesOf([0, 4, 1, 5], 4);
const HIGH = bytesOf([2, 6, 3, 7], 4);
const PAIR_LOW = bytesOf([0, 2], 8);
const PAIR_HIGH = bytesOf([1, 3], 8);
const SWAP32 = [3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12];
const SWAP64 = [7, 6, 5, 4, 3, 2, 1, 0, 15, 14, 13, 12, 11, 10, 9, 8];

/** Words of four messages' blocks, big-endian, each in its lane: loads of 16 bytes, turned about. */
const loadLanes = (pointers: readonly number[], schedule: readonly number[], rows: readonly number[]): Code => {
  const code: Code[] = [];
  const [r0, r1, r2, r3, low] = rows as [number, number, number, number, number];
  for (let group = 0; group < 4; group++) {
    for (const [i, row] of [r0, r1, r2, r3].entries())
      code.push(set(row, memory(v128Load, get(pointers[i]!), group * 16)));
    const word = (i: number, from: Code): void => {
      code.push(set(low, from));
      code.push(set(schedule[group * 4 + i]!, shuffle(get(low), get(low), SWAP32)));
    };
    const left = { low: shuffle(get(r0), get(r1), LOW), high: shuffle(get(r0), get(r1), HIGH) };
    const right = { low: shuffle(get(r2), get(r3), LOW), high: shuffle(get(r2), get(r3), HIGH) };
    word(0, shuffle(left.low, right.low, PAIR_LOW));
    word(1, shuffle(left.low, right.low, PAIR_HIGH));
    word(2, shuffle(left.high, right.high, PAIR_LOW));
    word(3, shuffle(left.high, right.high, PAIR_HIGH));
  }
  return code;
};

/** `name(message × 4, blocks, out × 4)`: four messages of as many blocks at once, each 64 bytes and padded. */
const laneFunction = (
  name: string,
  words: number,
  initial: readonly bigint[],
  rounds: (locals: { state: number[]; schedule: number[]; scratch: [number, number, number] }) => Code[],
): WasmFunction => {
  const locals = new Locals(9);
  const pointers = locals.parameters.slice(0, 4);
  const blocks = locals.parameters[4]!;
  const outs = locals.parameters.slice(5);
  const sums = locals.many('v128', words);
  const state = locals.many('v128', words);
  const schedule = locals.many('v128', 16);
  const scratch = locals.many('v128', 3) as [number, number, number];
  const rows = locals.many('v128', 5);
  return {
    name,
    locals,
    body: [
      sums.map((local, i) => set(local, I32X4.constant(initial[i]!))),
      countDown(blocks, [
        loadLanes(pointers, schedule, rows),
        state.map((local, i) => set(local, get(sums[i]!))),
        rounds({ state, schedule, scratch }),
        sums.map((local, i) => set(local, I32X4.add(get(local), get(state[i]!)))),
        pointers.map((pointer) => advance(pointer, 64)),
      ]),
      // v128.store32_lane
      sums.map((local, i) => outs.map((out, lane) => [memory(simd(0x5a), get(out), i * 4, get(local)), lane])),
    ],
  };
};

const table =
  (base: number) =>
  (index: number): Code =>
    memory(v128Load, i32Const(0), base + index * 16);

/** `name(message, blocks, initial, out)`: one message in blocks of 128 bytes. */
const wideFunction = (name: string): WasmFunction => {
  const locals = new Locals(4);
  const [message, blocks, initial, out] = locals.parameters as [number, number, number, number];
  const sums = locals.many('i64', 8);
  const state = locals.many('i64', 8);
  const schedule = locals.many('i64', 16);
  const scratch = locals.many('i64', 3) as [number, number, number];
  const pair = locals.add('v128');
  return {
    name,
    locals,
    body: [
      sums.map((local, i) => set(local, memory(load(I64), get(initial), i * 8))),
      countDown(blocks, [
        Array.from({ length: 8 }, (_, i) => [
          set(pair, memory(v128Load, get(message), i * 16)),
          set(pair, shuffle(get(pair), get(pair), SWAP64)),
          // i64x2.extract_lane
          set(schedule[2 * i]!, [get(pair), simd(0x1d), 0]),
          set(schedule[2 * i + 1]!, [get(pair), simd(0x1d), 1]),
        ]),
        state.map((local, i) => set(local, get(sums[i]!))),
        sha2Rounds(SHA512, I64, { state, schedule, scratch }, (t) => I64.constant(SHA512.constants[t]!)),
        sums.map((local, i) => set(local, I64.add(get(local), get(state[i]!)))),
        advance(message, 128),
      ]),
      sums.map((local, i) => memory(store(I64), get(out), i * 8, get(local))),
    ],
  };
};

/**
 * `pad(message, length, end)`: the end of a message up to `end`, its length in bits in the last four bytes. Writes zeros up to 145 bytes
 * behind the message whatever `end` is: slots have that much room.
 */
const padFunction = (): WasmFunction => {
  const locals = new Locals(3);
  const [message, length, end] = locals.parameters as [number, number, number];
  const tail = locals.add('i32');
  const bits = locals.add('i32');
  const masked = (by: Code, mask: number): Code => [get(bits), by, i32Const(mask), 0x71];
  const swapped: Code = [
    [get(bits), i32Const(24), 0x74],
    [masked([i32Const(8), 0x74], 0xff0000), 0x72],
    [masked([i32Const(8), 0x76], 0xff00), 0x72],
    [get(bits), i32Const(24), 0x76, 0x72],
  ];
  return {
    name: 'pad',
    locals,
    body: [
      set(tail, i32Add(get(message), get(length))),
      memory([0x3a], get(tail), 0, i32Const(0x80)),
      Array.from({ length: 18 }, (_, i) => memory([0x37], get(tail), 1 + i * 8, i64Const(0n))),
      set(bits, [get(length), i32Const(3), 0x74]),
      memory([0x36], [get(end), i32Const(4), 0x6b], 0, swapped),
    ],
  };
};

const CHAIN256 = sha2Chain(SHA256, I32, 8, SHA256.initial);

/** All functions of the module. */
export const hashFunctions = (initial384: readonly bigint[]): WasmFunction[] => [
  padFunction(),
  laneFunction('sha1x4', 5, SHA1_INITIAL, (locals) => sha1Rounds(I32X4, locals, table(SHA1_TABLE))),
  laneFunction('sha256x4', 8, SHA256.initial, (locals) => sha2Rounds(SHA256, I32X4, locals, table(SHA256_TABLE))),
  wideFunction('wide'),
  chainFunction('chain1', SHA1_CHAIN),
  chainFunction('chain256', CHAIN256),
  chainFunction('chain384', sha2Chain(SHA512, I64, 6, initial384)),
  chainFunction('chain512', sha2Chain(SHA512, I64, 8, SHA512.initial)),
];
