import { readdirSync } from 'node:fs';
import koffi from 'koffi';
import { AttestreamError } from '../../../schemas/errors.js';
import { readStat } from './living-thread.js';

const PTRACE_SEIZE = 0x4206;
const PTRACE_INTERRUPT = 0x4207;
const PTRACE_GETREGSET = 0x4204;
const PTRACE_DETACH = 17;
const NT_PRSTATUS = 1;
const WALL_NOHANG = 0x40000001;
const EPERM = 1;
const EACCES = 13;

/** ms for all threads to stop: a thread inside the kernel that cannot be interrupted is let go. */
const PATIENCE_MS = 200;
const MAX_ROUNDS = 8;
const MAX_THREADS = 4096;

/** Places of the kernel's `user_regs_struct` by DWARF number. */
const X86_64: readonly number[] = [10, 12, 11, 5, 13, 14, 4, 19, 9, 8, 7, 6, 3, 2, 1, 0];
const X86_64_PC = 16;
const X86_64_SP = 19;
const X86_64_ORIG_RAX = 15;

/** A thread that stands still, and all its registers. */
export interface StoppedThread {
  readonly tid: number;
  readonly pc: number;
  readonly sp: number;
  /** By DWARF number. */
  readonly registers: ReadonlyMap<number, bigint>;
  /** Number of the system call that the stop interrupted; -1 outside of one. */
  readonly syscall: number;
}

interface Calls {
  ptrace(request: number, pid: number, address: number, data: number | bigint): number;
  waitpid(pid: number, status: Buffer, options: number): number;
}

let loaded: Calls | null | undefined;

const calls = (): Calls => {
  if (loaded === undefined)
    try {
      const library = koffi.load(null);
      loaded = {
        ptrace: library.func('long ptrace(long request, long pid, long address, int64_t data)') as Calls['ptrace'],
        waitpid: library.func('int waitpid(int pid, _Out_ void *status, int options)') as Calls['waitpid'],
      };
    } catch {
      loaded = null;
    }
  if (loaded === null || process.arch !== 'x64')
    throw new AttestreamError('PROCESS_UNSUPPORTED', 'processes cannot be stopped on this machine');
  return loaded;
};

const pause = new Int32Array(new SharedArrayBuffer(4));

/**
 * A process held still by ptrace: SEIZE and INTERRUPT for every thread, which no signal tells it of. It costs the process what
 * any stop costs: waits that take no restart (`epoll_wait`, `recv` with a time-out, `nanosleep` …) return EINTR.
 */
export class StoppedProcess {
  readonly #tasks: string;
  readonly #signals = new Map<number, number>();
  readonly threads: readonly StoppedThread[];
  /** Those that did not stop in time, or were too many. */
  readonly missed: readonly number[];

