import { closeSync, openSync, readFileSync } from 'node:fs';
import { parseSchedstat, parseSyscall, type Registers } from '../locate/proc-files.js';
import { count, type Holder, hold, letGo, used, withDescriptors } from './descriptors.js';
import { pread } from './pread.js';

const LINE = 256;

/** Buffers shared by all looks of this thread of JavaScript: a look is synchronous and copies what it keeps. */
const lines = {
  before: Buffer.alloc(LINE),
  after: Buffer.alloc(LINE),
  stat: Buffer.alloc(LINE),
  statAfter: Buffer.alloc(LINE),
};

/** Lines are short: comparing them byte for byte costs less than a call into the runtime. */
const same = (a: Buffer, aLength: number, b: Buffer, bLength: number): boolean => {
  if (aLength !== bLength) return false;
  for (let i = aLength - 1; i >= 0; i--) if (a[i] !== b[i]) return false;
  return true;
};

export type RawOutcome = 'sampled' | 'unchanged' | 'running' | 'torn' | 'gone' | 'replaced' | 'denied';

/** The kept files of one thread and what its last valid look read from them. */
export class ThreadFiles implements Holder {
  readonly tid: number;
  readonly name: string;
  readonly #folder: string;
  #schedstat = -1;
  #syscall = -1;
  lastUsed = 0;
  readonly registers: Registers = { sp: 0, pc: 0, syscall: -1 };
  /** Of the newest read, valid or not. */
  counters = { runTime: 0, slices: -1 };
  /** Line of the last valid look. */
  readonly #line = Buffer.alloc(LINE);
  #lineLength = 0;
  readonly #stat = Buffer.alloc(LINE);
  #statLength = 0;
  #valid = false;
  #space = Buffer.alloc(0);
  /** The last valid look's block begins at SP; empty if there is no memory there. */
  block = Buffer.alloc(0);
  /** What lay around SP then: `below` bytes, and the block. */
  around = Buffer.alloc(0);
  below = 0;
  readonly #belowWanted: number;
  /** Bytes that the next block should have. */
  wanted = 4096;
  bytesRead = 0;

  /** `tasks` is the process's folder of threads, of a kind that no later process can take the place of; `below` bytes under SP are read too. Throws the errors of open(2). */
  constructor(tasks: string, tid: number, below = 0) {
    this.tid = tid;
    this.#belowWanted = below;
    this.#folder = `${tasks}/${tid}`;
    this.#open();
    try {
      this.name = withDescriptors(this, () => readFileSync(`${this.#folder}/comm`, 'utf8')).trimEnd();
    } catch (error) {
      this.release();
      throw error;
    }
    hold(this);
  }

