import { existsSync, readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { openTarget } from '../../producers/memory/sample/look.js';
import { isAttestreamError } from '../../schemas/errors.js';
import { start } from '../support/device.js';

const codeOf = (work: () => unknown): string => {
  try {
    work();
  } catch (error) {
    return isAttestreamError(error) ? error.code : String(error);
  }
  return 'none';
};

test('a process that does not exist, and one that is a zombie, are gone', async () => {
  const { pid, exited } = start('/bin/true');
  await exited;
  expect(codeOf(() => openTarget(pid))).toBe('PROCESS_GONE');
  expect(codeOf(() => openTarget(2 ** 22 + 1))).toBe('PROCESS_GONE');
});

const kernelThread = existsSync('/proc/2/stat') && readFileSync('/proc/2/stat', 'latin1').includes('(kthreadd)');
(kernelThread ? test : test.skip)('a thread of the kernel has no program', () => {
  expect(codeOf(() => openTarget(2))).toBe('PROCESS_KERNEL_THREAD');
});

test('a process that ends between two looks is told as gone', async () => {
  const { pid, exited } = start('/bin/sleep', ['0.2']);
  const target = openTarget(pid);
  expect(target.look().gone).toBe(false);
  await exited;
  expect(target.look()).toMatchObject({ gone: true, threads: [] });
  target.close();
});

(process.getuid?.() === 0 ? test : test.skip)("another user's process may not be looked at", () => {
  const { pid } = start('/bin/sleep', ['20']);
  process.seteuid!(65534);
  try {
    expect(codeOf(() => openTarget(pid))).toBe('PROCESS_DENIED');
  } finally {
    process.seteuid!(0);
  }
  expect(codeOf(() => openTarget(pid).close())).toBe('none');
});
