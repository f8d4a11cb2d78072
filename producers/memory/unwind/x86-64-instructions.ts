/** What an x86-64 instruction does to control flow and to SP. `end` stands for bytes that are not understood, too. */
export interface Instruction {
  length: number;
  flow: 'next' | 'call' | 'branch' | 'jump' | 'end';
  /** Offset of a branch's or jump's target in the code; -1 if it is not told. */
  target: number;
  /**
   * push/pop and add/sub by `by` bytes (positive: SP falls); `falls` by a number that is not told, at most `by` (0: any);
   * others follow the frame pointer or lose track.
   */
  sp: 'keep' | 'move' | 'from-bp' | 'falls' | 'lost';
  by: number;
  /** mov rbp,rsp, or rbp taken back by leave. */
  bp: 'keep' | 'set' | 'leave';
  /** Register that is pushed or popped, by its number in the instruction; -1: none. */
  push: number;
  pop: number;
  /** Register that is stored at, or loaded from, SP + `slot`; -1: none. */
  store: number;
  load: number;
  slot: number;
}

const RSP = 4;
const RBP = 5;

/** Immediate bytes of the one-byte opcodes 0x80-0xff that have ModRM; absent: none. */
const IMMEDIATE: Readonly<Record<number, number>> = { 128: 1, 129: 4, 131: 1, 192: 1, 193: 1, 198: 1, 199: 4 };
const WITH_IMM8 = new Set([0x70, 0x71, 0x72, 0x73, 0xa4, 0xac, 0xba, 0xc2, 0xc4, 0xc5, 0xc6]);
const TWO_BYTE_PLAIN = new Set([0x05, 0x31, 0x77, 0xa2]);

const hasModrm = (op: number): boolean =>
  (op < 0x40 && (op & 7) < 4) ||
  op === 0x63 ||
  op === 0x69 ||
  op === 0x6b ||
  (op >= 0x80 && op <= 0x8f) ||
  op === 0xc0 ||
  op === 0xc1 ||
  op === 0xc6 ||
  op === 0xc7 ||
  (op >= 0xd0 && op <= 0xd3) ||
  (op >= 0xd8 && op <= 0xdf) ||
  op === 0xf6 ||
  op === 0xf7 ||
  op >= 0xfe;

/** Bytes of ModRM, SIB and displacement at `at`. */
const operandLength = (code: Uint8Array, at: number): number => {
  const modrm = code[at]!;
  const mod = modrm >> 6;
  const rm = modrm & 7;
  if (mod === 3) return 1;
  const sib = rm === 4 ? 1 : 0;
  if (mod === 1) return 2 + sib;
  if (mod === 2) return 5 + sib;
  if (rm === 5) return 5;
  return sib === 1 && (code[at + 1]! & 7) === 5 ? 6 : 1 + sib;
};

/** The instruction at `at`. Never reads past the buffer: what is cut off is an `end`. */
export const instructionAt = (code: Buffer, at: number): Instruction => {
  const told: Instruction = {
    length: 1,
    flow: 'next',
    target: -1,
    sp: 'keep',
    by: 0,
    bp: 'keep',
    push: -1,
    pop: -1,
    store: -1,
    load: -1,
    slot: 0,
  };
  if (!describe(code, at, told) || at + told.length > code.length) told.flow = 'end';
  return told;
};

