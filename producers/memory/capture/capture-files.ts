import { createHash } from 'node:crypto';
import { closeSync, opendirSync, readSync, realpathSync, statSync } from 'node:fs';
import { basename, dirname, join, sep } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { AttestreamError } from '../../../schemas/errors.js';
import { type ByteSource, sourceOfBuffer, sourceOfFile } from '../elf/byte-source.js';
import { openRegularFile } from '../elf/regular-file.js';
import type { MappedFile } from '../locate/image-source.js';

/** Entries of a folder that are looked through. */
const MAX_ENTRIES = 50_000;
/** A program or library is not unpacked beyond this. */
const MAX_UNPACKED = 256 * 1024 * 1024;
const HASH_PIECE = 1024 * 1024;

const isFolder = (path: string): boolean => {
  try {
    return statSync(path).isDirectory();
  } catch {
    return false;
  }
};

/** The files of a capture's folder, which anybody may have put there: nothing outside of it is opened, and only regular files. */
export class CaptureFiles {
  readonly folder: string;
  readonly #root: string;

  /** Throws CAPTURE_INVALID. */
  constructor(folder: string) {
    this.folder = folder;
    if (!isFolder(folder)) throw new AttestreamError('CAPTURE_INVALID', `${folder} is not a folder`, { path: folder });
    this.#root = realpathSync(folder);
  }

  /** Names of the entries of this folder, or of one in it; those beyond a bound are left out. */
  list(name = '.'): string[] {
    const names: string[] = [];
    const path = this.#resolve(name);
    if (path === null) return names;
    try {
      const directory = opendirSync(path);
      try {
        for (
          let entry = directory.readSync();
          entry !== null && names.length < MAX_ENTRIES;
          entry = directory.readSync()
        )
          names.push(entry.name);
      } finally {
        directory.closeSync();
      }
    } catch {
      return names;
    }
    return names.sort();
  }

  /** The real path of a name in the folder; null if it leads out of it, or nowhere. */
  #resolve(name: string): string | null {
    try {
      const path = realpathSync(join(this.#root, name));
      return path === this.#root || path.startsWith(this.#root + sep) ? path : null;
    } catch {
      return null;
    }
  }

  /** A regular file of the folder; the caller closes it. */
  open(name: string): MappedFile | null {
    const path = this.#resolve(name);
    const file = path === null ? null : openRegularFile(path);
    return file === null ? null : { source: sourceOfFile(file.fd), close: () => closeSync(file.fd) };
  }

  /** Up to `limit` bytes of a file, null if there is none. Throws CAPTURE_INVALID for a larger one. */
  read(name: string, limit: number): Buffer | null {
    const file = this.open(name);
    if (file === null) return null;
    try {
      if (file.source.size > limit)
        throw new AttestreamError(
          'CAPTURE_INVALID',
          `${name} has ${file.source.size} bytes; ${limit} are read at most`,
          {
            path: join(this.folder, name),
          },
        );
      return file.source.read(0, limit);
    } finally {
      file.close();
    }
  }

  text(name: string, limit: number): string | null {
    return this.read(name, limit)?.toString('latin1') ?? null;
  }

  /** In hex, of what a file holds unpacked where only a gzipped one is there; null if there is no such file. */
  sha256(name: string): string | null {
    const path = this.#resolve(name);
    const file = path === null ? null : openRegularFile(path);
    if (file === null) {
      const packed = this.program(name);
      return packed === null
        ? null
        : createHash('sha256').update(packed.source.read(0, packed.source.size)).digest('hex');
    }
    try {
      const hash = createHash('sha256');
      const piece = Buffer.alloc(Math.min(HASH_PIECE, Math.max(1, file.stat.size)));
      for (let at = 0; ; ) {
        const length = readSync(file.fd, piece, 0, piece.length, at);
        if (length === 0) return hash.digest('hex');
        hash.update(piece.subarray(0, length));
        at += length;
      }
    } finally {
      closeSync(file.fd);
    }
  }

  /** A program or library, unpacked where only a gzipped one is there. Null for none, and for what does not unpack. */
  program(name: string): MappedFile | null {
    const plain = this.open(name);
    if (plain !== null) return plain;
    const packed = this.open(`${name}.gz`);
    if (packed === null) return null;
    try {
      if (packed.source.size > MAX_UNPACKED) return null;
      const source: ByteSource = sourceOfBuffer(
        gunzipSync(packed.source.read(0, packed.source.size), { maxOutputLength: MAX_UNPACKED }),
      );
      return { source, close: () => {} };
    } catch {
      return null;
    } finally {
      packed.close();
    }
  }
}

/** The folder that a capture's one lies in, where several share their programs; null at the root. */
export const parentFiles = (files: CaptureFiles): CaptureFiles | null => {
  const folder = realpathSync(files.folder);
  return dirname(folder) === folder ? null : new CaptureFiles(dirname(folder));
};

/** The name under which a mapped file is kept; null for what has no name of its own. */
export const keptName = (path: string): string | null => {
  const name = basename(path);
  return path.startsWith('/') && name !== '' && name !== '.' && name !== '..' ? name : null;
};
