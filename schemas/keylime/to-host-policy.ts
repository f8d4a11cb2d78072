import { isAttestreamError } from '../errors.js';
import { signingKey } from '../ima/signing-key.js';
import { refusedName } from '../policy/names.js';
import { PathRegex } from '../policy/regex/path-regex.js';
import { RegexRefused } from '../policy/regex/syntax.js';
import { type Exclusion, exclusionOf } from './exclude-pattern.js';
import type { Remarks } from './remark.js';
import { ALGORITHM_BY_DIGITS, type DigestLists, type RuntimePolicy, type VerificationKey } from './runtime-policy.js';

/** A policy of hosts as a document (docs/policy.md). */
export type HostDocument = Readonly<Record<string, unknown>>;

interface Signer {
  readonly name: string;
  readonly key: string;
  id?: string;
}

/**
 * The policy of hosts that judges a list as Keylime does by this policy. What it cannot say is among the remarks; without it a list
 * is judged more strictly.
 */
export const hostDocumentOf = (policy: RuntimePolicy, id: string, remarks: Remarks): HostDocument => {
  const files = new Map<string, string[]>();
  addLists(files, policy.digests, 'digests', remarks);
  addLists(files, policy.keyrings, 'keyrings', remarks);
  addLists(files, policy.buffers, 'ima-buf', remarks);
  if (policy.digests.has('boot_aggregate'))
    remarks.note(
      'digests["boot_aggregate"]',
      'does not decide: the entry is held against the registers that are quoted',
    );
  if (policy.keyrings.size > 0)
    remarks.lost(
      'keyrings',
      'keys that the kernel loaded are accepted, but signatures by them explain no file: only signers do',
    );
  const signers = signersOf(policy.keys, remarks);
  const exclude = [...exclusionsOf(policy.excludes, remarks), ...ignoredOf(policy.ignoredKeyrings, remarks)];
  const isWeak = [...files.values()].some((digests) => digests.some((digest) => digest.startsWith('sha1:')));
  remarks.note('coverage', 'Keylime does not ask what the kernel measures: the policy says "coverage: none"');
  if (isWeak)
    remarks.note('weakDigests', 'some digests are SHA-1, which Keylime takes: the policy says "weakDigests: allow"');
  return {
    kind: 'host',
    id,
    files: Object.fromEntries([...files].map(([path, digests]) => [path, digests.length === 1 ? digests[0] : digests])),
    ...(signers.length === 0 ? {} : { signers }),
    ...(exclude.length === 0 ? {} : { exclude }),
    unlisted: 'contraindicated',
    coverage: 'none',
    ...(isWeak ? { weakDigests: 'allow' } : {}),
  };
};

/** Why a path cannot stand in a policy of hosts as it is. */
const refusedPath = (path: string, list: string): string | undefined => {
  if (path === '__proto__') return 'a name that is kept by JavaScript';
  if (/[*?]/.test(path)) return 'a path with "*" or "?" would stand for others too';
  if (list !== 'digests' && path.startsWith('/')) return 'would be taken for the path of a file';
  return refusedName(path);
};

const addLists = (files: Map<string, string[]>, lists: DigestLists, list: string, remarks: Remarks): void => {
  for (const [path, digests] of lists) {
    const at = `${list}[${JSON.stringify(path)}]`;
    const refused = refusedPath(path, list);
    if (refused !== undefined) {
      remarks.lost(at, refused);
      continue;
    }
    for (const digest of new Set(digests)) {
      const reference = referenceOf(digest, at, remarks);
      const known = files.get(path);
      if (reference === undefined) continue;
      if (known === undefined) files.set(path, [reference]);
      else if (!known.includes(reference)) known.push(reference);
    }
  }
};

const referenceOf = (digest: string, at: string, remarks: Remarks): string | undefined => {
  const algorithm = /^[0-9a-f]+$/.test(digest) ? ALGORITHM_BY_DIGITS[digest.length] : undefined;
  const shown = JSON.stringify(digest.slice(0, 140));
  if (algorithm === undefined) remarks.lost(at, `${shown} is no digest of SHA-1 or SHA-2 in lower-case hex`);
  else if (/^0+$/.test(digest))
    remarks.lost(at, 'a digest of zeros stands for files that could not be read, which are never taken for known');
  else return `${algorithm}:${digest}`;
  return undefined;
};

const exclusionsOf = (excludes: readonly string[], remarks: Remarks): Exclusion[] =>
  excludes.flatMap((expression, i) => {
    const at = `excludes[${i}]`;
    try {
      const exclusion = exclusionOf(expression);
      if (new PathRegex(expression).matches(''))
        remarks.note(at, `${JSON.stringify(expression)} matches every path: no file is judged`);
      return [exclusion];
    } catch (error) {
      if (!(error instanceof RegexRefused)) throw error;
      remarks.lost(at, `${JSON.stringify(expression)}: ${error.message}`);
      return [];
    }
  });

const ignoredOf = (keyrings: readonly string[], remarks: Remarks): string[] =>
  keyrings.flatMap((name, i) => {
    const at = `ima.ignored_keyrings[${i}]`;
    if (name === '*') remarks.lost(at, 'keys are told from other entries by their keyrings alone: name those');
    else {
      const refused = refusedPath(name, 'keyrings');
      if (refused === undefined) return [name];
      remarks.lost(at, `${JSON.stringify(name)}: ${refused}`);
    }
    return [];
  });

const signersOf = (keys: readonly VerificationKey[], remarks: Remarks): readonly Signer[] => {
  const signers: Signer[] = [];
  for (const [i, { key, id }] of keys.entries()) {
    let own: readonly string[];
    try {
      own = signingKey(Buffer.from(key, 'base64')).ids;
    } catch (error) {
      if (!isAttestreamError(error)) throw error;
      remarks.lost(`verification-keys.pubkeys[${i}]`, error.message);
      continue;
    }
    const stated = id === null ? own[0]! : id.toString(16).padStart(8, '0');
    const other = own.includes(stated) ? undefined : stated;
    const known = signers.find((signer) => signer.key === key && (other === undefined || signer.id === undefined));
    if (known === undefined)
      signers.push({ name: `keylime ${own[0]!}`, key, ...(other === undefined ? {} : { id: other }) });
    else if (other !== undefined) known.id = other;
  }
  return signers;
};
