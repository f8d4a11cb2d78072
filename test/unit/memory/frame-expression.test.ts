import { expect, test } from '@jest/globals';
import { type ExpressionFrame, frameExpression } from '../../../producers/memory/unwind/frame-expression.js';

const RSP = 7;
const RIP = 16;

const frame = (
  registers: Readonly<Record<number, bigint>>,
  memory: Readonly<Record<string, bigint>> = {},
): ExpressionFrame => ({
  register: (register) => registers[register] ?? null,
  memory: (address) => memory[String(address)] ?? null,
});

const run = (hex: string, initial: bigint | null = null, at = frame({})): bigint | null =>
  frameExpression(Buffer.from(hex.replace(/ /g, ''), 'hex'), initial, at);

test('the frame address in a stub of the procedure linkage table depends on how far it has come', () => {
  // breg7+8, breg16+0, lit15, and, lit11, ge, lit3, shl, plus: as every linker writes it
  const stub = '7708 8000 3f 1a 3b 2a 33 24 22';
  expect(run(stub, null, frame({ [RSP]: 0x7000n, [RIP]: 0x401026n }))).toBe(0x7008n);
  expect(run(stub, null, frame({ [RSP]: 0x7000n, [RIP]: 0x40102bn }))).toBe(0x7010n);
});

test('what is not known stays unknown', () => {
  expect(run('7708')).toBeNull();
  expect(run('7700 06', null, frame({ [RSP]: 0x7000n }))).toBeNull();
  expect(run('7700 06', null, frame({ [RSP]: 0x7000n }, { 28672: 5n }))).toBe(5n);
});

test('every operator does as DWARF says, on 64 bits', () => {
  const all: readonly (readonly [code: string, value: bigint])[] = [
    ['0805 0803 1a', 1n],
    ['0807 0902 1b', 3n],
    ['09f9 0902 1b', BigInt.asUintN(64, -3n)],
    ['0805 0803 1c', 2n],
    ['0803 0805 1c', BigInt.asUintN(64, -2n)],
    ['0807 0803 1d', 1n],
    ['0807 0803 1e', 21n],
    ['0801 1f', BigInt.asUintN(64, -1n)],
    ['0800 20', 0xffff_ffff_ffff_ffffn],
    ['0804 0803 21', 7n],
    ['0801 083f 24', 1n << 63n],
    ['0801 0840 24', 0n],
    ['09ff 083f 25', 1n],
    ['09fe 0801 26', BigInt.asUintN(64, -1n)],
    ['0806 0803 27', 5n],
    ['09fb 19', 5n],
    ['0805 2308', 13n],
    ['09ff 0801 2d', 1n],
    ['09ff 0801 2b', 0n],
    ['31 32 12 22 22', 5n],
    ['31 32 13', 1n],
    ['31 32 14', 1n],
    ['31 32 33 1502', 1n],
    ['31 32 16', 1n],
    ['31 32 33 17', 2n],
    ['31 2f0100 35 96', 1n],
    ['30 280100 35 37', 7n],
    ['0c ffffffff', 0xffffffffn],
    ['0d ffffffff', 0xffff_ffff_ffff_ffffn],
    ['0e 0102030405060708', 0x0807060504030201n],
    ['10 e58e26', 624485n],
    ['11 7f', 0xffff_ffff_ffff_ffffn],
  ];
  for (const [code, value] of all) expect([code, run(code)]).toEqual([code, value]);
  expect(run('2304', 0x100n)).toBe(0x104n);
});

test.each(['1a', '12', '06', '17', '08', '2fffff', '0801 0800 1b', 'ff', '31 2f1000'])(
  'malformed or endless: %s is refused',
  (code) => {
    expect(() => run(code)).toThrow(expect.objectContaining({ code: 'DWARF_INVALID' }));
  },
);

test('a loop ends', () => {
  expect(() => run('31 2ffcff')).toThrow(expect.objectContaining({ code: 'DWARF_INVALID' }));
  // A jump onto itself that pushes nothing is bounded by steps.
  expect(() => run('2ffdff')).toThrow(expect.objectContaining({ code: 'DWARF_INVALID' }));
});
