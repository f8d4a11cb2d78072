import { createHash } from 'node:crypto';
import { type ByteSource, sourceOfBuffer } from '../elf/byte-source.js';
import { type DebugSearch, findDebugFile } from '../elf/debug-file.js';
import { type Elf, parseElf } from '../elf/elf.js';
import { type Module, openModule } from './module.js';

/** Larger files are read where they lie. */
const MAX_HELD = 4 * 1024 * 1024;

interface Held {
  readonly module: Module;
  owners: number;
}

/** By path and digest of the contents. */
const held = new Map<string, Held>();

/** Parts of its debug information lie in other files, which the process's own root may hold. */
const isInParts = (elf: Elf): boolean =>
  elf.sections.some(({ name }) => name === '.debug_addr' || name === '.gnu_debugaltlink');

/** Nothing in the process's own root says more of the file: then all that can be told of it is in its bytes, or is our host's. */
const standsAlone = (elf: Elf, search: DebugSearch): boolean => {
  if (isInParts(elf)) return false;
  const own = findDebugFile(elf, { ...search, roots: search.roots.filter((root) => root !== ''), downloads: [] });
  own?.close();
  return own === null;
};

const piece = Buffer.allocUnsafeSlow(64 * 1024);

const fill = (source: ByteSource, into: Buffer, at: number): number =>
  source.fill === undefined ? source.read(at, into.length).copy(into) : source.fill(into, at);

/** Of a file that nobody else has to be held for: it is not copied for that. */
const digestOf = (source: ByteSource): string => {
  const hash = createHash('sha256');
  for (let at = 0, got = 0; at < source.size; at += got) {
    got = fill(source, piece, at);
    if (got === 0) break;
    hash.update(piece.subarray(0, got));
  }
  return hash.digest('hex');
};

const keyOf = (path: string, digest: string): string => `${path}\0${digest}`;

const hold = (key: string, path: string, bytes: Buffer, search: DebugSearch): Held => {
  const module = openModule(path, sourceOfBuffer(bytes), { ...search, roots: [''] }, () => {});
  const last = module.close;
  const made: Held = { module, owners: 0 };
  module.close = () => {
    if (--made.owners > 0) return;
    held.delete(key);
    last.call(module);
  };
  held.set(key, made);
  return made;
};

/**
 * Opens a program file as one module for all files of the same path and bytes: fifty containers of one image have fifty files of one
 * C library. The bytes are copied first, and then hashed: what a process does to its own file later is nothing to the others.
 * Throws what `openModule` throws.
 */
export const openEqualFile = (
  path: string,
  source: ByteSource,
  search: DebugSearch | null,
  close: () => void,
): Module => {
  if (search === null || source.size > MAX_HELD) return openModule(path, source, search, close);
  let one = held.get(keyOf(path, digestOf(source)));
  if (!standsAlone(one?.module.elf ?? parseElf(source), search)) return openModule(path, source, search, close);
  if (one === undefined) {
    // What is held is what its own digest names, whatever was read before.
    const bytes = Buffer.allocUnsafeSlow(source.size);
    if (fill(source, bytes, 0) < bytes.length) return openModule(path, source, search, close);
    const key = keyOf(path, createHash('sha256').update(bytes).digest('hex'));
    one = held.get(key) ?? hold(key, path, bytes, search);
  }
  one.owners++;
  close();
  return one.module;
};
