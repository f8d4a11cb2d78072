import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';
import { openTarget } from '../../producers/memory/sample/look.js';
import { pause, start } from '../support/device.js';
import { realPart } from '../support/real-part.js';
import { temporaryFolder } from '../support/tmp.js';
import { BUILDS, type Build, compile, toolMissing } from './builds.js';
import { type Comparison, compareThread, newComparison } from './compare.js';
import { gdbTruth } from './truth.js';

const folder = temporaryFolder('oracle');
const only = process.env['ATTESTREAM_ORACLE'];
const results = new Map<string, Comparison>();

const gdb = realPart('gdb', () => {
  if (process.arch !== 'x64') return `live looks need x86-64, not ${process.arch}`;
  try {
    const told = execFileSync('gdb', ['-batch', '-nx', '-ex', 'python print(1)'], { encoding: 'utf8' });
    return told.trim() === '1' ? null : 'gdb without Python';
  } catch {
    return 'gdb is not installed';
  }
});

const started = (program: string, ready: string): number => {
  rmSync(ready, { force: true });
  const { pid } = start(program, [ready]);
  for (let waited = 0; !existsSync(ready) || readFileSync(ready, 'utf8') === ''; waited += 10) {
    if (waited > 20_000) throw new Error(`${program} did not become ready`);
    pause(10);
  }
  // The one that tells has yet to begin its own wait.
  pause(30);
  return pid;
};

const judge = async (build: Build): Promise<Comparison> => {
  const program = await compile(build, folder);
  const pid = started(program, join(folder, 'ready'));
  const target = openTarget(pid);
  try {
    await target.image.ready();
    const look = target.look();
    const truth = await gdbTruth(pid);
    const comparison = newComparison();
    for (const thread of look.threads) {
      expect(thread.outcome).toBe('sampled');
      compareThread(thread, truth.get(thread.tid) ?? [], program, comparison);
    }
    expect(look.threads).toHaveLength(truth.size);
    return comparison;
  } finally {
    target.close();
    process.kill(pid, 'SIGKILL');
  }
};

for (const build of BUILDS.filter(({ name }) => only === undefined || name.includes(only))) {
  const missing = toolMissing(build);
  const part = missing === '' ? gdb : realPart(build.compiler, () => missing);
  part(build.name, () => {
    test('no wrong frame and no wrong value', async () => {
      const comparison = await judge(build);
      results.set(build.name, comparison);
      expect(comparison.wrongFrames).toEqual([]);
      expect(comparison.wrongValues).toEqual([]);
      expect(comparison.otherNames).toEqual([]);
      // Without call frame information a stack may end early, but never go wrong.
      expect(comparison.frames).toBeGreaterThan(build.compiler.startsWith('musl') ? 7 : 20);
    }, 60_000);
  });
}

/** ATTESTREAM_ORACLE_REASONS=1 tells why values are missing, and which gdb knows. */
const reasonsOf = (name: string, { reasons, unconfirmedList, missedList }: Comparison): string =>
  [
    `${name}:`,
    ...[...reasons].sort((a, b) => b[1] - a[1]).map(([why, count]) => `  ${count} × ${why}`),
    ...unconfirmedList.map((line) => `  gdb has none: ${line}`),
    ...missedList.map((line) => `  gdb has it: ${line}`),
  ].join('\n');

afterAll(() => {
  if (results.size === 0) return;
  const rows = [...results].map(([name, { threads, incomplete, frames, values, unavailable, missed, unconfirmed }]) => {
    const all = values + unavailable;
    const share = `${((unavailable * 100) / Math.max(1, all)).toFixed(0)} %`;
    return [name, `${threads - incomplete}/${threads}`, frames, all, share, missed, unconfirmed].join(' | ');
  });
  const head = 'build | stacks to the root | frames | parameters | unavailable | known to gdb only | unknown to gdb';
  process.stderr.write(`${head}\n${rows.join('\n')}\n`);
  if (process.env['ATTESTREAM_ORACLE_REASONS'] !== undefined)
    process.stderr.write(`${[...results].map(([name, result]) => reasonsOf(name, result)).join('\n')}\n`);
});
