import { AttestreamError } from '../../../schemas/errors.js';
import { downloadFolders } from '../elf/debug-file.js';
import { parseElf } from '../elf/elf.js';
import type { ImageSource, MappedFile } from '../locate/image-source.js';
import { type Mapping, parseSchedstat, parseStat, parseSyscall, type Registers } from '../locate/proc-files.js';
import type { StackBlock } from '../unwind/stack-memory.js';
import { CaptureFiles, keptName, parentFiles } from './capture-files.js';
import { ConstantMemory } from './constant-memory.js';
import { type Manifest, readManifest, tamperedWith } from './manifest.js';

const MAX_MAPS = 16 * 1024 * 1024;
const MAX_TEXT = 64 * 1024;
const MAX_THREADS = 4096;
const MAX_STACK = 16 * 1024 * 1024;
/** Stacks and other memory together. */
const MAX_MEMORY = 256 * 1024 * 1024;

export interface CapturedThread {
  readonly tid: number;
  readonly name: string;
  /** The line of the thread's `syscall` file. */
  readonly line: string;
  /** Null if the thread was on a CPU. */
  readonly registers: Registers | null;
  readonly counters: { readonly runTime: number; readonly slices: number };
}

/** A process as it was seen at one moment, from the files of a folder. */
export interface Capture {
  readonly pid: number;
  readonly startTime: string;
  /** Real time, µs; 0 if it is not told. */
  readonly at: number;
  readonly threads: readonly CapturedThread[];
  /** Null: nothing was said about what the evidence should be. Empty: all of it is as it was captured. */
  readonly problems: readonly string[] | null;
  readonly image: ImageSource;
}

const invalid = (files: CaptureFiles, what: string): AttestreamError =>
  new AttestreamError('CAPTURE_INVALID', what, { path: files.folder });

const numberIn = (text: string | null): number | null => {
  const found = /^\s*(\d{1,10})\s*$/.exec(text ?? '')?.[1];
  return found === undefined ? null : Number(found);
};

const readThread = (files: CaptureFiles, tid: number): CapturedThread => {
  const line = files.text(`${tid}.syscall`, MAX_TEXT) ?? '';
  const bytes = Buffer.from(line, 'latin1');
  const registers: Registers = { sp: 0, pc: 0, syscall: -1 };
  // Only what has the kernel's own shape: the parser trusts it.
  const told = /^(?:-1|\d{1,9}(?: 0x[0-9a-f]{1,16}){6}) 0x[0-9a-f]{1,16} 0x[0-9a-f]{1,16}\n?$/.test(line);
  const counters = Buffer.from(files.text(`${tid}.schedstat`, MAX_TEXT) ?? '', 'latin1');
  return {
    tid,
    name: (files.text(`${tid}.comm`, MAX_TEXT) ?? '').trimEnd(),
    line,
    registers: told && parseSyscall(bytes, bytes.length, registers) ? registers : null,
    counters: counters.length === 0 ? { runTime: 0, slices: -1 } : parseSchedstat(counters, counters.length),
  };
};

const address = (text: string | undefined): number | null =>
  text !== undefined && /^(?:0x)?[0-9a-f]{1,16}$/.test(text) ? Number.parseInt(text.replace(/^0x/, ''), 16) : null;

/** Every piece of memory that was kept: `TID.stack` at the address that `TID.stack.addr` begins with, and `mem-ADDRESS`. */
const readMemory = (files: CaptureFiles, names: readonly string[]): StackBlock[] => {
  const blocks: StackBlock[] = [];
  let total = 0;
  for (const name of names) {
    const stack = /^(\d{1,10})\.stack$/.exec(name);
    const start =
      stack === null
        ? address(/^mem-([0-9a-f]{1,16})$/.exec(name)?.[1])
        : address(files.text(`${name}.addr`, MAX_TEXT)?.split(/\s/, 1)[0]);
    if (start === null) continue;
    const bytes = files.read(name, MAX_STACK);
    if (bytes === null) continue;
    total += bytes.length;
    if (total > MAX_MEMORY) throw invalid(files, `more than ${MAX_MEMORY} bytes of memory were kept`);
    blocks.push({ address: start, bytes });
  }
  return blocks;
};

