import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';
import { openTarget } from '../../producers/memory/sample/look.js';
import { pause, start } from '../support/device.js';
import { realPart } from '../support/real-part.js';
import { temporaryFolder } from '../support/tmp.js';
import { BUILDS, type Build, compile, compilerMissing } from './builds.js';
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
  const missing = compilerMissing(build.compiler);
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

afterAll(() => {
  if (results.size === 0) return;
  const rows = [...results].map(([name, { threads, incomplete, frames, values, unavailable, missed, unconfirmed }]) =>
    [
      name,
      `${threads - incomplete}/${threads}`,
      frames,
      values + unavailable,
      `${((unavailable * 100) / Math.max(1, values + unavailable)).toFixed(0)} %`,
      missed,
      unconfirmed,
    ].join(' | '),
  );
  process.stderr.write(
    `build | stacks to the root | frames | parameters | unavailable | of them known to gdb | unknown to gdb\n${rows.join('\n')}\n`,
  );
  if (process.env['ATTESTREAM_ORACLE_REASONS'] !== undefined)
    for (const [name, { reasons, unconfirmedList }] of results)
      process.stderr.write(`${name}: ${JSON.stringify([...reasons], null, 1)}\n${unconfirmedList.join('\n')}\n`);
});
