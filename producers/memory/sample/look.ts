import { closeSync, fstatSync, openSync, readdirSync } from 'node:fs';
import { AttestreamError, type ErrorCode, isAttestreamError } from '../../../schemas/errors.js';
import { boottimeMicros } from '../../identity/boottime.js';
import { sourceOfFile } from '../elf/byte-source.js';
import { parseElf } from '../elf/elf.js';
import { binaryPath } from '../locate/binary-path.js';
import { liveImageSource } from '../locate/image-source.js';
import { syscallArguments } from '../locate/proc-files.js';
import { ProcessImage } from '../locate/process-image.js';
import { architectureOf } from '../unwind/architectures.js';
import { HERE } from './architecture-name.js';
import { releasedForLimit } from './descriptors.js';
import { ended, livingThread, readStat } from './living-thread.js';
import type { LookOutcome, LookResult, SeenThread, Watch } from './look-result.js';
import { nativeWalker } from './native-walker.js';
import { pread } from './pread.js';
import { StoppedProcess, type StoppedThread } from './ptrace.js';
import { RESIDUE_BYTES, readResidue } from './residue.js';
import { type RawOutcome, ThreadFiles } from './thread-files.js';
import { WatchedGlobals } from './watched-globals.js';

/** rdi, rsi, rdx, r10, r8, r9 by DWARF number. */
const ARGUMENT_REGISTERS = [5, 4, 1, 10, 8, 9] as const;
const PF_KTHREAD = 0x00200000;
const BLOCK_LIMIT = 16 * 1024;
/** Threads of one look; the others' turn comes at the next ones. */
const MAX_THREADS = 2048;
/** Stands for the threads that a look left out. */
const NOT_LOOKED_AT = 0;
/** Reading the mappings anew may take this share of the time at most: a stack pointer into nowhere asks for it at every look. */
const REFRESH_SHARE = 20;

export interface TargetOptions {
  /** Look for what calls that returned have left below the stack pointer; true if absent. */
  readonly residue?: boolean;
  /** Globals and statics whose values are read at each look. */
  readonly globals?: readonly string[];
}

const gone = (pid: number): AttestreamError => new AttestreamError('PROCESS_GONE', `there is no process ${pid}`);

const denied = (pid: number, cause: unknown): AttestreamError =>
  new AttestreamError(
    'PROCESS_DENIED',
    `process ${pid} may not be looked at: run as root, or as its user with ptrace allowed (CAP_SYS_PTRACE, kernel.yama.ptrace_scope)`,
    { path: `/proc/${pid}` },
    { cause },
  );

const translate = (pid: number, error: unknown): unknown => {
  switch ((error as NodeJS.ErrnoException).code) {
    case 'ENOENT':
    case 'ESRCH':
      return gone(pid);
    case 'EACCES':
    case 'EPERM':
      return denied(pid, error);
    default:
      return error;
  }
};

/** Opens a process for looking at it without stopping it. Throws PROCESS_GONE, PROCESS_KERNEL_THREAD, PROCESS_DENIED or PROCESS_UNSUPPORTED. */
export const openTarget = (pid: number, watch: Watch = 'all', options: TargetOptions = {}): Target =>
  new Target(pid, watch, options);

type SeenStack = Required<Pick<SeenThread, 'complete' | 'frames' | 'residue' | 'syscall'>>;

const NOTHING_SEEN: SeenStack = { complete: false, frames: [], residue: [], syscall: null };