/** Names in `bin` and `lib` for a mapped file. musl's loader is its C library, and people keep it by either name. */
const candidates = (mapping: Mapping, manifest: Manifest | null): string[] => {
  const told = manifest?.files[mapping.path];
  const name = keptName(mapping.path);
  if (name === null) return [];
  const names = name.startsWith('ld-musl-') ? [name, 'libc.so'] : [name];
  return [...(told === undefined ? [] : [told]), ...names.flatMap((kept) => [`bin/${kept}`, `lib/${kept}`])];
};

const sameBuild = (file: MappedFile, expected: string | undefined): boolean => {
  if (expected === undefined) return true;
  try {
    return parseElf(file.source).buildId === expected.toLowerCase();
  } catch {
    return false;
  }
};

/** Files that may be a mapping's, as far as their build ids agree with what was captured. */
const programs = function* (
  files: CaptureFiles,
  parent: CaptureFiles | null,
  manifest: Manifest | null,
  mapping: Mapping,
): Generator<MappedFile> {
  for (const name of candidates(mapping, manifest))
    for (const folder of parent === null ? [files] : [files, parent]) {
      const file = folder.program(name);
      if (file === null) continue;
      if (sameBuild(file, manifest?.buildIds[mapping.path])) yield file;
      else file.close();
    }
};

const fromBlocks = (blocks: readonly StackBlock[], from: number, length: number): Buffer => {
  // The block that tells the most: one may be the beginning of another.
  let best: Buffer = Buffer.alloc(0);
  for (const block of blocks) {
    const inside = from - block.address;
    if (inside < 0 || inside >= block.bytes.length) continue;
    const bytes = block.bytes.subarray(inside, inside + length);
    if (bytes.length > best.length) best = bytes;
  }
  return best;
};

const imageSource = (
  files: CaptureFiles,
  parent: CaptureFiles | null,
  manifest: Manifest | null,
  maps: string,
  blocks: readonly StackBlock[],
): ImageSource => {
  const candidatesOf = (mapping: Mapping): Iterable<MappedFile> => programs(files, parent, manifest, mapping);
  const constants = new ConstantMemory(maps, candidatesOf);
  return {
    maps: () => maps,
    files: candidatesOf,
    // Debug files are known by the program's build id, so any that lie on this machine will do.
    debugSearch: (mapping) => ({ path: mapping.path, roots: [''], downloads: downloadFolders() }),
    memory(from, length) {
      const kept = fromBlocks(blocks, from, length);
      return kept.length > 0 ? kept : constants.read(from, length);
    },
    close: () => constants.close(),
  };
};

/** Reads the evidence of a look from a folder. Throws CAPTURE_INVALID for one that is none. */
export const openCapture = (folder: string): Capture => {
  const files = new CaptureFiles(folder);
  const maps = files.text('maps', MAX_MAPS);
  if (maps === null) throw invalid(files, `${folder} is no capture: it has no file maps`);
  const stat = parseStat(files.text('stat', MAX_TEXT) ?? '');
  const pid =
    numberIn(files.text('pid', MAX_TEXT)) ?? numberIn(/^\d+/.exec(files.text('stat', MAX_TEXT) ?? '')?.[0] ?? '');
  if (pid === null) throw invalid(files, `${folder} does not say which process it is of (files pid and stat)`);
  const parent = parentFiles(files);
  const manifest = readManifest(files);
  const names = files.list();
  const tids = names.flatMap((name) => /^(\d{1,10})\.syscall$/.exec(name)?.[1] ?? []).map(Number);
  if (tids.length > MAX_THREADS) throw invalid(files, `${folder} has more than ${MAX_THREADS} threads`);
  tids.sort((a, b) => (a === pid ? -1 : b === pid ? 1 : a - b));
  return {
    pid,
    startTime: stat?.startTime ?? '0',
    at: manifest?.at ?? 0,
    threads: tids.map((tid) => readThread(files, tid)),
    problems: manifest === null ? null : tamperedWith(files, parent, manifest),
    image: imageSource(files, parent, manifest, maps, readMemory(files, names)),
  };
};