const describe = (code: Buffer, start: number, told: Instruction): boolean => {
  let at = start;
  let narrow = false;
  for (let prefixes = 0; prefixes < 8; prefixes++, at++) {
    const byte = code[at];
    if (byte === 0x66) narrow = true;
    else if (
      byte === 0xf0 ||
      byte === 0xf2 ||
      byte === 0xf3 ||
      byte === 0x2e ||
      byte === 0x36 ||
      byte === 0x3e ||
      byte === 0x26
    )
      continue;
    else if (byte !== 0x64 && byte !== 0x65 && byte !== 0x67) break;
  }
  let rex = 0;
  if ((code[at]! & 0xf0) === 0x40) rex = code[at++]!;
  const op = code[at];
  if (op === undefined || code.length - at < 1) return false;
  if (op === 0xc5 || op === 0xc4 || op === 0x62) return vector(code, start, at, op, told);
  if (op === 0x0f) return twoByte(code, start, at + 1, told);
  at++;
  const wordSize = narrow ? 2 : 4;
  if (hasModrm(op)) {
    if (at + 8 > code.length) return false;
    const modrm = code[at]!;
    let immediate = IMMEDIATE[op] ?? (op === 0x69 ? 4 : op === 0x6b ? 1 : 0);
    const reg = (modrm >> 3) & 7;
    if ((op === 0xf6 || op === 0xf7) && reg < 2) immediate = op === 0xf6 ? 1 : 4;
    if (immediate === 4) immediate = wordSize;
    const operand = operandLength(code, at);
    told.length = at + operand + immediate - start;
    if (op === 0xff && reg === 2) told.flow = 'call';
    if (op === 0xff && (reg === 4 || reg === 5)) told.flow = 'jump';
    return start + told.length <= code.length && operandEffect(code, at, op, rex, operand, immediate, told);
  }
  const low = op & 7;
  const relative = (size: number): void => {
    told.length = at + size - start;
    if (start + told.length <= code.length)
      told.target = start + told.length + (size === 1 ? code.readInt8(at) : code.readInt32LE(at));
  };
  if (op < 0x40) told.length = at + (low === 4 ? 1 : low === 5 ? wordSize : 99) - start;
  else if (op < 0x58) {
    told.length = at - start;
    move(told, 8);
    told.push = low + ((rex & 1) << 3);
  } else if (op < 0x60) {
    told.length = at - start;
    move(told, -8);
    told.pop = low + ((rex & 1) << 3);
    if (low === RSP && (rex & 1) === 0) told.sp = 'lost';
  } else if (op === 0x68 || op === 0x6a) {
    told.length = at + (op === 0x68 ? wordSize : 1) - start;
    move(told, 8);
  } else if (op >= 0x70 && op < 0x80) {
    relative(1);
    told.flow = 'branch';
  } else if (op >= 0xb0 && op < 0xc0) told.length = at + (op < 0xb8 ? 1 : (rex & 8) !== 0 ? 8 : wordSize) - start;
  else if (op === 0xa8 || op === 0xa9) told.length = at + (op === 0xa8 ? 1 : wordSize) - start;
  else if (op >= 0xe0 && op <= 0xe3) {
    relative(1);
    told.flow = 'branch';
  } else if (op === 0xe8) {
    relative(4);
    told.flow = 'call';
  } else if (op === 0xe9 || op === 0xeb) {
    relative(op === 0xe9 ? 4 : 1);
    told.flow = 'jump';
  } else if (op === 0xc9) {
    told.length = at - start;
    told.sp = 'from-bp';
    told.by = -8;
    told.bp = 'leave';
  } else if (
    (op >= 0x90 && op <= 0x99 && op !== 0x94) ||
    (op >= 0xa4 && op <= 0xaf) ||
    op === 0xf5 ||
    (op >= 0xf8 && op <= 0xfd)
  )
    told.length = at - start;
  else return false;
  return true;
};

const move = (told: Instruction, by: number): void => {
  told.sp = 'move';
  told.by = by;
};

const displacement = (code: Buffer, at: number, mod: number): number =>
  mod === 1 ? code.readInt8(at) : mod === 2 ? code.readInt32LE(at) : 0;

