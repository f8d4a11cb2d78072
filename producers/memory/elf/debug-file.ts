import { closeSync } from 'node:fs';
import { homedir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { type ByteSource, sourceOfFile, stringAt } from './byte-source.js';
import { crc32 } from './crc32.js';
import { type Elf, parseElf, sectionBytes } from './elf.js';
import { resolveInRoot } from './in-root.js';
import { openRegularFile } from './regular-file.js';

const GLOBAL = '/usr/lib/debug';
const NAME = /^[^/\0]{1,255}$/;
const MAX_NAME = 4096;

/** Where debug files of a program may lie. */
export interface DebugSearch {
  /** Path of the program file as its process sees it. */
  readonly path: string;
  /** Prefixes of file systems, searched in this order: `/proc/PID/root`, '' for our own. */
  readonly roots: readonly string[];
  /** Folders laid out as `BUILDID/debuginfo`, as debuginfod's client keeps its downloads. */
  readonly downloads: readonly string[];
}

/** A file that holds debug information of another; its descriptor is open until `close`. */
export interface DebugFile {
  readonly path: string;
  readonly elf: Elf;
  close(): void;
}

/** Folders in which debuginfod's client keeps what it has downloaded. Nothing is downloaded here. */
export const downloadFolders = (env: NodeJS.ProcessEnv = process.env): string[] => {
  const named = env['DEBUGINFOD_CACHE_PATH'];
  const home = env['XDG_CACHE_HOME'] ?? join(env['HOME'] ?? homedir(), '.cache');
  return named === undefined || named === '' ? [join(home, 'debuginfod_client')] : [named];
};

const open = (root: string, path: string): DebugFile | null => {
  const resolved = resolveInRoot(root, path);
  const file = resolved === null ? null : openRegularFile(resolved);
  if (file === null) return null;
  try {
    return { path, elf: parseElf(sourceOfFile(file.fd)), close: () => closeSync(file.fd) };
  } catch {
    closeSync(file.fd);
    return null;
  }
};

/** The first candidate that is accepted; the others are closed again. */
const first = (
  candidates: Iterable<readonly [root: string, path: string]>,
  accept: (elf: Elf) => boolean,
): DebugFile | null => {
  for (const [root, path] of candidates) {
    const file = open(root, path);
    if (file === null) continue;
    if (accept(file.elf)) return file;
    file.close();
  }
  return null;
};

export const hasDebugInfo = (elf: Elf): boolean =>
  elf.sections.some(({ name, size }) => (name === '.debug_info' || name === '.zdebug_info') && size > 0);

/** A prelinked program has other addresses than its debug file: what that says would be wrong here. */
export const sameAddresses = (a: Elf, b: Elf): boolean =>
  a.machine === b.machine &&
  a.loads.length === b.loads.length &&
  a.loads.every(({ vaddr, memorySize }, i) => vaddr === b.loads[i]!.vaddr && memorySize === b.loads[i]!.memorySize);

const byBuildId = function* (buildId: string, search: DebugSearch): Generator<readonly [string, string]> {
  if (buildId.length < 4) return;
  const path = `${GLOBAL}/.build-id/${buildId.slice(0, 2)}/${buildId.slice(2)}.debug`;
  for (const root of search.roots) yield [root, path];
  for (const folder of search.downloads) yield ['', `${folder}/${buildId}/debuginfo`];
};

const inFolders = function* (name: string, search: DebugSearch): Generator<readonly [string, string]> {
  const folder = dirname(search.path);
  for (const root of search.roots) {
    yield [root, join(folder, name)];
    yield [root, join(folder, '.debug', name)];
    yield [root, join(GLOBAL, folder, name)];
  }
};

/** What `.gnu_debuglink` names: a file without folder and the CRC-32 of its bytes. Null if it names none. */
export const debugLink = (elf: Elf): { readonly name: string; readonly crc: number } | null => {
  const bytes = sectionBytes(elf, '.gnu_debuglink');
  const name = stringAt(bytes, 0, MAX_NAME);
  const at = Math.ceil((Buffer.byteLength(name) + 1) / 4) * 4;
  return !NAME.test(name) || name === '.' || name === '..' || at + 4 > bytes.length
    ? null
    : { name, crc: bytes.readUInt32LE(at) };
};

const CHUNK = 1024 * 1024;

const crcOf = (source: ByteSource): number => {
  let crc = 0;
  for (let at = 0; at < source.size; at += CHUNK) {
    const bytes = source.read(at, CHUNK);
    if (bytes.length === 0) break;
    crc = crc32(bytes, crc);
  }
  return crc;
};

/**
 * The separate file with a program's symbols and debug information: by build id, else by `.gnu_debuglink` (GDB manual, "Debugging
 * Information in Separate Files"). One whose build id or addresses differ is never taken, nor one without build id whose CRC differs.
 */
export const findDebugFile = (elf: Elf, search: DebugSearch): DebugFile | null => {
  const fits = (other: Elf): boolean =>
    sameAddresses(elf, other) && other.sections.some(({ name }) => name === '.symtab' || /^\.z?debug_info$/.test(name));
  const found = first(byBuildId(elf.buildId, search), (other) => other.buildId === elf.buildId && fits(other));
  if (found !== null) return found;
  const link = debugLink(elf);
  if (link === null) return null;
  return first(inFolders(link.name, search), (other) => {
    if (!fits(other)) return false;
    // The build id says more than 32 bits, and costs no reading of the whole file.
    if (elf.buildId !== '' || other.buildId !== '') return elf.buildId === other.buildId;
    return crcOf(other.source) === link.crc;
  });
};

/** The file that several debug files share (`.gnu_debugaltlink`, made by dwz); null if there is none. Its build id must be the one named. */
export const findAlternateFile = (debug: Elf, debugPath: string, search: DebugSearch): DebugFile | null => {
  const bytes = sectionBytes(debug, '.gnu_debugaltlink');
  const name = stringAt(bytes, 0, MAX_NAME);
  const buildId = bytes.toString('hex', Buffer.byteLength(name) + 1);
  if (name === '' || buildId.length < 4 || buildId.length > 128) return null;
  const named = name.startsWith('/') ? name : join(dirname(debugPath), name);
  const candidates = [...search.roots.map((root) => [root, named] as const), ...byBuildId(buildId, search)];
  return first(candidates, (other) => other.buildId === buildId && hasDebugInfo(other));
};

const hasSplitInfo = (elf: Elf): boolean =>
  elf.sections.some(({ name, size }) => name === '.debug_info.dwo' && size > 0);

/**
 * A file that a program's debug information was split into (DWARF 5, 7.3.2): where the compiler put it, or beside the program. An
 * empty name stands for the package of all of them, `PROGRAM.dwp`. Whether it is the right one its contents must tell.
 */
export const findSplitFile = (name: string, search: DebugSearch): DebugFile | null => {
  const paths = name === '' ? [`${search.path}.dwp`] : [name, join(dirname(search.path), basename(name))];
  const candidates = search.roots.flatMap((root) => paths.map((path) => [root, path] as const));
  return first(
    candidates.filter(([, path]) => path.startsWith('/')),
    hasSplitInfo,
  );
};
