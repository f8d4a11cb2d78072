import { createHash } from 'node:crypto';
import type { Verdict } from '../../schemas/records.js';

/** A verdict with something in every field, different for each `i`. Time: one second per verdict from 2023-11-14 on. */
export const verdictOf = (i: number, change: Partial<Verdict> = {}): Verdict => ({
  id: createHash('sha256').update(`verdict ${i}`).digest(),
  replaces: i % 7 === 0 ? createHash('sha256').update(`replaced ${i}`).digest() : null,
  fold: 'runtime@1',
  kind: 'process',
  state: i % 3 === 0 ? 'violated' : 'conforming',
  severity: i % 3 === 0 ? 'alert' : 'info',
  host: 'a'.repeat(64),
  container: `${'c0ffee'.repeat(10)}abcd`,
  process: `${1000 + (i % 50)}:77${i % 50}`,
  slice: i % 2 === 0 ? '' : 'door=2',
  policy: `sha256:${'1'.repeat(64)}`,
  machine: `sha256:${'2'.repeat(64)}`,
  at: 1_700_000_000_000_000 + i * 1_000_000,
  message: `actuate was called with level ${i}, which öffnet the valve`,
  trigger: {
    stream: 'f'.repeat(64),
    seq: i,
    tick: i % 5 === 0 ? i : null,
    timer: i % 5 === 0 ? 3 : null,
    ordinal: i % 4,
  },
  rests: Array.from({ length: i % 3 }, (_, k) => ({
    stream: 'f'.repeat(64),
    seq: i - k,
    topic: 'memory',
    partition: 1,
    offset: 9_000_000_000 + i,
  })),
  assumes: i % 2 === 0 ? [] : ['complete', 'ordered'],
  bindings: { level: `${i}`, name: '"x"' },
  believed: ['idle', 'open'].slice(0, i % 3),
  probability: i % 4 === 0 ? null : 990_000 + i,
  numbers: { distance: 1 - i, total: 2 ** 40 + i },
  ...change,
});
