import { expect, test } from '@jest/globals';
import { filesBelow, importsOf, readText, withoutComments } from '../support/sources.js';

const FOLDS = ['processors/startup', 'processors/runtime'];
const files = FOLDS.flatMap((folder) => filesBelow(folder, (name) => name.endsWith('.ts')));

/** A fold gets its time, its randomness and its world from events. */
const WORLDLY: readonly (readonly [what: string, pattern: RegExp])[] = [
  ['the clock', /\bDate\.now\b|\bnew Date\b|\bDate\(|\bperformance\.|\bhrtime\b/],
  ['chance', /\bMath\.random\b|\brandomBytes\b|\brandomUUID\b|\brandomInt\b|\bgetRandomValues\b/],
  ['timers of the process', /\bset(?:Timeout|Interval|Immediate)\b|\bqueueMicrotask\b/],
  [
    'the process or the network',
    /\bprocess\.(?!\w*\s*[,)])(?:env|argv|cwd|exit|on|std\w+|pid|memoryUsage|cpuUsage|nextTick)\b|\bfetch\(|\bconsole\./,
  ],
  ['waiting', /\bawait\b|\basync\b|\bPromise\b/],
];

/** Arithmetic, not I/O. */
const ALLOWED = new Set(['node:buffer', 'node:crypto']);

test.each(files)('%s touches nothing but its arguments', (file) => {
  const code = withoutComments(readText(file));
  expect(WORLDLY.filter(([, pattern]) => pattern.test(code)).map(([what]) => what)).toEqual([]);
  const imported = importsOf(file).filter(({ to, own, typeOnly }) => !typeOnly && !own && to.startsWith('node:'));
  expect(imported.map(({ to }) => to).filter((to) => !ALLOWED.has(to))).toEqual([]);
});

test('there are folds to look at', () => {
  expect(files.length).toBeGreaterThan(0);
});
