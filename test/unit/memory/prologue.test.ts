import { expect, test } from '@jest/globals';
import { stackStateAt } from '../../../producers/memory/unwind/prologue.js';

const code = (hex: string): Buffer =>
  Buffer.concat([Buffer.from(hex.replace(/ /g, ''), 'hex'), Buffer.alloc(16, 0x90)]);

test('a frame pointer, kept registers and locals add up', () => {
  // push rbp; mov rbp,rsp; push rbx; sub rsp,0x28; call +0
  const bytes = code('55 4889e5 53 4883ec28 e800000000');
  expect(stackStateAt(bytes, 14)).toEqual({ depth: 8 + 8 + 8 + 0x28, bpDepth: 16, savedBp: 16 });
  expect(stackStateAt(bytes, 1)).toEqual({ depth: 16, bpDepth: null, savedBp: 16 });
  expect(stackStateAt(bytes, 0)).toEqual({ depth: 8, bpDepth: null, savedBp: null });
});

test('paths that meet with equal depth agree', () => {
  // sub rsp,0x18; test edi,edi; je +2; push rax; pop rcx; call
  expect(stackStateAt(code('4883ec18 85ff 7402 50 59 e800000000'), 15)?.depth).toBe(8 + 0x18);
});

test('paths that meet with different depths decide nothing', () => {
  // test edi,edi; je +1; push rax; call
  expect(stackStateAt(code('85ff 7401 50 e800000000'), 10)).toBeNull();
});

test('code that no path reaches decides nothing', () => {
  // ret; call
  expect(stackStateAt(code('c3 e800000000'), 6)).toBeNull();
});

test('SP out of hand leaves the frame pointer alone to tell', () => {
  // push rbp; mov rbp,rsp; sub rsp,rax; call
  expect(stackStateAt(code('55 4889e5 4829c4 e800000000'), 12)).toEqual({ depth: null, bpDepth: 16, savedBp: 16 });
  // and rsp,-16 likewise
  expect(stackStateAt(code('55 4889e5 4883e4f0 e800000000'), 13)?.depth).toBeNull();
});

test('leave and lea take SP back from the frame pointer', () => {
  // push rbp; mov rbp,rsp; sub rsp,rax; leave; nop
  expect(stackStateAt(code('55 4889e5 4829c4 c9'), 8)).toEqual({ depth: 8, bpDepth: null, savedBp: null });
  // push rbp; mov rbp,rsp; sub rsp,rax; lea rsp,[rbp-0x10]
  expect(stackStateAt(code('55 4889e5 4829c4 488d65f0'), 11)?.depth).toBe(32);
});

test('a loop without end ends', () => {
  expect(stackStateAt(code('ebfe'), 2)).toBeNull();
  // push rax; jmp to it: every turn is deeper
  expect(stackStateAt(code('50 ebfd'), 3)).toBeNull();
});