  /** `tasks`: the folder of its threads. Throws PROCESS_DENIED, PROCESS_GONE or PROCESS_UNSUPPORTED. */
  constructor(pid: number, tasks: string) {
    const { ptrace } = calls();
    this.#tasks = tasks;
    releaseHeld();
    try {
      // Threads may be made while others are being stopped: until a round finds no new one.
      for (let round = 0; round < MAX_ROUNDS; round++) {
        const fresh = threadsIn(tasks).filter((tid) => !this.#signals.has(tid));
        if (fresh.length === 0 || this.#signals.size + fresh.length > MAX_THREADS) break;
        for (const tid of fresh) {
          if (ptrace(PTRACE_SEIZE, tid, 0, 0) < 0) {
            const code = koffi.errno();
            const state = readStat(`${tasks}/${tid}`)?.state;
            if ((code === EPERM || code === EACCES) && state !== undefined && state !== 'Z' && state !== 'X')
              throw new AttestreamError(
                'PROCESS_DENIED',
                `process ${pid} may not be stopped: another debugger holds it, or CAP_SYS_PTRACE is missing`,
              );
            continue;
          }
          this.#signals.set(tid, 0);
          ptrace(PTRACE_INTERRUPT, tid, 0, 0);
        }
        this.#await(fresh.filter((tid) => this.#signals.has(tid)));
      }
      this.threads = [...this.#signals.keys()].map(readRegisters).filter((thread) => thread !== null);
      const stopped = new Set(this.threads.map(({ tid }) => tid));
      this.missed = threadsIn(tasks).filter((tid) => !stopped.has(tid));
      if (this.threads.length === 0) throw new AttestreamError('PROCESS_GONE', `there is no process ${pid}`);
    } catch (error) {
      this.resume();
      throw error;
    }
  }

  /** Waits until the threads stand; a signal that was about to be delivered is kept for later. */
  #await(tids: readonly number[]): void {
    const { waitpid } = calls();
    const end = performance.now() + PATIENCE_MS;
    const status = Buffer.alloc(4);
    let left = tids;
    while (left.length > 0 && performance.now() < end) {
      left = left.filter((tid) => {
        if (waitpid(tid, status, WALL_NOHANG) === tid) {
          const value = status.readInt32LE(0);
          if ((value & 0xff) === 0x7f && value >> 16 === 0) this.#signals.set(tid, (value >> 8) & 0xff);
          return false;
        }
        // The stop of a child of this very process may have been taken by Node.
        return readStat(`${this.#tasks}/${tid}`)?.state !== 't';
      });
      if (left.length > 0) Atomics.wait(pause, 0, 0, 0.05);
    }
  }

  /** Lets every thread go on. */
  resume(): void {
    for (const [tid, signal] of this.#signals) held.set(tid, signal);
    this.#signals.clear();
    const end = performance.now() + PATIENCE_MS;
    for (releaseHeld(); held.size > 0 && performance.now() < end; releaseHeld()) Atomics.wait(pause, 0, 0, 0.2);
    if (held.size > 0) releaseLater();
  }
}

/** None where the process has ended. */
const threadsIn = (tasks: string): number[] => {
  try {
    return readdirSync(tasks).map(Number);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ESRCH') return [];
    throw error;
  }
};

/** Threads that are to go on, with the signal that each is still to get. Only the thread that seized them can let them go. */
const held = new Map<number, number>();

const releaseHeld = (): void => {
  for (const [tid, signal] of held) if (release(tid, signal)) held.delete(tid);
};

/** A thread that had no turn on a CPU has not stopped yet: let go now it would stop for good. */
const release = (tid: number, signal: number): boolean => {
  const { ptrace, waitpid } = calls();
  if (ptrace(PTRACE_DETACH, tid, 0, signal) >= 0) return true;
  const status = Buffer.alloc(4);
  const waited = waitpid(tid, status, WALL_NOHANG);
  if (waited < 0) return true; // gone, or no longer held
  if (waited === 0) return false;
  const value = status.readInt32LE(0);
  if ((value & 0xff) !== 0x7f) return true; // ended
  return ptrace(PTRACE_DETACH, tid, 0, value >> 16 === 0 ? (value >> 8) & 0xff : signal) >= 0;
};

const RELEASE_AGAIN_MS = 20;

const releaseLater = (): void => {
  setTimeout(() => {
    releaseHeld();
    if (held.size > 0) releaseLater();
  }, RELEASE_AGAIN_MS).unref();
};

const readRegisters = (tid: number): StoppedThread | null => {
  const bytes = Buffer.alloc(27 * 8);
  const vector = Buffer.alloc(16);
  vector.writeBigUInt64LE(koffi.address(bytes), 0);
  vector.writeBigUInt64LE(BigInt(bytes.length), 8);
  if (calls().ptrace(PTRACE_GETREGSET, tid, NT_PRSTATUS, koffi.address(vector)) < 0) return null;
  const at = (place: number): bigint => bytes.readBigUInt64LE(place * 8);
  return {
    tid,
    pc: Number(at(X86_64_PC)),
    sp: Number(at(X86_64_SP)),
    registers: new Map(X86_64.map((place, register) => [register, at(place)])),
    syscall: Number(bytes.readBigInt64LE(X86_64_ORIG_RAX * 8)),
  };
};
