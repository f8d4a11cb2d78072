import { closeSync, openSync, readdirSync, readFileSync, readlinkSync, readSync } from 'node:fs';
import { AttestreamError } from '../../../schemas/errors.js';
import { boottimeMicros } from '../../identity/boottime.js';
import { type DecodedParameter, decodeParameter } from '../dwarf/values.js';
import { sourceOfFile } from '../elf/byte-source.js';
import { EM_AARCH64, EM_X86_64, parseElf } from '../elf/elf.js';
import { liveImageSource } from '../locate/image-source.js';
import { type ProcessStat, parseStat, syscallArguments } from '../locate/proc-files.js';
import { ProcessImage } from '../locate/process-image.js';
import { type FoundBy, type StackFrame, unwind } from '../unwind/unwind.js';
import { type RawOutcome, ThreadFiles } from './thread-files.js';

const PF_KTHREAD = 0x00200000;
const BLOCK_LIMIT = 16 * 1024;

export type LookOutcome = 'sampled' | 'running' | 'torn' | 'gone';

export interface SeenFrame {
  /** Run-time address of the code. */
  readonly pc: number;
  /** Null if no symbol covers the address. */
  readonly function: string | null;
  /** Path of the file that holds the code; '' if none does. */
  readonly file: string;
  readonly foundBy: FoundBy;
  readonly sizedBy: FoundBy | null;
  /** Canonical frame address; 0 if not certain. */
  readonly frameAddress: number;
  readonly returnAddress: number;
  readonly parameters: readonly DecodedParameter[];
}

export interface SeenThread {
  readonly tid: number;
  readonly name: string;
  /** CLOCK_BOOTTIME, µs: a moment at which what is told was so. */
  readonly at: number;
  readonly outcome: LookOutcome;
  /** ns */
  readonly runTime: number;
  readonly slices: number;
  /** The stack reached its root without a scan. */
  readonly complete: boolean;
  /** Nothing ran since the last look, which was valid: the frames are that look's. */
  readonly asBefore: boolean;
  /** Null unless sampled; number -1 outside of a system call. */
  readonly syscall: { readonly number: number; readonly arguments: readonly string[] } | null;
  /** Innermost first. */
  readonly frames: readonly SeenFrame[];
}

export interface LookResult {
  readonly pid: number;
  readonly startTime: string;
  /** CLOCK_BOOTTIME, µs: when the look began and ended. */
  readonly from: number;
  readonly at: number;
  /** The process runs another program since the last look. */
  readonly replaced: boolean;
  /** The process has ended; no threads then. */
  readonly gone: boolean;
  readonly threads: readonly SeenThread[];
  readonly micros: number;
  readonly bytesRead: number;
}

/** Functions and parameters whose values are to be read; `all` also takes what pointers of every function point at. */
export type Watch = ReadonlySet<string> | 'all';

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

const readStat = (pid: number): ProcessStat | null => {
  try {
    return parseStat(readFileSync(`/proc/${pid}/stat`, 'latin1'));
  } catch {
    return null;
  }
};

const ended = (stat: ProcessStat | null): boolean => stat === null || stat.state === 'Z' || stat.state === 'X';

/** Opens a process for looking at it without stopping it. Throws PROCESS_GONE, PROCESS_KERNEL_THREAD, PROCESS_DENIED or PROCESS_UNSUPPORTED. */
export const openTarget = (pid: number, watch: Watch = 'all'): Target => new Target(pid, watch);

