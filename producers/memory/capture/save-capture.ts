import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { AttestreamError } from '../../../schemas/errors.js';
import { binaryPathIfAny } from '../locate/binary-path.js';
import { liveImageSource } from '../locate/image-source.js';
import { type Mapping, mappingAt, parseMaps, parseStat, parseSyscall, type Registers } from '../locate/proc-files.js';
import { ProcessImage } from '../locate/process-image.js';
import { nativeWalker } from '../sample/native-walker.js';
import type { ReadMemory } from '../sample/walker.js';
import { MANIFEST } from './manifest.js';
import { savePrograms } from './save-programs.js';
import { TouchedMemory } from './touched-memory.js';

const PROCESS_FILES = ['maps', 'auxv', 'cmdline', 'stat', 'status'] as const;
/** Of the stack: what lies below SP (returned functions' remains), and from SP on. */
const BELOW = 256;
const ABOVE = 64 * 1024;
/** Tries at a thread that goes on meanwhile. */
const TRIES = 8;
const MAX_THREADS = 4096;
const MAX_GLOBALS = 1024 * 1024;

export interface SaveOptions {
  /** Keep the program and its libraries, too. */
  readonly files: boolean;
  /** Folder of `bin` and `lib`: the capture's own, or the one above, shared by several. */
  readonly programs: string;
}

export interface SavedThread {
  readonly tid: number;
  readonly outcome: 'sampled' | 'running' | 'torn' | 'gone';
}

export interface SavedCapture {
  readonly folder: string;
  readonly threads: readonly SavedThread[];
  /** SHA-256 of capture.json in hex: whoever notes it down elsewhere can later tell that nothing was exchanged. */
  readonly digest: string;
  /** Mapped files that could not be kept, with the reason. */
  readonly missing: readonly string[];
}

const sha256 = (bytes: Buffer | string): string => createHash('sha256').update(bytes).digest('hex');

/** Writes the raw evidence of one look, file by file, and remembers what each was. */
class Writer {
  readonly hashes: Record<string, string> = {};
  constructor(readonly folder: string) {}

  write(name: string, bytes: Buffer | string): void {
    writeFileSync(join(this.folder, name), bytes, { flag: 'wx', mode: 0o600 });
    this.hashes[name] = sha256(bytes);
  }
}

const gone = (pid: number): AttestreamError => new AttestreamError('PROCESS_GONE', `there is no process ${pid}`);

const readAll = (path: string): Buffer | null => {
  try {
    return readFileSync(path);
  } catch {
    return null;
  }
};

/** One thread's files, taken so that registers, counters and stack belong together; `also` reads more while that can still be told. */
const saveThread = (
  writer: Writer,
  pid: number,
  tid: number,
  maps: readonly Mapping[],
  memory: ReadMemory,
  also: (registers: Registers, stack: Buffer) => TouchedMemory,
): { outcome: SavedThread['outcome']; touched: TouchedMemory | null } => {
  const folder = `/proc/${pid}/task/${tid}`;
  let outcome: SavedThread['outcome'] = 'torn';
  for (let n = 0; n < TRIES; n++) {
    const counters = readAll(`${folder}/schedstat`);
    const line = readAll(`${folder}/syscall`);
    if (counters === null || line === null) return { outcome: 'gone', touched: null };
    const registers: Registers = { sp: 0, pc: 0, syscall: -1 };
    const told = parseSyscall(line, line.length, registers);
    outcome = told ? 'torn' : 'running';
    if (!told) continue;
    const { sp, pc } = registers;
    const mapping = mappingAt(maps, sp);
    const start = Math.max(mapping?.start ?? 0, Math.floor((sp - BELOW) / 16) * 16);
    const end = Math.min(mapping?.end ?? sp + 4096, start + ABOVE);
    const stack = memory(start, end - start);
    const touched = also(registers, stack.subarray(Math.min(stack.length, sp - start)));
    if (
      readAll(`${folder}/syscall`)?.equals(line) !== true ||
      readAll(`${folder}/schedstat`)?.equals(counters) !== true
    )
      continue;
    const hex = (value: number): string => `0x${value.toString(16)}`;
    writer.write(`${tid}.syscall`, line);
    writer.write(`${tid}.schedstat`, counters);
    writer.write(`${tid}.comm`, readAll(`${folder}/comm`) ?? '');
    const stat = readAll(`${folder}/stat`);
    if (stat !== null) writer.write(`${tid}.stat`, stat);
    const wchan = readAll(`${folder}/wchan`);
    if (wchan !== null) writer.write(`${tid}.wchan`, wchan);
    writer.write(`${tid}.stack`, stack);
    const where = mapping === null ? '' : ` map_top=${hex(mapping.end)} map=${mapping.path}`;
    writer.write(`${tid}.stack.addr`, `${hex(start)} sp=${hex(sp)} pc=${hex(pc)}${where}\n`);
    return { outcome: 'sampled', touched };
  }
  // Without registers and stack that belong together there is only this to tell.
  const line = outcome === 'running' ? 'running\n' : 'torn\n';
  writer.write(`${tid}.syscall`, line);
  writer.write(`${tid}.comm`, readAll(`${folder}/comm`) ?? '');
  return { outcome, touched: null };
};

