import { expect, test } from '@jest/globals';
import { KeyTable } from '../../../processors/engine/key-table.js';
import { Streams } from '../../../processors/engine/streams.js';
import { Words } from '../../../schemas/words.js';

/** Keys of every length, many of which differ in one byte only, the last one or the first. */
const keys = (): Buffer[] => {
  const made: Buffer[] = [];
  for (let length = 0; length < 40; length++) {
    made.push(Buffer.alloc(length, 0));
    if (length === 0) continue;
    for (let i = 1; i < 60; i++) {
      const last = Buffer.alloc(length, 7);
      last[length - 1] = i === 7 ? 0xff : i;
      made.push(last);
      const first = Buffer.alloc(length, 0x80);
      first[0] = i;
      if (length > 1) made.push(first);
    }
  }
  return made;
};

test('every key has a slot of its own, wherever in a buffer it lies', () => {
  const table = new KeyTable();
  const all = keys();
  const slots = all.map((key) => table.slot(key, 0, key.length));
  expect(slots).toEqual(all.map((_, i) => i));
  expect(table.size).toBe(all.length);
  for (const pad of [1, 2, 3, 5]) {
    const around = all.map((key) => Buffer.concat([Buffer.alloc(pad, 0xee), key, Buffer.alloc(3, 0xdd)]));
    expect(around.map((bytes, i) => table.slot(bytes, pad, pad + all[i]!.length))).toEqual(slots);
  }
  expect(slots.map((slot) => table.key(slot))).toEqual(all);
});

test('the same bytes give the same string, other bytes never', () => {
  const words = new Words(16);
  for (let round = 0; round < 3; round++)
    for (const text of ['', 'a', 'ab', 'abc', 'abcd', 'abce', 'abcde', 'äöü', '\0', '\0\0', 'x'.repeat(300)]) {
      const bytes = Buffer.concat([Buffer.from('__'), Buffer.from(text), Buffer.from('abc')]);
      expect(words.of(bytes, 2, 2 + Buffer.byteLength(text))).toBe(text);
    }
});

test('streams that differ in one byte have positions of their own', () => {
  const streams = new Streams(false);
  const names = Array.from({ length: 8 }, (_, i) => {
    const name = Buffer.alloc(32, 1);
    name[i * 4 + (i % 4)] = 200;
    return name;
  });
  for (const [i, name] of names.entries()) streams.position(name, 0).seq = i;
  for (const [i, name] of names.entries()) {
    const position = streams.position(Buffer.concat([Buffer.alloc(3), name]), 3);
    expect(position.seq).toBe(i);
    expect(position.hex).toBe(name.toString('hex'));
  }
  const restored = new Streams(false);
  restored.restore(streams.snapshot());
  expect(restored.snapshot()).toEqual(streams.snapshot());
});
