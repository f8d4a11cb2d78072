import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface GdbFrame {
  readonly pc: number;
  readonly name: string | null;
}

/** gdb's own Python walks every thread: frames on the stack only, no inlined ones and none that tail calls left out. */
const SCRIPT = `
import gdb, json
told = {}
for thread in gdb.selected_inferior().threads():
    thread.switch()
    frames, frame = [], gdb.newest_frame()
    try:
        while frame is not None and len(frames) < 3000:
            if frame.type() not in (gdb.INLINE_FRAME, gdb.TAILCALL_FRAME):
                frames.append({"pc": frame.pc(), "name": frame.name()})
            frame = frame.older()
    except gdb.error:
        pass
    told[thread.ptid[1]] = frames
print("STACKS" + json.dumps(told))
`;

/** Why gdb cannot be asked; null if it can. */
export const noGdb = (): string | null => {
  try {
    execFileSync('gdb', ['-batch', '-nx', '-ex', 'python print(1)'], { stdio: 'ignore' });
    return null;
  } catch {
    return 'gdb with Python is not installed';
  }
};

/** The stacks of every thread as gdb sees them, innermost first, by thread id. It stops the process for a moment. */
export const gdbStacks = (pid: number, folder: string): ReadonlyMap<number, readonly GdbFrame[]> => {
  const script = join(folder, 'stacks.py');
  writeFileSync(script, SCRIPT);
  const text = execFileSync('gdb', ['-batch', '-nx', '-p', String(pid), '-x', script], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
    maxBuffer: 64 * 1024 * 1024,
  });
  const line = text.split('\n').find((candidate) => candidate.startsWith('STACKS'));
  const told = JSON.parse(line!.slice(6)) as Record<string, GdbFrame[]>;
  return new Map(Object.entries(told).map(([tid, frames]) => [Number(tid), frames]));
};
