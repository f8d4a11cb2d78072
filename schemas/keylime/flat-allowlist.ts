import { AttestreamError } from '../errors.js';
import type { Remarks } from './remark.js';
import type { RuntimePolicy } from './runtime-policy.js';

const KEYRING = '%keyring:';

/** Lines that say something: not empty, not a remark. Numbered from 1. */
const linesOf = (text: string): readonly { readonly line: string; readonly number: number }[] =>
  text
    .split(/\r\n|\n|\r/)
    .map((line, i) => ({ line: line.trim(), number: i + 1 }))
    .filter(({ line }) => line !== '' && !line.startsWith('#'));

/**
 * An allowlist as text: `DIGEST PATH` a line, as sha256sum prints, or `DIGEST %keyring:NAME` for a key. Throws POLICY_INVALID
 * where no line is one.
 */
export const readFlatAllowlist = (text: string, file: string, remarks: Remarks): RuntimePolicy => {
  const digests = new Map<string, string[]>();
  const keyrings = new Map<string, string[]>();
  for (const { line, number } of linesOf(text)) {
    const [, digest, name] = /^([0-9a-fA-F]+)\s+(.+)$/.exec(line) ?? [];
    if (digest === undefined || name === undefined) {
      remarks.lost(`line ${number}`, 'is not a digest and a path');
      continue;
    }
    const [lists, key] = name.startsWith(KEYRING) ? [keyrings, name.slice(KEYRING.length)] : [digests, name];
    const known = lists.get(key);
    if (known === undefined) lists.set(key, [digest]);
    else known.push(digest);
  }
  if (digests.size + keyrings.size === 0)
    throw new AttestreamError('POLICY_INVALID', `${file}: no line is a digest and a path: it is no allowlist`, {
      path: file,
    });
  return { digests, keyrings, excludes: [], buffers: new Map(), ignoredKeyrings: [], keys: [] };
};

/** Excludes as older versions keep them: one expression a line. */
export const readExcludeFile = (text: string): readonly string[] => linesOf(text).map(({ line }) => line);
