import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { openTarget } from '../../producers/memory/sample/look.js';
import type { LookResult } from '../../producers/memory/sample/look-result.js';
import type { Probe } from '../support/real-part.js';
import { type Comparison, compareThread, newComparison } from './compare.js';
import { gdbTruth, type TrueFrame } from './truth.js';

/** For `realPart('gdb', gdbProbe)`. */
export const gdbProbe: Probe = () => {
  if (process.arch !== 'x64') return `live looks need x86-64, not ${process.arch}`;
  try {
    const told = execFileSync('gdb', ['-batch', '-nx', '-ex', 'python print(1)'], { encoding: 'utf8' });
    return told.trim() === '1' ? null : 'gdb without Python';
  } catch {
    return 'gdb is not installed';
  }
};

const READY_MS = 20_000;

/** Until a program of this suite has said so in a file and all its threads wait. */
export const becomeReady = async (ready: string): Promise<void> => {
  for (let waited = 0; !existsSync(ready) || readFileSync(ready, 'utf8') === ''; waited += 10) {
    if (waited > READY_MS) throw new Error(`the program did not become ready: no ${ready}`);
    await delay(10);
  }
  // The one that tells has yet to begin its own wait.
  await delay(30);
};

export interface Judged {
  readonly comparison: Comparison;
  readonly look: LookResult;
  readonly truth: ReadonlyMap<number, readonly TrueFrame[]>;
}

/** One look, then what gdb says of the same process. `program`: its path as the process sees it. */
export const judgeProcess = async (pid: number, program: string): Promise<Judged> => {
  const target = openTarget(pid);
  try {
    await target.image.ready();
    let look = target.look();
    // On a busy machine a thread may still be on its way into its wait.
    for (let tries = 0; tries < 100 && look.threads.some(({ outcome }) => outcome !== 'sampled'); tries++) {
      await delay(50);
      look = target.look();
    }
    const truth = await gdbTruth(pid);
    const comparison = newComparison();
    for (const thread of look.threads) {
      if (thread.outcome !== 'sampled') throw new Error(`thread ${thread.tid} is ${thread.outcome}, not in a wait`);
      compareThread(thread, truth.get(thread.tid) ?? [], program, comparison);
    }
    if (look.threads.length !== truth.size) throw new Error(`${look.threads.length} threads, and ${truth.size} by gdb`);
    return { comparison, look, truth };
  } finally {
    target.close();
  }
};
