import { createHash } from 'node:crypto';
import { closeSync, existsSync, mkdirSync, openSync, readSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { parseElf } from '../elf/elf.js';
import type { ImageSource } from '../locate/image-source.js';
import type { Mapping } from '../locate/proc-files.js';
import { keptName } from './capture-files.js';

/** Files mapped by the process are copied up to this size. */
const MAX_FILE = 1024 * 1024 * 1024;
const COPY_PIECE = 1024 * 1024;

/** What was kept of the mapped files, by name within the folder of `bin` and `lib` or by the path that the process sees. */
export interface SavedPrograms {
  readonly hashes: Readonly<Record<string, string>>;
  readonly buildIds: Readonly<Record<string, string>>;
  readonly kept: Readonly<Record<string, string>>;
  readonly missing: readonly string[];
}

const copy = (source: ImageSource, mapping: Mapping, path: string): { digest: string; buildId: string } | string => {
  for (const file of source.files(mapping)) {
    try {
      const { size } = file.source;
      if (size > MAX_FILE) return `larger than ${MAX_FILE} bytes`;
      let buildId = '';
      try {
        ({ buildId } = parseElf(file.source));
      } catch {
        return 'not an ELF file';
      }
      const hash = createHash('sha256');
      const fd = existsSync(path) ? -1 : openSync(path, 'wx', 0o600);
      try {
        for (let at = 0; at < size; at += COPY_PIECE) {
          const piece = file.source.read(at, COPY_PIECE);
          hash.update(piece);
          if (fd >= 0) writeSync(fd, piece);
          if (piece.length === 0) break;
        }
      } finally {
        if (fd >= 0) closeSync(fd);
      }
      return { digest: hash.digest('hex'), buildId };
    } finally {
      file.close();
    }
  }
  return 'not to be had under its path';
};

const digestOf = (path: string): string => {
  const hash = createHash('sha256');
  const fd = openSync(path, 'r');
  try {
    const piece = Buffer.alloc(COPY_PIECE);
    for (let length = readSync(fd, piece); length > 0; length = readSync(fd, piece))
      hash.update(piece.subarray(0, length));
    return hash.digest('hex');
  } finally {
    closeSync(fd);
  }
};

/** Keeps every mapped program and library under its base name; one of the same name and other content gets a number. */
export const savePrograms = (
  source: ImageSource,
  maps: readonly Mapping[],
  exe: string,
  { files, programs }: { readonly files: boolean; readonly programs: string },
  above: boolean,
): SavedPrograms => {
  const hashes: Record<string, string> = {};
  const buildIds: Record<string, string> = {};
  const kept: Record<string, string> = {};
  const missing: string[] = [];
  const seen = new Set<string>();
  for (const mapping of maps) {
    const name = keptName(mapping.path);
    if (!mapping.executable || mapping.inode === 0 || name === null || seen.has(mapping.path)) continue;
    seen.add(mapping.path);
    if (!files) {
      for (const file of source.files(mapping)) {
        try {
          buildIds[mapping.path] = parseElf(file.source).buildId;
        } catch {
          // Not an ELF file: it has none.
        } finally {
          file.close();
        }
        break;
      }
      continue;
    }
    const room = mapping.path === exe ? 'bin' : 'lib';
    mkdirSync(join(programs, room), { recursive: true, mode: 0o700 });
    for (let n = 0; ; n++) {
      const place = `${room}/${n === 0 ? name : `${name}.${n}`}`;
      const before = existsSync(join(programs, place));
      const told = copy(source, mapping, join(programs, place));
      if (typeof told === 'string') {
        missing.push(`${mapping.path}: ${told}`);
        break;
      }
      if (before && digestOf(join(programs, place)) !== told.digest) continue;
      hashes[above ? `../${place}` : place] = told.digest;
      if (told.buildId !== '') buildIds[mapping.path] = told.buildId;
      if (n > 0) kept[mapping.path] = place;
      break;
    }
  }
  return { hashes, buildIds, kept, missing };
};
