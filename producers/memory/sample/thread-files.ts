import { closeSync, openSync, readFileSync, readSync } from 'node:fs';
import { parseSchedstat, parseSyscall, type Registers } from '../locate/proc-files.js';

const LINE = 256;

/** Buffers shared by all looks of this thread of JavaScript: a look is synchronous and copies what it keeps. */
const lines = {
  before: Buffer.alloc(LINE),
  after: Buffer.alloc(LINE),
  stat: Buffer.alloc(LINE),
  statAfter: Buffer.alloc(LINE),
};

const same = (a: Buffer, aLength: number, b: Buffer, bLength: number): boolean =>
  aLength === bLength && a.compare(b, 0, bLength, 0, aLength) === 0;

export type RawOutcome = 'sampled' | 'unchanged' | 'running' | 'torn' | 'gone' | 'replaced';

/** The kept files of one thread and what its last valid look read from them. */
export class ThreadFiles {
  readonly tid: number;
  readonly name: string;
  readonly #schedstat: number;
  readonly #syscall: number;
  readonly registers: Registers = { sp: 0, pc: 0, syscall: -1 };
  /** Of the newest read, valid or not. */
  counters = { runTime: 0, slices: -1 };
  /** Line of the last valid look. */
  readonly #line = Buffer.alloc(LINE);
  #lineLength = 0;
  readonly #stat = Buffer.alloc(LINE);
  #statLength = 0;
  #valid = false;
  /** The last valid look's block begins at SP. */
  block = Buffer.alloc(0);
  /** Bytes that the next block should have. */
  wanted = 4096;
  bytesRead = 0;

  /** Throws the errors of open(2). */
  constructor(pid: number, tid: number) {
    this.tid = tid;
    const folder = `/proc/${pid}/task/${tid}`;
    this.name = readFileSync(`${folder}/comm`, 'utf8').trimEnd();
    this.#syscall = openSync(`${folder}/syscall`, 'r');
    try {
      this.#schedstat = openSync(`${folder}/schedstat`, 'r');
    } catch (error) {
      closeSync(this.#syscall);
      throw error;
    }
  }

  /** The `syscall` line of the last valid look. */
  get line(): string {
    return this.#line.toString('latin1', 0, this.#lineLength);
  }

  /**
   * One validated look: counters, registers, stack block, then registers and counters again.
   * `instant` is called at a moment that the result is true of. `mem` is the process's memory; `room` bounds the block by SP.
   * Throws the errors of read(2) except for a thread or process that has gone.
   */
  look(mem: number, room: (sp: number) => number, instant: () => void): RawOutcome {
    this.bytesRead = 0;
    const wasValid = this.#valid;
    this.#valid = false;
    try {
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
      const size = Math.min(this.wanted, room(this.registers.sp));
      if (this.block.length !== size) this.block = Buffer.alloc(size);
      let got = 0;
      if (size > 0) {
        got = readSync(mem, this.block, 0, size, this.registers.sp);
        this.bytesRead += got;
        if (got === 0) {
          instant();
          return 'replaced';
        }
        if (got < size) this.block = this.block.subarray(0, got);
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
      const { code } = error as NodeJS.ErrnoException;
      if (code !== 'ESRCH' && code !== 'ENOENT' && code !== 'EIO') throw error;
      instant();
      return code === 'EIO' ? 'torn' : 'gone';
    }
  }

  /** True if the thread stands as at the last valid look. */
  still(): boolean {
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
    const length = readSync(fd, into, 0, LINE, 0);
    this.bytesRead += length;
    return length;
  }

  close(): void {
    closeSync(this.#syscall);
    closeSync(this.#schedstat);
  }
}