/** One process, its files kept open. Not for use from several threads. */
export class Target {
  readonly pid: number;
  readonly startTime: string;
  readonly #watch: Watch;
  readonly #threads = new Map<number, ThreadFiles>();
  readonly #below: number;
  readonly #globals: WatchedGlobals;
  readonly #seen = new Map<number, SeenStack>();
  /** The folder of threads: it stays this process's, whoever gets its number later. */
  readonly #tasks: number;
  readonly #taskFolder: string;
  #tids: number[] = [];
  /** Number of threads when they were listed; 0 if the list cannot be relied on. */
  #listed = 0;
  /** First of those that this look takes, where there are too many for one. */
  #turn = 0;
  #image: ProcessImage;
  #mem: number;
  #binary: string;
  #now = 0;
  #refreshed = { at: Number.NEGATIVE_INFINITY, took: 0 };
  readonly #instant = (): void => {
    this.#now = boottimeMicros();
  };

  constructor(pid: number, watch: Watch, { residue = true, globals = [] }: TargetOptions) {
    this.pid = pid;
    this.#watch = watch;
    this.#below = residue ? RESIDUE_BYTES : 0;
    this.#globals = new WatchedGlobals(globals);
    const stat = readStat(`/proc/${pid}`);
    if (stat === null) throw gone(pid);
    if ((stat.flags & PF_KTHREAD) !== 0)
      throw new AttestreamError(
        'PROCESS_KERNEL_THREAD',
        `process ${pid} (${stat.name}) is a thread of the kernel: it has no program to look at`,
      );
    this.startTime = stat.startTime;
    const opened: number[] = [];
    const open = (path: string): number => {
      const fd = openSync(path, 'r');
      opened.push(fd);
      return fd;
    };
    try {
      const via = livingThread(pid);
      if (via === null) throw gone(pid);
      this.#tasks = open(`/proc/${pid}/task`);
      this.#taskFolder = `/proc/self/fd/${this.#tasks}`;
      this.#binary = this.#checkProgram(via);
      this.#mem = open(`/proc/${via}/mem`);
      this.#image = new ProcessImage(liveImageSource(via));
      const files = this.#adopt(via);
      const outcome = files.look(this.#mem, () => 0, this.#instant);
      if (outcome === 'gone' && livingThread(pid) === null) throw gone(pid);
      if (outcome === 'denied') throw denied(pid, undefined);
      files.forget();
    } catch (error) {
      this.#closeThreads();
      for (const fd of opened) closeSync(fd);
      throw translate(pid, error);
    }
  }

  /** Path of the program as the process sees it. */
  get binary(): string {
    return this.#binary;
  }

  /** Mapped files and their symbols. */
  get image(): ProcessImage {
    return this.#image;
  }

  /** The program behind a thread of the process: its path, if it is one that can be looked at. */
  #checkProgram(via: number): string {
    let fd = -1;
    try {
      fd = openSync(`/proc/${via}/exe`, 'r');
      const { machine } = parseElf(sourceOfFile(fd));
      const architecture = architectureOf(machine);
      if (architecture === null || architecture.name !== HERE)
        throw new AttestreamError(
          'PROCESS_UNSUPPORTED',
          `process ${this.pid} is a program for ${architecture?.name ?? `machine ${machine}`}; on this host only those for ${HERE} can be looked at live`,
        );
      return binaryPath(via);
    } catch (error) {
      throw translate(this.pid, error);
    } finally {
      if (fd >= 0) closeSync(fd);
    }
  }

  #adopt(tid: number): ThreadFiles {
    try {
      const files = new ThreadFiles(this.#taskFolder, tid, this.#below);
      this.#threads.set(tid, files);
      return files;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT' && !ended(readStat(`${this.#taskFolder}/${tid}`)))
        throw new AttestreamError(
          'PROCESS_UNSUPPORTED',
          'this kernel does not tell where a thread stands (/proc/PID/task/TID/syscall or schedstat is missing)',
        );
      throw error;
    }
  }

  /** Opens what exec closed. 'gone' if the process has ended instead, a code if the new program cannot be looked at, '' if it can. */
  #relocate(): ErrorCode | 'gone' | '' {
    const via = livingThread(this.pid);
    if (via === null || readStat(`/proc/${this.pid}`)?.startTime !== this.startTime) return 'gone';
    try {
      const binary = this.#checkProgram(via);
      const mem = openSync(`/proc/${via}/mem`, 'r');
      closeSync(this.#mem);
      this.#mem = mem;
      this.#image.close();
      this.#image = new ProcessImage(liveImageSource(via));
      this.#binary = binary;
      this.#globals.forget();
      this.#refreshed = { at: Number.NEGATIVE_INFINITY, took: 0 };
      this.#seen.clear();
      for (const files of this.#threads.values()) files.forget();
      return '';
    } catch (error) {
      const told = translate(this.pid, error);
      if (isAttestreamError(told)) return told.code === 'PROCESS_GONE' ? 'gone' : told.code;
      throw told;
    }
  }

  /** Reads the mappings anew, unless that was done in vain a moment ago. */
  #refresh(): void {
    const now = performance.now();
    if (now - this.#refreshed.at < this.#refreshed.took * REFRESH_SHARE) return;
    try {
      this.#image.refresh();
      if (this.#image.mappings.length === 0) {
        const via = livingThread(this.pid);
        // The first thread has ended and took its view of the memory along.
        if (via !== null && via !== this.pid) {
          const image = new ProcessImage(liveImageSource(via));
          this.#image.close();
          this.#image = image;
        }
      }
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      if (code === undefined || !['ENOENT', 'ESRCH', 'EACCES', 'EPERM'].includes(code)) throw error;
    }
    const at = performance.now();
    this.#refreshed = { at, took: at - now };
  }

  readonly #room = (sp: number): number => {
    let mapping = this.#image.mapping(sp);
    if (mapping === null) {
      // The stack has grown downwards, or a thread has come.
      this.#refresh();
      mapping = this.#image.mapping(sp);
    }
    return mapping === null ? BLOCK_LIMIT : Math.min(BLOCK_LIMIT, mapping.end - sp);
  };

  /** Looks at every thread once. Does not throw for a process that ends, execs or shuts itself off meanwhile. */
  look(): LookResult {
    const from = boottimeMicros();
    const began = process.hrtime();
    const reopened = releasedForLimit();
    const threads: SeenThread[] = [];
    let bytesRead = 0;
    let replaced = false;
    let over = false;
    let refused: LookResult['refused'] = '';
    const tids = this.#list();
    for (let i = 0; i < tids.length; i++) {
      const tid = tids[i]!;
      const files = this.#threads.get(tid) ?? this.#tryAdopt(tid);
      let outcome: RawOutcome = files === null ? 'gone' : files.look(this.#mem, this.#room, this.#instant);
      if (files === null) this.#instant();
      bytesRead += files?.bytesRead ?? 0;
      if (outcome === 'denied') {
        refused = 'PROCESS_DENIED';
        outcome = 'torn';
      } else if (outcome === 'replaced') {
        const relocated = this.#relocate();
        over = relocated === 'gone';
        if (over) break;
        if (relocated !== '' && relocated !== 'gone') refused = relocated;
        if (replaced || refused !== '') outcome = 'torn';
        else {
          // What was seen of this look belongs to the program before: begin again.
          replaced = true;
          threads.length = 0;
          i = -1;
          continue;
        }
      }
      if (outcome === 'gone') this.#listed = 0;
      threads.push(this.#tell(tid, files, outcome));
    }
    if (!over && (tids.length === 0 || threads.every((thread) => thread.outcome === 'gone')))
      over = livingThread(this.pid) === null || readStat(`/proc/${this.pid}`)?.startTime !== this.startTime;
    const took = process.hrtime(began);
    return {
      ...this.#about,
      from,
      at: boottimeMicros(),
      replaced,
      gone: over,
      refused,
      threads: over ? [] : threads,
      globals: over || refused !== '' ? [] : this.#globals.read(this.#image, this.#binary, this.#memory),
      micros: Math.ceil(took[0] * 1e6 + took[1] / 1e3),
      bytesRead,
      reopened: releasedForLimit() - reopened,
    };
  }

  /**
   * Holds the process still for the length of one look: every thread is sampled, with all its registers. Waits of the process
   * may end with EINTR. Only where a user or a policy has allowed it. Throws PROCESS_DENIED, PROCESS_GONE or PROCESS_UNSUPPORTED.
   */
  lookStopped(): LookResult {
    const from = boottimeMicros();
    const began = process.hrtime();
    const stopped = new StoppedProcess(this.pid, this.#taskFolder);
    try {
      const at = boottimeMicros();
      let bytesRead = 0;
      this.#refresh();
      const threads = stopped.threads.map((thread): SeenThread => {
        const files = this.#threads.get(thread.tid) ?? this.#tryAdopt(thread.tid);
        const bytes = this.#memory(thread.sp, this.#room(thread.sp));
        bytesRead += bytes.length;
        const counters = files?.count() ?? { runTime: 0, slices: -1 };
        // What was kept of the last look is of another moment.
        files?.forget();
        this.#seen.delete(thread.tid);
        const { complete, frames } = nativeWalker.walk(this.#image, this.#watch, { ...thread, bytes }, this.#memory);
        const name = files?.name ?? '';
        const syscall = stoppedSyscall(thread);
        return {
          tid: thread.tid,
          name,
          at,
          outcome: 'sampled',
          ...counters,
          complete,
          asBefore: false,
          syscall,
          frames,
        };
      });
      for (const tid of stopped.missed) {
        const files = this.#threads.get(tid) ?? this.#tryAdopt(tid);
        const counters = files?.count() ?? { runTime: 0, slices: -1 };
        threads.push({ ...this.#tell(tid, files, files === null ? 'gone' : 'running'), at, ...counters });
      }
      this.#listed = 0;
      const took = process.hrtime(began);
      return {
        ...this.#about,
        from,
        at: boottimeMicros(),
        threads,
        globals: this.#globals.read(this.#image, this.#binary, this.#memory),
        micros: Math.ceil(took[0] * 1e6 + took[1] / 1e3),
        bytesRead,
        stopped: true,
      };
    } finally {
      stopped.resume();
    }
  }

  get #about(): Omit<LookResult, 'from' | 'at' | 'threads' | 'micros' | 'bytesRead'> {
    return {
      pid: this.pid,
      startTime: this.startTime,
      replaced: false,
      gone: false,
      refused: '',
      runtime: this.#image.runtime,
      architecture: HERE,
      reopened: 0,
    };
  }

  /**
   * Threads that exist now; files of those that ended are closed. The kernel tells their number faster than their names: if it
   * is as before and each is found alive afterwards, there is no other.
   */
  #list(): readonly number[] {
    try {
      if (this.#listed > 0 && fstatSync(this.#tasks).nlink === this.#listed + 2) return this.#tids;
      const tids = readdirSync(this.#taskFolder).map(Number);
      this.#listed = tids.length;
      if (tids.length > MAX_THREADS) this.#tids = this.#takeTurns(tids);
      else this.#tids = tids;
    } catch {
      this.#listed = 0;
      this.#tids = [];
    }
    if (this.#threads.size > 0) {
      const alive = new Set(this.#tids);
      for (const [tid, files] of this.#threads)
        if (!alive.has(tid)) {
          files.close();
          this.#threads.delete(tid);
          this.#seen.delete(tid);
        }
    }
    return this.#tids;
  }

  /** A bounded part of too many threads, another one each time; one more, that is never found, keeps the look from counting as whole. */
  #takeTurns(tids: readonly number[]): number[] {
    this.#listed = 0;
    this.#turn %= tids.length;
    const taken = [...tids.slice(this.#turn), ...tids.slice(0, this.#turn)].slice(0, MAX_THREADS);
    this.#turn += MAX_THREADS;
    return [...taken, NOT_LOOKED_AT];
  }

  #tryAdopt(tid: number): ThreadFiles | null {
    try {
      return tid === NOT_LOOKED_AT ? null : this.#adopt(tid);
    } catch {
      return null;
    }
  }

  #tell(tid: number, files: ThreadFiles | null, outcome: 'sampled' | 'unchanged' | LookOutcome): SeenThread {
    const before = this.#seen.get(tid);
    if (outcome === 'unchanged' && before !== undefined) return this.#seenThread(tid, files, 'sampled', true, before);
    let seen = files !== null && outcome === 'sampled' ? this.#decode(files) : null;
    // What was met for the first time took long to read, and the thread went on meanwhile: it is known by now.
    if (seen === null && files !== null && outcome === 'sampled') {
      files.forget();
      seen = files.look(this.#mem, this.#room, this.#instant) === 'sampled' ? this.#decode(files) : null;
    }
    if (seen !== null) {
      this.#seen.set(tid, seen);
      return this.#seenThread(tid, files, 'sampled', false, seen);
    }
    this.#seen.delete(tid);
    files?.forget();
    const told = outcome === 'running' || outcome === 'gone' ? outcome : 'torn';
    return this.#seenThread(tid, files, told, false, NOTHING_SEEN);
  }

  #seenThread(
    tid: number,
    files: ThreadFiles | null,
    outcome: LookOutcome,
    asBefore: boolean,
    stack: SeenStack,
  ): SeenThread {
    return {
      tid,
      name: files?.name ?? '',
      at: this.#now,
      outcome,
      runTime: files?.counters.runTime ?? 0,
      slices: files?.counters.slices ?? -1,
      complete: stack.complete,
      asBefore,
      syscall: stack.syscall,
      frames: stack.frames,
      residue: stack.residue,
    };
  }

  /** The frames of a valid look; null if the thread went on while more of it was read. */
  #decode(files: ThreadFiles): SeenStack | null {
    const { sp, pc, syscall } = files.registers;
    if (this.#image.mapping(pc) === null) this.#refresh();
    const stack = { pc, sp, bytes: files.block, passed: () => syscallArguments(files.line) };
    const { complete, frames, extended, more } = nativeWalker.walk(this.#image, this.#watch, stack, this.#memory);
    // The next look reads at once what this one needed in the end.
    if (extended) files.wanted = BLOCK_LIMIT;
    if (more && !this.#still(files)) return null;
    const residue = readResidue(this.#image, this.#watch, sp, files.around, files.below, this.#memory);
    return { complete, frames, residue, syscall: { number: syscall, arguments: syscallArguments(files.line) } };
  }

  #still(files: ThreadFiles): boolean {
    try {
      return files.still();
    } catch {
      return false;
    }
  }

  readonly #memory = (address: number, length: number): Buffer => {
    const bytes = Buffer.alloc(length);
    try {
      return bytes.subarray(0, pread(this.#mem, bytes, length, address));
    } catch {
      return bytes.subarray(0, 0);
    }
  };

  /** The next look reads and decodes everything anew. */
  forget(): void {
    for (const files of this.#threads.values()) files.forget();
    this.#seen.clear();
  }

  close(): void {
    this.#closeThreads();
    this.#seen.clear();
    this.#image.close();
    closeSync(this.#mem);
    closeSync(this.#tasks);
  }

  #closeThreads(): void {
    for (const files of this.#threads.values()) files.close();
    this.#threads.clear();
  }
}

/** The arguments of a system call are in registers as long as it has not returned. */
const stoppedSyscall = ({ syscall, registers }: StoppedThread): SeenThread['syscall'] => ({
  number: syscall,
  arguments:
    syscall < 0 ? [] : ARGUMENT_REGISTERS.map((register) => `0x${(registers.get(register) ?? 0n).toString(16)}`),
});