/** What an instruction with ModRM does to SP and the frame pointer. */
const operandEffect = (
  code: Buffer,
  at: number,
  op: number,
  rex: number,
  operand: number,
  immediate: number,
  told: Instruction,
): boolean => {
  const modrm = code[at]!;
  const mod = modrm >> 6;
  const reg = ((modrm >> 3) & 7) + ((rex & 4) << 1);
  const rm = (modrm & 7) + ((rex & 1) << 3);
  if (op === 0xff && (reg & 7) === 6) move(told, 8);
  else if (op === 0x8f) move(told, -8);
  else if (op === 0x8d && reg === RSP) {
    // lea rsp, [rsp+d] or [rbp+d]
    if (mod !== 0 && rm === RBP) {
      told.sp = 'from-bp';
      told.by = -displacement(code, at + 1, mod);
    } else if (mod !== 0 && (modrm & 7) === 4 && code[at + 1] === 0x24 && (rex & 1) === 0)
      move(told, -displacement(code, at + 2, mod));
    else told.sp = 'lost';
  } else if (
    (op === 0x89 || op === 0x8b) &&
    mod !== 3 &&
    (modrm & 7) === 4 &&
    code[at + 1] === 0x24 &&
    (rex & 9) === 8
  ) {
    if (op === 0x89) told.store = reg;
    else if (reg === RSP) told.sp = 'lost';
    else told.load = reg;
    told.slot = displacement(code, at + 2, mod);
  } else if (mod === 3 && (op === 0x89 || op === 0x8b)) {
    const [to, from] = op === 0x89 ? [rm, reg] : [reg, rm];
    if (to === RBP && from === RSP) told.bp = 'set';
    else if (to === RSP) {
      told.sp = from === RBP ? 'from-bp' : 'lost';
      told.by = 0;
    }
  } else if ((op === 0x83 || op === 0x81) && mod === 3 && rm === RSP) {
    const value = immediate === 1 ? code.readInt8(at + operand) : immediate === 4 ? code.readInt32LE(at + operand) : 0;
    const kind = (modrm >> 3) & 7;
    if (kind === 5) move(told, value);
    else if (kind === 0) move(told, -value);
    else if (kind === 4 && value < 0) {
      // and with ...11110000: what the alignment takes away
      told.sp = 'falls';
      told.by = -value - 1;
    } else if (kind !== 7) told.sp = 'lost';
  } else if (op === 0x8b && reg === RSP) told.sp = 'lost';
  else if (op < 0x38) {
    const to = (op & 2) !== 0 ? reg : mod === 3 ? rm : -1;
    if (to === RSP) told.sp = (op & 0x38) === 0x28 ? 'falls' : 'lost';
  } else if (op === 0x87 && mod === 3 && (rm === RSP || reg === RSP)) told.sp = 'lost';
  return true;
};

const twoByte = (code: Buffer, start: number, from: number, told: Instruction): boolean => {
  const op = code[from];
  let at = from + 1;
  if (op === undefined || op === 0x0b || op === 0xff || (op >= 0xa0 && op <= 0xa1) || op === 0xa8 || op === 0xa9)
    return false;
  if (op >= 0x80 && op < 0x90) {
    if (at + 4 > code.length) return false;
    told.length = at + 4 - start;
    told.flow = 'branch';
    told.target = at + 4 + code.readInt32LE(at);
    return true;
  }
  if (TWO_BYTE_PLAIN.has(op) || (op >= 0xc8 && op < 0xd0)) {
    told.length = at - start;
    return true;
  }
  if (op < 0x10 && op !== 0x01 && op !== 0x0d && op !== 0x00) return false;
  const long = op === 0x38 || op === 0x3a;
  if (long) at++;
  if (at >= code.length) return false;
  told.length = at + operandLength(code, at) + (op === 0x3a || (!long && WITH_IMM8.has(op)) ? 1 : 0) - start;
  return true;
};

/** VEX and EVEX: never touch SP. */
const vector = (code: Buffer, start: number, at: number, op: number, told: Instruction): boolean => {
  const opcodeAt = at + (op === 0xc5 ? 2 : op === 0xc4 ? 3 : 4);
  if (opcodeAt + 1 >= code.length) return false;
  const map = op === 0xc5 ? 1 : code[at + 1]! & (op === 0xc4 ? 0x1f : 7);
  const opcode = code[opcodeAt]!;
  if (map === 1 && opcode === 0x77) {
    told.length = opcodeAt + 1 - start;
    return true;
  }
  if (map < 1 || map > 3) return false;
  const immediate = map === 3 || (map === 1 && WITH_IMM8.has(opcode)) ? 1 : 0;
  told.length = opcodeAt + 1 + operandLength(code, opcodeAt + 1) + immediate - start;
  return true;
};
