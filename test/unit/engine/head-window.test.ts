import { expect, test } from '@jest/globals';
import { HeadWindow } from '../../../processors/engine/head-window.js';

const head = (n: number): Buffer => Buffer.alloc(32, n);

test('keeps the newest heads and forgets the oldest', () => {
  const window = new HeadWindow(20);
  const reused = Buffer.alloc(32);
  for (let seq = 5; seq < 55; seq++) {
    reused.fill(seq);
    window.add(seq, reused);
  }
  expect(window.size).toBe(20);
  expect(window.get(34)).toBeUndefined();
  expect(window.get(55)).toBeUndefined();
  expect(window.entries()).toEqual(Array.from({ length: 20 }, (_, i) => [35 + i, head(35 + i)]));
  expect([window.first, window.bytes()]).toEqual([35, Buffer.concat(window.entries().map(([, bytes]) => bytes))]);
});

test('forgets what lies before a head, and goes on', () => {
  const window = new HeadWindow(20);
  for (let seq = 0; seq < 30; seq++) window.add(seq, head(seq));
  window.dropBefore(25);
  window.dropBefore(3);
  for (let seq = 30; seq < 50; seq++) window.add(seq, head(seq));
  expect(window.get(29)).toBeUndefined();
  expect(window.get(30)).toEqual(head(30));
  expect(window.get(49)).toEqual(head(49));
  window.dropBefore(1000);
  expect(window.size).toBe(0);
  window.add(200, head(200));
  expect(window.entries()).toEqual([[200, head(200)]]);
});

test('begins anew at a head that does not follow', () => {
  const window = new HeadWindow(20);
  for (let seq = 0; seq < 9; seq++) window.add(seq, head(seq));
  window.add(12, head(12));
  expect(window.entries()).toEqual([[12, head(12)]]);
});

test('keeps more once it is widened', () => {
  const window = new HeadWindow(5);
  for (let seq = 0; seq < 12; seq++) window.add(seq, head(seq));
  window.widen(16);
  for (let seq = 12; seq < 30; seq++) window.add(seq, head(seq));
  expect(window.entries()).toEqual(Array.from({ length: 16 }, (_, i) => [14 + i, head(14 + i)]));
  window.clear();
  expect([window.size, window.reaches(0), window.bytes().length]).toEqual([0, false, 0]);
});