/** One process, its files kept open. Not for use from several threads. */
export class Target {
  readonly pid: number;
  readonly startTime: string;
  readonly #watch: Watch;
  readonly #threads = new Map<number, ThreadFiles>();
  readonly #seen = new Map<
    number,
    { complete: boolean; frames: readonly SeenFrame[]; syscall: SeenThread['syscall'] }
  >();
  #image: ProcessImage;
  #mem: number;
  #binary: string;
  #now = 0;
  readonly #instant = (): void => {
    this.#now = boottimeMicros();
  };

  constructor(pid: number, watch: Watch) {
    this.pid = pid;
    this.#watch = watch;
    const stat = readStat(pid);
    if (stat === null || ended(stat)) throw gone(pid);
    if ((stat.flags & PF_KTHREAD) !== 0)
      throw new AttestreamError(
        'PROCESS_KERNEL_THREAD',
        `process ${pid} (${stat.name}) is a thread of the kernel: it has no program to look at`,
      );
    this.startTime = stat.startTime;
    this.#binary = this.#checkProgram();
    try {
      this.#mem = openSync(`/proc/${pid}/mem`, 'r');
    } catch (error) {
      throw translate(pid, error);
    }
    try {
      this.#image = new ProcessImage(liveImageSource(pid));
      this.#adopt(pid);
      const files = this.#threads.get(pid);
      if (files !== undefined && files.look(this.#mem, () => 0, this.#instant) === 'gone' && ended(readStat(pid)))
        throw gone(pid);
      files?.forget();
    } catch (error) {
      closeSync(this.#mem);
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

  #checkProgram(): string {
    let fd = -1;
    try {
      fd = openSync(`/proc/${this.pid}/exe`, 'r');
      const { machine } = parseElf(sourceOfFile(fd));
      if (machine !== EM_X86_64)
        throw new AttestreamError(
          'PROCESS_UNSUPPORTED',
          `process ${this.pid} is a program for ${machine === EM_AARCH64 ? 'arm64, which cannot be looked at live yet' : `machine ${machine}`}; only x86-64 can be looked at live`,
        );
      return readlinkSync(`/proc/${this.pid}/exe`).replace(/ \(deleted\)$/, '');
    } catch (error) {
      throw translate(this.pid, error);
    } finally {
      if (fd >= 0) closeSync(fd);
    }
  }

  #adopt(tid: number): ThreadFiles {
    try {
      const files = new ThreadFiles(this.pid, tid);
      this.#threads.set(tid, files);
      return files;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT' && tid === this.pid && !ended(readStat(this.pid)))
        throw new AttestreamError(
          'PROCESS_UNSUPPORTED',
          'this kernel does not tell where a thread stands (/proc/PID/task/TID/syscall or schedstat is missing)',
        );
      throw error;
    }
  }

  /** Opens what exec closed. False if the process has ended instead. */
  #relocate(): boolean {
    const stat = readStat(this.pid);
    if (ended(stat) || stat!.startTime !== this.startTime) return false;
    try {
      const mem = openSync(`/proc/${this.pid}/mem`, 'r');
      closeSync(this.#mem);
      this.#mem = mem;
      this.#image.close();
      this.#image = new ProcessImage(liveImageSource(this.pid));
      this.#binary = readlinkSync(`/proc/${this.pid}/exe`).replace(/ \(deleted\)$/, '');
      this.#seen.clear();
      for (const files of this.#threads.values()) files.forget();
      return true;
    } catch {
      return false;
    }
  }

  readonly #room = (sp: number): number => {
    let mapping = this.#image.mapping(sp);
    if (mapping === null) {
      // The stack has grown downwards, or a thread has come.
      this.#image.refresh();
      mapping = this.#image.mapping(sp);
    }
    return mapping === null ? BLOCK_LIMIT : Math.min(BLOCK_LIMIT, mapping.end - sp);
  };

  /** Looks at every thread once. Does not throw for a process that ends or execs meanwhile. */
  look(): LookResult {
    const from = boottimeMicros();
    const began = process.hrtime();
    const threads: SeenThread[] = [];
    let bytesRead = 0;
    let replaced = false;
    let over = false;
    const tids = this.#list();
    for (let i = 0; i < tids.length; i++) {
      const tid = tids[i]!;
      const files = this.#threads.get(tid) ?? this.#tryAdopt(tid);
      let outcome: RawOutcome = files === null ? 'gone' : files.look(this.#mem, this.#room, this.#instant);
      if (files === null) this.#instant();
      bytesRead += files?.bytesRead ?? 0;
      if (outcome === 'replaced') {
        if (!this.#relocate()) {
          over = true;
          break;
        }
        if (replaced) outcome = 'torn';
        else {
          // What was seen of this look belongs to the program before: begin again.
          replaced = true;
          threads.length = 0;
          i = -1;
          continue;
        }
      }
      threads.push(this.#tell(tid, files, outcome));
    }
    if (!over && (tids.length === 0 || threads.every((thread) => thread.outcome === 'gone'))) {
      const stat = readStat(this.pid);
      over = ended(stat) || stat!.startTime !== this.startTime;
    }
    const took = process.hrtime(began);
    return {
      pid: this.pid,
      startTime: this.startTime,
      from,
      at: boottimeMicros(),
      replaced,
      gone: over,
      threads: over ? [] : threads,
      micros: Math.ceil(took[0] * 1e6 + took[1] / 1e3),
      bytesRead,
    };
  }

  /** Threads that exist now; files of those that ended are closed. */
  #list(): number[] {
    let tids: number[];
    try {
      tids = readdirSync(`/proc/${this.pid}/task`).map(Number);
    } catch {
      return [];
    }
    if (this.#threads.size > tids.length || tids.length > 1) {
      const alive = new Set(tids);
      for (const [tid, files] of this.#threads)
        if (!alive.has(tid)) {
          files.close();
          this.#threads.delete(tid);
          this.#seen.delete(tid);
        }
    }
    return tids;
  }

  #tryAdopt(tid: number): ThreadFiles | null {
    try {
      return this.#adopt(tid);
    } catch {
      return null;
    }
  }

  #tell(tid: number, files: ThreadFiles | null, outcome: 'sampled' | 'unchanged' | LookOutcome): SeenThread {
    const base = {
      tid,
      name: files?.name ?? '',
      at: this.#now,
      runTime: files?.counters.runTime ?? 0,
      slices: files?.counters.slices ?? -1,
    };
    const before = this.#seen.get(tid);
    if (outcome === 'unchanged' && before !== undefined)
      return { ...base, outcome: 'sampled', asBefore: true, ...before };
    if (files === null || (outcome !== 'sampled' && outcome !== 'unchanged')) {
      this.#seen.delete(tid);
      const told = outcome === 'unchanged' ? 'torn' : outcome;
      return { ...base, outcome: told as LookOutcome, asBefore: false, complete: false, syscall: null, frames: [] };
    }
    const { at } = base;
    const seen = this.#decode(files);
    if (seen === null) {
      this.#seen.delete(tid);
      files.forget();
      return { ...base, outcome: 'torn', asBefore: false, complete: false, syscall: null, frames: [] };
    }
    this.#seen.set(tid, seen);
    return { ...base, at, outcome: 'sampled', asBefore: false, ...seen };
  }

  /** The frames of a valid look; null if the thread went on while more of it was read. */
  #decode(
    files: ThreadFiles,
  ): { complete: boolean; frames: readonly SeenFrame[]; syscall: SeenThread['syscall'] } | null {
    const { sp, pc, syscall } = files.registers;
    let block: Buffer = files.block;
    if (this.#image.mapping(pc) === null) this.#image.refresh();
    let stack = unwind(this.#image, pc, sp, block);
    let more = false;
    if (stack.cut && block.length < this.#room(sp)) {
      files.wanted = BLOCK_LIMIT;
      block = this.#memory(sp, this.#room(sp));
      more = true;
      stack = unwind(this.#image, pc, sp, block);
    }
    const slot = (address: number, length: number): Buffer =>
      address < sp ? Buffer.alloc(0) : block.subarray(address - sp, address - sp + length);
    const memory = (address: number, length: number): Buffer => {
      more = true;
      return this.#memory(address, length);
    };
    const frames = stack.frames.map((frame, i) => this.#frame(frame, i === 0, slot, memory));
    if (more && !this.#still(files)) return null;
    const number = syscall;
    return { complete: stack.complete, frames, syscall: { number, arguments: syscallArguments(files.line) } };
  }

  #still(files: ThreadFiles): boolean {
    try {
      return files.still();
    } catch {
      return false;
    }
  }

  #memory(address: number, length: number): Buffer {
    const bytes = Buffer.alloc(length);
    try {
      return bytes.subarray(0, readSync(this.#mem, bytes, 0, length, address));
    } catch {
      return bytes.subarray(0, 0);
    }
  }

  #frame(
    frame: StackFrame,
    innermost: boolean,
    slot: (address: number, length: number) => Buffer,
    memory: (address: number, length: number) => Buffer,
  ): SeenFrame {
    const { symbol, place } = frame;
    const names = symbol?.names ?? [];
    const watch = this.#watch;
    const watched = watch === 'all' ? undefined : names.find((name) => watch.has(name));
    const wanted = symbol !== null && place !== null && (watch === 'all' || watched !== undefined);
    const formal = wanted ? place.module.parameters().functions.get(symbol.start) : undefined;
    return {
      pc: frame.pc,
      function: watched ?? names[0] ?? null,
      file: place?.module.path ?? '',
      foundBy: frame.foundBy,
      sizedBy: frame.sizedBy,
      frameAddress: frame.cfa,
      returnAddress: frame.returnAddress,
      parameters: formal?.map((parameter) => decodeParameter(parameter, frame.cfa, innermost, slot, memory)) ?? [],
    };
  }

  /** The next look reads and decodes everything anew. */
  forget(): void {
    for (const files of this.#threads.values()) files.forget();
    this.#seen.clear();
  }

  close(): void {
    for (const files of this.#threads.values()) files.close();
    this.#threads.clear();
    this.#seen.clear();
    this.#image.close();
    closeSync(this.#mem);
  }
}
