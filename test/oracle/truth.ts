import { execFile } from 'node:child_process';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const script = fileURLToPath(new URL('truth.py', import.meta.url));

/** A value as gdb tells it: exactly one of the members is there, `name` besides `integer`, `text` besides `pointer`. */
export interface TrueValue {
  readonly none?: string;
  readonly integer?: string;
  readonly name?: string;
  readonly float?: string;
  readonly pointer?: string;
  readonly text?: string | null;
  readonly members?: readonly (readonly [string | null, TrueValue])[];
  readonly elements?: readonly TrueValue[];
  readonly type?: string;
  readonly shown?: string;
}

export interface TrueFrame {
  readonly pc: string;
  readonly kind: 'normal' | 'inline' | 'tailcall' | 'signal' | 'other';
  readonly name: string | null;
  readonly file: string | null;
  readonly line: number;
  readonly arguments: readonly {
    readonly name: string;
    readonly type: string;
    readonly current: TrueValue;
    readonly entry: TrueValue;
  }[];
}

/** What gdb tells of a process by thread. It stops the process for that, so look first. `settings` are commands of gdb to begin with. */
export const gdbTruth = async (
  pid: number,
  settings: readonly string[] = [],
): Promise<ReadonlyMap<number, readonly TrueFrame[]>> => {
  const first = settings.flatMap((setting) => ['-iex', setting]);
  const { stdout } = await run('gdb', ['-batch', '-nx', ...first, '-p', String(pid), '-x', script], {
    maxBuffer: 64 * 1024 * 1024,
    // On some programs it crashes itself, and leaves its memory where it was started.
    cwd: tmpdir(),
  });
  const line = stdout.split('\n').find((one) => one.startsWith('TRUTH '));
  if (line === undefined) throw new Error(`gdb told nothing of process ${pid}: ${stdout.slice(-500)}`);
  const threads = JSON.parse(line.slice(6)) as Record<string, { frames: TrueFrame[] }>;
  return new Map(Object.entries(threads).map(([tid, { frames }]) => [Number(tid), physical(frames)]));
};

/** Without the frames that gdb infers from tail calls: they are not on the stack any more. */
const physical = (frames: readonly TrueFrame[]): TrueFrame[] => {
  const kept: TrueFrame[] = [];
  let inlined: TrueFrame[] = [];
  for (const frame of frames) {
    if (frame.kind === 'inline') inlined.push(frame);
    else {
      if (frame.kind !== 'tailcall') kept.push(...inlined, frame);
      inlined = [];
    }
  }
  return [...kept, ...inlined];
};