  #open(): void {
    this.lastUsed = used();
    this.#syscall = withDescriptors(this, () => openSync(`${this.#folder}/syscall`, 'r'));
    count(1);
    try {
      this.#schedstat = withDescriptors(this, () => openSync(`${this.#folder}/schedstat`, 'r'));
      count(1);
    } catch (error) {
      this.release();
      throw error;
    }
  }

  get held(): number {
    return this.#syscall < 0 ? 0 : 2;
  }

  /** Closes the files; the next look opens them again and takes nothing as unchanged. */
  release(): void {
    for (const fd of [this.#syscall, this.#schedstat])
      if (fd >= 0) {
        closeSync(fd);
        count(-1);
      }
    this.#syscall = -1;
    this.#schedstat = -1;
    this.#valid = false;
  }

  /** The `syscall` line of the last valid look. */
  get line(): string {
    return this.#line.toString('latin1', 0, this.#lineLength);
  }

  /**
   * One validated look: counters, registers, stack block, then registers and counters again.
   * `instant` is called at a moment that the result is true of. `mem` is the process's memory; `room` bounds the block by SP.
   * Throws the errors of read(2) except for a thread or process that has gone or does not let itself be looked at.
   */
  look(mem: number, room: (sp: number) => number, instant: () => void): RawOutcome {
    this.bytesRead = 0;
    const wasValid = this.#valid;
    this.#valid = false;
    this.lastUsed = used();
    try {
      if (this.#syscall < 0) this.#open();
      if (wasValid) instant();
      const statLength = this.#read(this.#schedstat, lines.stat);
      const length = this.#read(this.#syscall, lines.before);
      this.counters = parseSchedstat(lines.stat, statLength);
      if (!parseSyscall(lines.before, length, this.registers)) {
        instant();
        return lines.before[0] === 0x72 ? 'running' : 'gone';
      }
      // A thread whose counters stood still has not run since: neither registers nor stack can have moved.
      if (
        wasValid &&
        same(lines.stat, statLength, this.#stat, this.#statLength) &&
        same(lines.before, length, this.#line, this.#lineLength)
      ) {
        this.#valid = this.counters.slices > 0;
        if (this.#valid) return 'unchanged';
      }
      if (!this.#readBlock(mem, Math.min(this.wanted, room(this.registers.sp)))) {
        instant();
        return 'replaced';
      }
      instant();
      const lengthAfter = this.#read(this.#syscall, lines.after);
      const statAfter = this.#read(this.#schedstat, lines.statAfter);
      if (
        !same(lines.before, length, lines.after, lengthAfter) ||
        !same(lines.stat, statLength, lines.statAfter, statAfter)
      )
        return 'torn';
      lines.before.copy(this.#line, 0, 0, length);
      this.#lineLength = length;
      lines.stat.copy(this.#stat, 0, 0, statLength);
      this.#statLength = statLength;
      this.#valid = true;
      return 'sampled';
    } catch (error) {
      instant();
      switch ((error as NodeJS.ErrnoException).code) {
        case 'ESRCH':
        case 'ENOENT':
          return 'gone';
        case 'EACCES':
        case 'EPERM':
          return 'denied';
        default:
          throw error;
      }
    }
  }

  /** False if the memory belongs to a program that is no more. A stack pointer into nowhere gives an empty block. */
  #readBlock(mem: number, size: number): boolean {
    const { sp } = this.registers;
    const most = this.#belowWanted + size;
    if (this.#space.length < most) this.#space = Buffer.alloc(most);
    // One read of both; of the block alone where the stack's memory does not reach so far down.
    let below = size > 0 ? Math.min(this.#belowWanted, sp) : 0;
    let got = 0;
    while (size > 0)
      try {
        got = pread(mem, this.#space, below + size, sp - below);
        if (got > below || below === 0) break;
        below = 0;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EIO') throw error;
        if (below === 0) {
          this.#take(0, 0);
          return true;
        }
        below = 0;
      }
    this.bytesRead += got;
    this.#take(below, got);
    return got > 0 || size === 0;
  }

  #take(below: number, got: number): void {
    if (this.below === below && this.around.length === got && this.around.buffer === this.#space.buffer) return;
    this.below = below;
    this.around = this.#space.subarray(0, got);
    this.block = this.#space.subarray(below, got);
  }

  /** The counters as they are now. */
  count(): { readonly runTime: number; readonly slices: number } {
    if (this.#schedstat < 0) return { runTime: 0, slices: -1 };
    return parseSchedstat(lines.stat, this.#read(this.#schedstat, lines.stat));
  }

  /** True if the thread stands as at the last valid look. */
  still(): boolean {
    if (this.#syscall < 0) return false;
    const statLength = this.#read(this.#schedstat, lines.statAfter);
    const length = this.#read(this.#syscall, lines.after);
    return (
      same(lines.after, length, this.#line, this.#lineLength) &&
      same(lines.statAfter, statLength, this.#stat, this.#statLength)
    );
  }

  forget(): void {
    this.#valid = false;
  }

  #read(fd: number, into: Buffer): number {
    const length = pread(fd, into, LINE, 0);
    this.bytesRead += length;
    return length;
  }

  close(): void {
    this.release();
    letGo(this);
  }
}
