import { AttestreamError } from '../../../schemas/errors.js';
import type { CaptureFiles } from './capture-files.js';

export const MANIFEST = 'capture.json';
const MAX_MANIFEST = 8 * 1024 * 1024;
const MAX_PROBLEMS = 32;

/** What `capture.json` says of a capture. */
export interface Manifest {
  /** Real time of the look, µs since 1970; 0 if it is not told. */
  readonly at: number;
  /** SHA-256 in hex of each file by its path within the folder, or within the one above (`../…`). */
  readonly hashes: Readonly<Record<string, string>>;
  /** In hex by the path that the process sees. */
  readonly buildIds: Readonly<Record<string, string>>;
  /** Where a mapped file is kept, if not under its base name. */
  readonly files: Readonly<Record<string, string>>;
}

const textRecord = (value: unknown): Readonly<Record<string, string>> => {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return {};
  return Object.fromEntries(
    Object.entries(value).filter((pair): pair is [string, string] => typeof pair[1] === 'string'),
  );
};

/** Null if the folder has none. Throws CAPTURE_INVALID for one that is no JSON object. */
export const readManifest = (files: CaptureFiles): Manifest | null => {
  const text = files.read(MANIFEST, MAX_MANIFEST)?.toString('utf8');
  if (text === undefined) return null;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new AttestreamError('CAPTURE_INVALID', `${MANIFEST} is not JSON`, { path: files.folder }, { cause });
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new AttestreamError('CAPTURE_INVALID', `${MANIFEST} holds no object`, { path: files.folder });
  const { at, hashes, buildIds, files: kept } = value as Record<string, unknown>;
  return {
    at: typeof at === 'number' && Number.isSafeInteger(at) && at >= 0 ? at : 0,
    hashes: textRecord(hashes),
    buildIds: textRecord(buildIds),
    files: textRecord(kept),
  };
};

/** A file outside of `bin` and `lib` that decoding reads. */
const evidential = (name: string): boolean =>
  /^(?:maps|auxv|cmdline|stat|status|pid)$|^\d+\.(?:syscall|schedstat|comm|stack|stack\.addr)$|^mem-/.test(name);

/**
 * What does not agree with the hashes that were written when the evidence was taken; none if all does. Files of the folder
 * above are looked up through `parent`.
 */
export const tamperedWith = (files: CaptureFiles, parent: CaptureFiles | null, manifest: Manifest): string[] => {
  const problems: string[] = [];
  for (const [path, expected] of Object.entries(manifest.hashes)) {
    const above = path.startsWith('../');
    const found = above ? parent?.sha256(path.slice(3)) : files.sha256(path);
    if (found == null) problems.push(`${path} is missing`);
    else if (found !== expected.toLowerCase())
      problems.push(`${path} is not what was captured (its SHA-256 is ${found})`);
  }
  for (const name of files.list())
    if (evidential(name) && manifest.hashes[name] === undefined)
      problems.push(`${name} was not there when it was captured`);
  const more = problems.length - MAX_PROBLEMS;
  return more > 0 ? [...problems.slice(0, MAX_PROBLEMS), `and ${more} more`] : problems;
};
