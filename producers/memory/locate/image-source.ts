import { closeSync, fstatSync, openSync, readSync, type Stats, statSync } from 'node:fs';
import { type ByteSource, sourceOfFile } from '../elf/byte-source.js';
import { type DebugSearch, downloadFolders } from '../elf/debug-file.js';
import { openRegularFile, type RegularFile } from '../elf/regular-file.js';
import type { Mapping } from './proc-files.js';

/** A file behind a mapping, open until it is closed. */
export interface MappedFile {
  readonly source: ByteSource;
  /** The same for the same unchanged file within the same file system as another process sees it; absent if that is not known. */
  readonly identity?: string;
  close(): void;
}

/** Where the mappings of a process and what they hold come from: the live process, or a capture of one. */
export interface ImageSource {
  /** Text of `/proc/PID/maps`. Throws the errors of read(2). */
  maps(): string;
  /** Files that may be the mapping's, the likeliest first; each is closed by who took it. */
  files(mapping: Mapping): Iterable<MappedFile>;
  /** Where separate debug files of the mapping's file may lie; null if nowhere. */
  debugSearch(mapping: Mapping): DebugSearch | null;
  /** Memory from `address`; fewer bytes, or none, where it cannot be read. */
  memory(address: number, length: number): Buffer;
  close(): void;
}

/** No process has so many mappings; the text of those beyond is left out. */
const MAX_MAPS = 32 * 1024 * 1024;

const readMaps = (path: string): string => {
  const fd = openSync(path, 'r');
  const chunks: Buffer[] = [];
  try {
    for (let length = 0; length < MAX_MAPS; ) {
      const chunk = Buffer.allocUnsafe(64 * 1024);
      const got = readSync(fd, chunk);
      if (got === 0) break;
      chunks.push(chunk.subarray(0, got));
      length += got;
    }
  } finally {
    closeSync(fd);
  }
  return Buffer.concat(chunks).toString('utf8');
};

const rangeOf = ({ start, end }: Mapping): string => `${start.toString(16)}-${end.toString(16)}`;

/** major:minor as `maps` prints it, from the number that stat gives. */
const deviceOf = (dev: number): string => {
  const [low, high] = [dev % 2 ** 32, Math.floor(dev / 2 ** 32)];
  const major = ((low >>> 8) & 0xfff) | (high & ~0xfff);
  const minor = (low & 0xff) | ((low >>> 12) & ~0xff);
  return `${major.toString(16).padStart(2, '0')}:${minor.toString(16).padStart(2, '0')}`;
};

/** Overlays and some file systems tell one device in `maps` and another to stat: one without a number of its own. */
const sameDevice = (dev: number, mapping: Mapping): boolean => {
  const device = deviceOf(dev);
  return device === mapping.device || device.startsWith('00:');
};

/** Device, inode and times are the kernel's to give. The root tells whose debug files were looked for. */
const identityOf = ({ fd }: RegularFile, root: string): string => {
  const { dev, ino, size, mtimeNs, ctimeNs } = fstatSync(fd, { bigint: true });
  return [root, dev, ino, size, mtimeNs, ctimeNs].join(':');
};

/** A live process, read through /proc. */
export const liveImageSource = (pid: number): ImageSource => {
  const proc = `/proc/${pid}`;
  let mem = -1;
  const rootIdentity = (): string => {
    const { dev, ino } = statSync(`${proc}/root/`, { bigint: true });
    return `${dev}:${ino}`;
  };
  const open = (path: string, accept: (stat: Stats) => boolean): MappedFile | null => {
    const file = openRegularFile(path);
    if (file === null) return null;
    const close = (): void => closeSync(file.fd);
    try {
      if (accept(file.stat))
        return { source: sourceOfFile(file.fd), identity: identityOf(file, rootIdentity()), close };
    } catch {
      // The process has just ended.
    }
    close();
    return null;
  };
  const unchanged = (mapping: Mapping): boolean => {
    try {
      return readMaps(`${proc}/maps`).includes(`${rangeOf(mapping)} `);
    } catch {
      return false;
    }
  };
  return {
    maps: () => readMaps(`${proc}/maps`),
    *files(mapping) {
      // This leads to the mapped file itself, deleted or replaced or in memory only; on an overlay its inode may be told differently.
      const mapped = open(
        `${proc}/map_files/${rangeOf(mapping)}`,
        ({ ino }) => ino === mapping.inode || unchanged(mapping),
      );
      if (mapped !== null) yield mapped;
      // Not everybody may use it. By now the path may name another file.
      for (const path of [`${proc}/root${mapping.path}`, `${proc}/exe`]) {
        const named = open(path, ({ ino, dev }) => ino === mapping.inode && sameDevice(dev, mapping));
        if (named !== null) yield named;
      }
    },
    debugSearch: (mapping) => ({ path: mapping.path, roots: [`${proc}/root`, ''], downloads: downloadFolders() }),
    memory(address, length) {
      const bytes = Buffer.alloc(length);
      try {
        if (mem < 0) mem = openSync(`${proc}/mem`, 'r');
        return bytes.subarray(0, readSync(mem, bytes, 0, length, address));
      } catch {
        return bytes.subarray(0, 0);
      }
    },
    close() {
      if (mem >= 0) closeSync(mem);
      mem = -1;
    },
  };
};