/** The program's own variables, which a policy may name. */
const saveGlobals = (writer: Writer, touched: TouchedMemory, maps: readonly Mapping[], exe: string): void => {
  let room = MAX_GLOBALS;
  for (const [i, mapping] of maps.entries()) {
    // .bss is the anonymous mapping right behind the program's last one.
    const before = maps[i - 1];
    const own = mapping.path === exe || (mapping.path === '' && before?.path === exe && before.end === mapping.start);
    if (!own || mapping.executable || room <= 0) continue;
    const length = Math.min(room, mapping.end - mapping.start);
    touched.read(mapping.start, length);
    room -= length;
  }
  touched.write((address, bytes) => writer.write(`mem-${address.toString(16)}`, bytes));
};

/**
 * Keeps the raw evidence of one look at a process in a new folder, in the layout that `openCapture` reads: what the kernel says of
 * the process and of each thread, the stacks, all other memory that decoding reads, and the programs. `at` is the real time in
 * µs. Throws CAPTURE_EXISTS, PROCESS_GONE, and the errors of writing files.
 */
export const saveCapture = (pid: number, folder: string, at: number, options: SaveOptions): SavedCapture => {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const above = options.programs !== folder;
  if (readdirSync(folder).length > 0)
    throw new AttestreamError('CAPTURE_EXISTS', `${folder} is not empty`, { path: folder });
  const before = parseStat(readAll(`/proc/${pid}/stat`)?.toString('latin1') ?? '');
  if (before === null) throw gone(pid);
  const writer = new Writer(folder);
  const source = liveImageSource(pid);
  const image = new ProcessImage(source);
  try {
    const exe = binaryPathIfAny(pid);
    const touched = new TouchedMemory((address, length) => source.memory(address, length));
    const threads: SavedThread[] = [];
    const tids = readdirSync(`/proc/${pid}/task`).map(Number).slice(0, MAX_THREADS);
    for (const tid of tids) {
      const told = saveThread(
        writer,
        pid,
        tid,
        image.mappings,
        (address, length) => source.memory(address, length),
        (registers, bytes) => {
          // Whatever decoding needs besides the stack is part of the evidence.
          const more = touched.copy();
          const { pc, sp } = registers;
          if (image.mapping(pc) === null || image.mapping(sp) === null) image.refresh();
          nativeWalker.walk(image, 'all', { pc, sp, bytes }, (address, length) => more.read(address, length));
          return more;
        },
      );
      if (told.touched !== null) touched.take(told.touched);
      threads.push({ tid, outcome: told.outcome });
    }
    for (const mapping of image.mappings)
      if (mapping.path === '[vdso]') touched.read(mapping.start, mapping.end - mapping.start);
    saveGlobals(writer, touched, image.mappings, exe);
    for (const name of PROCESS_FILES) {
      const bytes = readAll(`/proc/${pid}/${name}`);
      if (bytes !== null) writer.write(name, bytes);
    }
    writer.write('pid', `${pid}\n`);
    const after = parseStat(readAll(join(folder, 'stat'))?.toString('latin1') ?? '');
    if (after?.startTime !== before.startTime) throw gone(pid);
    const maps = parseMaps(readFileSync(join(folder, 'maps'), 'latin1'));
    const programs = savePrograms(source, maps, exe, options, above);
    const manifest = `${JSON.stringify(
      {
        version: 1,
        at,
        pid,
        startTime: before.startTime,
        architecture: process.arch,
        program: exe,
        threads: Object.fromEntries(threads.map(({ tid, outcome }) => [tid, outcome])),
        buildIds: programs.buildIds,
        files: programs.kept,
        hashes: { ...writer.hashes, ...programs.hashes },
      },
      null,
      1,
    )}\n`;
    writeFileSync(join(folder, MANIFEST), manifest, { flag: 'wx', mode: 0o600 });
    return { folder, threads, digest: sha256(manifest), missing: programs.missing };
  } finally {
    image.close();
  }
};
