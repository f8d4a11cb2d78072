import { expect, test } from '@jest/globals';
import { type FlowState, stackStateAt } from '../../../producers/memory/unwind/stack-flow.js';
import { X86_64 } from '../../../producers/memory/unwind/x86-64.js';

const code = (hex: string): Buffer =>
  Buffer.concat([Buffer.from(hex.replace(/ /g, ''), 'hex'), Buffer.alloc(16, 0x90)]);

const RBX = 3;
const RBP = 6;

const at = (bytes: Buffer, offset: number, called = false): FlowState | null =>
  stackStateAt(bytes, bytes.length, offset, called, X86_64.entryState, X86_64.step);

test('a frame pointer, kept registers and locals add up', () => {
  // push rbp; mov rbp,rsp; push rbx; sub rsp,0x28; call +0
  const bytes = code('55 4889e5 53 4883ec28 e800000000');
  expect(at(bytes, 14)).toEqual({
    depth: 8 + 8 + 8 + 0x28,
    slack: 0,
    fpDepth: 16,
    saved: new Map([
      [RBP, 16],
      [RBX, 24],
    ]),
  });
  expect(at(bytes, 1)).toEqual({ depth: 16, slack: 0, fpDepth: null, saved: new Map([[RBP, 16]]) });
  expect(at(bytes, 0)).toEqual({ depth: 8, slack: 0, fpDepth: null, saved: new Map() });
});

test('paths that meet with equal depth agree', () => {
  // sub rsp,0x18; test edi,edi; je +2; push rax; pop rcx; call
  expect(at(code('4883ec18 85ff 7402 50 59 e800000000'), 15)?.depth).toBe(8 + 0x18);
});

test('paths that meet with different depths decide nothing', () => {
  // test edi,edi; je +1; push rax; call
  expect(at(code('85ff 7401 50 e800000000'), 10)?.depth).toBeNull();
});

test('code that no path reaches decides nothing', () => {
  // ret; call
  expect(at(code('c3 e800000000'), 6)).toBeNull();
});

test('SP out of hand leaves the frame pointer alone to tell', () => {
  // push rbp; mov rbp,rsp; sub rsp,rax; call
  expect(at(code('55 4889e5 4829c4 e800000000'), 12)).toEqual({
    depth: 24 - 8,
    slack: Number.POSITIVE_INFINITY,
    fpDepth: 16,
    saved: new Map([[RBP, 16]]),
  });
  // and rsp,-16 takes up to 15 bytes
  expect(at(code('55 4889e5 4883e4f0 e800000000'), 13)).toMatchObject({ depth: 16, slack: 15, fpDepth: 16 });
});

test('leave and lea take SP back from the frame pointer', () => {
  // push rbp; mov rbp,rsp; sub rsp,rax; leave; nop
  expect(at(code('55 4889e5 4829c4 c9'), 8)).toEqual({ depth: 8, slack: 0, fpDepth: null, saved: new Map() });
  // push rbp; mov rbp,rsp; sub rsp,rax; lea rsp,[rbp-0x10]
  expect(at(code('55 4889e5 4829c4 488d65f0'), 11)?.depth).toBe(32);
});

test('a loop without end ends', () => {
  expect(at(code('ebfe'), 2)).toBeNull();
  // push rax; jmp to it: every turn is deeper
  expect(at(code('50 ebfd'), 3)).toBeNull();
});

test('a path that cannot come here does not matter', () => {
  // test edi,edi; je +6; push rax; jmp *rax-like end: ret; sub rsp,0x18; call
  expect(at(code('85ff 7402 50 c3 4883ec18 e800000000'), 15)?.depth).toBe(8 + 0x18);
});

test('a register that one path saved and another did not is not known', () => {
  // test edi,edi; je +7; push rbx; jmp +5; sub rsp,8 (4 bytes, then nop); call
  const bytes = code('85ff 7403 53 eb05 4883ec08 90 e800000000');
  expect(at(bytes, 17)).toEqual({ depth: 16, slack: 0, fpDepth: null, saved: new Map([[RBX, null]]) });
});

test('registers kept by mov are found, and given back by mov', () => {
  // sub rsp,0x18; mov [rsp+8],rbx; call; mov rbx,[rsp+8]; call
  const bytes = code('4883ec18 48895c2408 e800000000 488b5c2408 e800000000');
  expect(at(bytes, 14)?.saved).toEqual(new Map([[RBX, 24]]));
  expect(at(bytes, 24)?.saved).toEqual(new Map());
});

test('cases of a switch have the state of the jump that leads to them', () => {
  // push rbx; sub rsp,0x10; jmp *rax; then, after it: call
  expect(at(code('53 4883ec10 ffe0 e800000000'), 12, true)?.depth).toBe(8 + 8 + 0x10);
});

test('a call that does not return does not lead on', () => {
  // sub rsp,8; test edi,edi; je +6; push rax; call X (never returns); call
  const bytes = code('4883ec08 85ff 7406 50 e810000000 e800000000');
  const returns = (target: number): boolean => target !== 14 + 0x10;
  expect(stackStateAt(bytes, bytes.length, 19, true, X86_64.entryState, X86_64.step, returns)?.depth).toBe(16);
  expect(at(bytes, 19, true)?.depth).toBeNull();
  // While it goes on its own state counts.
  expect(stackStateAt(bytes, bytes.length, 14, true, X86_64.entryState, X86_64.step, returns)?.depth).toBe(24);
});
