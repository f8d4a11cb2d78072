import { isAttestreamError } from '../../errors.js';
import { type SigningKey, signingKey } from '../../ima/signing-key.js';
import { didYouMean } from '../../suggest.js';
import { hashSize } from '../../tpm/algorithms.js';
import { isRecord } from '../document.js';
import { refusedName } from '../names.js';
import type { Path, Problems } from '../problems.js';
import { checkKeys } from '../rules.js';
import type {
  DenyRule,
  FileReference,
  FirmwareReference,
  RequiredFile,
  SignerReference,
  Window,
} from './host-policy.js';
import { referenceDigest } from './reference-digest.js';

type Keys = Readonly<Record<string, unknown>>;

/** Most digests that one policy may hold. */
const MAX_DIGESTS = 500_000;

/** RFC 3339 with a zone: a window must mean the same everywhere. */
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?(?:Z|[+-]\d\d:\d\d)$/;

const readTime = (value: unknown, path: Path, problems: Problems): number | null => {
  if (value === undefined || value === null) return null;
  const ms = typeof value === 'string' && TIME.test(value) ? Date.parse(value) : Number.NaN;
  if (Number.isFinite(ms)) return ms * 1000;
  problems.add(path, `${JSON.stringify(value)} is no time with a zone`, 'write 2026-01-31T12:00:00Z');
  return null;
};

const readWindow = (keys: Keys, path: Path, problems: Problems): Window => {
  const from = readTime(keys['from'], [...path, 'from'], problems);
  const until = readTime(keys['until'], [...path, 'until'], problems);
  if (from !== null && until !== null && from >= until) problems.add([...path, 'until'], 'not after "from"');
  return { from, until };
};

export const readMapping = (value: unknown, path: Path, problems: Problems, form: string): Keys => {
  if (isRecord(value)) return value;
  if (value !== undefined && value !== null) problems.add(path, 'not a mapping', `write ${form}`);
  return {};
};

/** A list, or a single value as a list of one. */
export const readList = (value: unknown): readonly unknown[] =>
  value === undefined || value === null ? [] : Array.isArray(value) ? value : [value];

/** Globs over paths; anything that cannot be one is reported, at `place` if it is given. */
export const readGlobs = (value: unknown, path: Path, problems: Problems, place?: Path): readonly string[] =>
  readList(value).flatMap((glob, i) => {
    const refused = typeof glob === 'string' ? refusedName(glob) : 'not a path';
    if (refused === undefined) return [glob as string];
    problems.add(place ?? (Array.isArray(value) ? [...path, i] : path), refused, 'write a path such as /usr/bin/*');
    return [];
  });

const readDigest = (value: unknown, path: Path, problems: Problems): string | null => {
  const digest = typeof value === 'string' ? referenceDigest(value) : undefined;
  if (digest !== undefined) return digest;
  problems.add(path, `${JSON.stringify(value)} is no digest`, 'write sha256:HEX or verity:sha256:HEX');
  return null;
};

/** `/usr/bin/*: sha256:…`, or a list of digests and of {digest, from, until}. */
export const readFiles = (
  value: unknown,
  path: Path,
  problems: Problems,
): ReadonlyMap<string, readonly FileReference[]> | null => {
  if (value === undefined || value === null) return null;
  const files = new Map<string, FileReference[]>();
  let count = 0;
  for (const [glob, digests] of Object.entries(readMapping(value, path, problems, 'PATH: sha256:HEX'))) {
    const at = [...path, glob];
    const refused = refusedName(glob);
    if (refused !== undefined) problems.add(at, refused);
    for (const [i, one] of readList(digests).entries()) {
      const place = Array.isArray(digests) ? [...at, i] : at;
      const keys = isRecord(one) ? one : { digest: one };
      checkKeys(keys, ['digest', 'from', 'until'], place, problems);
      const digest = readDigest(keys['digest'], isRecord(one) ? [...place, 'digest'] : place, problems);
      if (digest === null) continue;
      const known = files.get(digest);
      const reference = { path: glob, ...readWindow(keys, place, problems) };
      if (known === undefined) files.set(digest, [reference]);
      else known.push(reference);
      if (++count === MAX_DIGESTS + 1) problems.add(path, `more than ${MAX_DIGESTS} digests`);
    }
  }
  return files;
};

