import { closeSync, openSync, readFileSync, readSync } from 'node:fs';
import { type ByteSource, sourceOfFile } from '../elf/byte-source.js';
import { type DebugSearch, downloadFolders } from '../elf/debug-file.js';
import { openRegularFile } from '../elf/regular-file.js';
import type { Mapping } from './proc-files.js';

/** A file behind a mapping, open until it is closed. */
export interface MappedFile {
  readonly source: ByteSource;
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

/** The path may name another file by now: only one with the mapping's inode is taken. */
const openMapped = (path: string, mapping: Mapping): MappedFile | null => {
  const file = openRegularFile(path);
  if (file === null) return null;
  const close = (): void => closeSync(file.fd);
  if (file.stat.ino === mapping.inode) return { source: sourceOfFile(file.fd), close };
  close();
  return null;
};

/** A live process, read through /proc. */
export const liveImageSource = (pid: number): ImageSource => {
  const proc = `/proc/${pid}`;
  let mem = -1;
  return {
    maps: () => readFileSync(`${proc}/maps`, 'latin1'),
    *files(mapping) {
      const range = `${mapping.start.toString(16)}-${mapping.end.toString(16)}`;
      for (const path of [`${proc}/root${mapping.path}`, `${proc}/exe`, `${proc}/map_files/${range}`]) {
        const opened = openMapped(path, mapping);
        if (opened !== null) yield opened;
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
