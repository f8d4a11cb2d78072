import { describe, expect, test } from '@jest/globals';
import { DebugInfo } from '../../../producers/memory/dwarf/debug-info.js';
import { type Evaluation, evaluate, type Placed } from '../../../producers/memory/dwarf/expression.js';
import { locationText } from '../../../producers/memory/dwarf/location-text.js';
import { collect } from '../../../producers/memory/dwarf/object-bytes.js';
import { dwarfVectors } from '../../support/dwarf-vectors.js';
import { filledMemory, frameView } from '../../support/frame-view.js';

const { elf } = dwarfVectors()[0]!;
const registers = new Map([
  [3, 0x1000n],
  [5, 2n ** 64n - 1n],
]);
const evaluation: Evaluation = {
  unit: new DebugInfo(elf).units[0]!,
  frame: frameView(elf, 0x1700, { cfa: 0x7000, register: (number) => registers.get(number) ?? null }),
  memory: filledMemory(0x80),
  bias: 0x5000,
  depth: 0,
  frameBase: () => 0x7010n,
  entryValue: () => 9n,
  passedValue: () => 'the caller does not tell what it passed',
};

const run = (hex: string): Placed => evaluate(Buffer.from(hex.replaceAll(' ', ''), 'hex'), evaluation);
const value = (hex: string): bigint | string => {
  const placed = run(`${hex} 9f`);
  return placed.kind === 'value' ? placed.bits : placed.kind === 'none' ? placed.why : placed.kind;
};

describe('location expressions', () => {
  test('places', () => {
    expect(run('91 6c')).toMatchObject({ kind: 'memory', address: 0x7010 - 20 });
    expect(run('53')).toEqual({ kind: 'register', register: 3 });
    expect(run('73 08')).toMatchObject({ kind: 'memory', address: 0x1008 });
    expect(run('9c 38 1c')).toMatchObject({ kind: 'memory', address: 0x7000 - 8 });
    expect(run('03 3400000000000000')).toMatchObject({ kind: 'memory', address: 0x5034 });
    expect(run('')).toEqual({ kind: 'none', why: 'optimised away' });
  });

  test('addresses and values keep all 64 bits', () => {
    expect(value('75 00')).toBe(2n ** 64n - 1n);
    expect(value('75 00 31 22')).toBe(0n);
    expect(run('75 00')).toMatchObject({ bits: 2n ** 64n - 1n });
    expect(value('11 7f')).toBe(2n ** 64n - 1n);
  });

  test('arithmetic: division is signed, the remainder is not, shifts by too much give nothing', () => {
    expect(value('09 f8 33 1b')).toBe(BigInt.asUintN(64, -2n));
    expect(value('09 ff 3a 1d')).toBe((2n ** 64n - 1n) % 10n);
    expect(value('31 08 40 24')).toBe(0n);
    expect(value('09 80 08 ff 26')).toBe(2n ** 64n - 1n);
    expect(value('31 30 1b')).toBe('arithmetic that is not defined');
    expect(value('09 ff 31 2d')).toBe(1n);
    expect(value('30 20')).toBe(2n ** 64n - 1n);
  });

  test('the stack', () => {
    expect(value('31 32 33 17')).toBe(2n);
    expect(value('31 32 14')).toBe(1n);
    expect(value('31 32 16')).toBe(1n);
    expect(value('22')).toBe('an expression that takes more than it has');
    expect(value('31 28 0100 35 36')).toBe(6n);
  });

  test('what has no end ends, and what is too large stops', () => {
    expect(value('2f fdff')).toBe('an expression without end');
    expect(value('31 12 2f fcff')).toMatch(/too much room|without end/);
    expect(value('2f ff7f')).toBe('a jump out of its expression');
    expect(value('10 ff')).toMatch(/ends early/);
    expect(value('ff')).toBe('operation 0xff is not known');
  });

  test('memory and what it is missing', () => {
    expect(value('73 00 94 02')).toBe(0x8080n);
    expect(value('71 00')).toBe('register 1 is not known in this frame');
    expect(value('a3 01 55')).toBe(9n);
    expect(value('fa 0b000000')).toBe('the caller does not tell what it passed');
    expect(run('e0')).toEqual({ kind: 'none', why: 'in storage of one thread' });
  });

  test('an object in pieces says what of it is there', () => {
    const read = (hex: string, size: number) =>
      collect(run(hex), size, (number) => registers.get(number) ?? null, evaluation.memory);
    expect(read('53 93 04 35 9f 93 04', 8).bytes).toEqual(Buffer.from([0, 0x10, 0, 0, 5, 0, 0, 0]));
    expect(read('53 93 04 93 04', 8)).toMatchObject({ known: Uint8Array.from([1, 1, 1, 1, 0, 0, 0, 0]) });
    expect(read('93 08', 8)).toMatchObject({ bytes: null, why: 'optimised away' });
    expect(read('9e 02 0102', 4)).toMatchObject({ bytes: null, why: 'larger than its value' });
    expect(read('53', 16)).toMatchObject({ bytes: null, why: 'larger than its register' });
  });

  test('as people read it', () => {
    const text = (hex: string): string => locationText(Buffer.from(hex.replaceAll(' ', ''), 'hex'));
    expect(text('91 6c')).toBe('fbreg -20');
    expect(text('a3 01 55 9f')).toBe('entry_value reg5 stack_value');
    expect(text('f3 01 55 23 08 9f')).toBe('entry_value reg5 plus_uconst 8 stack_value');
    expect(locationText(null)).toBe('');
  });
});