/** `[{name, pcrs: {sha256: {"7": HEX}}, from, until}]` */
export const readFirmware = (value: unknown, path: Path, problems: Problems): readonly FirmwareReference[] =>
  readList(value).map((one, i) => {
    const at = [...path, i];
    const keys = readMapping(one, at, problems, '{name: …, pcrs: {sha256: {"0": HEX}}}');
    checkKeys(keys, ['name', 'pcrs', 'from', 'until'], at, problems);
    const values = new Map<string, readonly string[]>();
    for (const [bank, registers] of Object.entries(
      readMapping(keys['pcrs'], [...at, 'pcrs'], problems, '{sha256: …}'),
    )) {
      const size = hashSize(bank);
      if (size === null)
        problems.add(
          [...at, 'pcrs', bank],
          `no bank "${bank}"`,
          didYouMean(bank, ['sha1', 'sha256', 'sha384', 'sha512']),
        );
      const form = '{"0": HEX}';
      for (const [pcr, accepted] of Object.entries(readMapping(registers, [...at, 'pcrs', bank], problems, form))) {
        const place = [...at, 'pcrs', bank, pcr];
        if (!/^(?:[0-9]|1[0-9]|2[0-3])$/.test(pcr)) problems.add(place, 'no register', 'registers are 0 to 23');
        const hex = readList(accepted).map((word) => String(word).toLowerCase());
        if (hex.length === 0 || hex.some((word) => !/^[0-9a-f]+$/.test(word) || word.length !== 2 * (size ?? 0)))
          problems.add(place, `not ${2 * (size ?? 32)} hex digits`, 'write them in quotes');
        values.set(`${bank}:${pcr}`, hex);
      }
    }
    if (values.size === 0) problems.add([...at, 'pcrs'], 'names no register', 'write {sha256: {"0": HEX}}');
    return { name: String(keys['name'] ?? `firmware ${i + 1}`), values, ...readWindow(keys, at, problems) };
  });

/** `id`: one by which signatures name the key although it follows neither from the key nor from a certificate. */
const readKey = (value: unknown, id: unknown, path: Path, problems: Problems): SigningKey | null => {
  const text = typeof value === 'string' ? value.trim() : '';
  const stated = typeof id === 'string' && /^[0-9a-f]{8}$/.test(id) ? [id] : [];
  if (id !== undefined && stated.length === 0) problems.add([...path.slice(0, -1), 'id'], 'not 8 hex digits in quotes');
  try {
    const key = signingKey(text.includes('BEGIN') ? Buffer.from(text) : Buffer.from(text, 'base64'));
    return { ...key, ids: [...new Set([...key.ids, ...stated])] };
  } catch (error) {
    if (!isAttestreamError(error)) throw error;
    problems.add(path, error.message, 'write PEM, or base64 of a certificate or a public key');
    return null;
  }
};

/** `[{name, key: PEM, id: HEX, paths: [/usr/*], from, until}]` */
export const readSigners = (value: unknown, path: Path, problems: Problems): readonly SignerReference[] =>
  readList(value).flatMap((one, i) => {
    const at = [...path, i];
    const keys = readMapping(one, at, problems, '{name: …, key: PEM}');
    checkKeys(keys, ['name', 'key', 'id', 'paths', 'from', 'until'], at, problems);
    const key = readKey(keys['key'], keys['id'], [...at, 'key'], problems);
    const paths = keys['paths'] === undefined ? ['*'] : readGlobs(keys['paths'], [...at, 'paths'], problems);
    const window = readWindow(keys, at, problems);
    return key === null ? [] : [{ name: String(keys['name'] ?? `signer ${i + 1}`), key, paths, ...window }];
  });

/** `[{digest, path, reason}]`, or digests alone. */
export const readDeny = (value: unknown, path: Path, problems: Problems): readonly DenyRule[] =>
  readList(value).map((one, i) => {
    const at = [...path, i];
    const keys = isRecord(one) ? one : { digest: one };
    checkKeys(keys, ['digest', 'path', 'reason'], at, problems);
    if (keys['digest'] === undefined && keys['path'] === undefined)
      problems.add(at, 'denies nothing', 'name a digest or a path');
    const digest = keys['digest'] === undefined ? null : readDigest(keys['digest'], [...at, 'digest'], problems);
    const glob = keys['path'] === undefined ? null : (readGlobs(keys['path'], [...at, 'path'], problems)[0] ?? null);
    return { digest, path: glob, reason: String(keys['reason'] ?? '') };
  });

/** `{PATH: digest or list of them}`: files that must have been measured. */
export const readRequired = (value: unknown, path: Path, problems: Problems): readonly RequiredFile[] =>
  Object.entries(readMapping(value, path, problems, '{/usr/lib/attestream/agent.mjs: sha256:HEX}')).map(
    ([glob, digests]) => {
      const found = readList(digests).map((one, i) => readDigest(one, [...path, glob, i], problems));
      if (found.length === 0) problems.add([...path, glob], 'no digest', 'write sha256:HEX');
      return { path: glob, digests: new Set(found.filter((digest) => digest !== null)) };
    },
  );
