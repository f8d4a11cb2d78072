import { globMatches } from '../policy/glob.js';
import type { DenyRule, FileReference, HostPolicy, SignerReference, Window } from '../policy/host/host-policy.js';
import { expressionOf } from './exclude-pattern.js';
import type { Remarks } from './remark.js';
import { ALGORITHM_BY_DIGITS, isKeyringName, RUNTIME_POLICY_VERSION } from './runtime-policy.js';

type Lists = Record<string, string[]>;

/** Keys of a policy of hosts of which Keylime's runtime policy knows nothing, and what that means there. */
const WITHOUT_PLACE: Readonly<Record<string, string>> = {
  description: 'has no place there',
  firmware: 'registers of the firmware are no part of it',
  agent: 'nothing has to have been measured there; its digests are listed',
  violations: "Keylime's own configuration says what violations are",
  paddedBanks: 'banks of padded SHA-1 are not known there',
  certify: 'there is one attestation key',
  staleAfter: "it is the verifier's configuration",
  selection: "it is the verifier's configuration",
  safeClock: 'is not looked at there',
  tpmFirmware: 'is not looked at there',
  bindingPcr: 'there is no binding list',
};

const isTimed = ({ from, until }: Window): boolean => from !== null || until !== null;

/** Keylime's runtime policy that judges a list as this policy does, as far as it can: see the remarks. */
export const runtimePolicyOf = (policy: HostPolicy, remarks: Remarks): Readonly<Record<string, unknown>> => {
  for (const [key, why] of Object.entries(WITHOUT_PLACE))
    if (policy.document[key] !== undefined) remarks[key === 'description' ? 'note' : 'lost'](key, why);
  if (policy.coverage !== null) remarks.lost('coverage', 'Keylime does not ask what the kernel measures');
  if (policy.unlisted !== 'contraindicated')
    remarks.lost('unlisted', `Keylime fails what is not listed, where this policy says "${policy.unlisted}"`);
  if (policy.unhashable !== 'contraindicated') remarks.lost('unhashable', 'Keylime fails what has no digest');
  if (policy.files === null)
    remarks.lost('files', 'this policy judges no files; Keylime fails all that are not listed');
  if (policy.deny.length > 0)
    remarks.lost(
      'deny',
      'there is no deny list: what is listed and denied was left out, and what is signed is not denied',
    );
  const { digests, keyrings, buffers } = listsOf(policy, remarks);
  const { excludes, ignored } = exclusionsOf(policy);
  return {
    meta: { version: RUNTIME_POLICY_VERSION, generator: 0 },
    release: 0,
    digests,
    excludes,
    keyrings,
    ima: { ignored_keyrings: ignored, log_hash_alg: 'sha1', dm_policy: null },
    'ima-buf': buffers,
    'verification-keys': keyringOf(policy.signers, remarks),
  };
};

/** Each reference with its digest, the required agent's too. */
function* referencesOf(policy: HostPolicy): Generator<readonly [digest: string, reference: FileReference]> {
  for (const [digest, references] of policy.files ?? []) for (const reference of references) yield [digest, reference];
  for (const { path, digests } of policy.agent)
    for (const digest of digests) yield [digest, { path, from: null, until: null }];
}

const isDenied = (deny: readonly DenyRule[], digest: string, path: string): boolean =>
  deny.some(
    (rule) => (rule.digest === null || rule.digest === digest) && (rule.path === null || globMatches(rule.path, path)),
  );

/** Why Keylime cannot list it; undefined if it can. */
const unlistable = (digest: string, hex: string, reference: FileReference): string | undefined => {
  if (/[*?]/.test(reference.path)) return 'is a glob, and Keylime lists whole paths';
  if (isTimed(reference)) return 'holds for a time, and Keylime lists for good';
  if (digest.startsWith('verity:')) return 'is a digest of fs-verity, whose templates Keylime does not read';
  return hex.length < 40 ? 'is a digest shorter than Keylime takes' : undefined;
};

const listsOf = (policy: HostPolicy, remarks: Remarks): { digests: Lists; keyrings: Lists; buffers: Lists } => {
  const lists = { digests: new Map(), keyrings: new Map(), buffers: new Map() } as Record<
    'digests' | 'keyrings' | 'buffers',
    Map<string, Set<string>>
  >;
  for (const [digest, reference] of referencesOf(policy)) {
    const { path } = reference;
    const at = `files[${JSON.stringify(path)}]`;
    const hex = digest.slice(digest.lastIndexOf(':') + 1);
    const algorithm = digest.slice(0, digest.lastIndexOf(':'));
    const refused = unlistable(digest, hex, reference);
    if (refused !== undefined) remarks.lost(at, `${digest} ${refused}`);
    if (refused !== undefined || isDenied(policy.deny, digest, path)) continue;
    if (ALGORITHM_BY_DIGITS[hex.length] !== algorithm)
      remarks.note(at, `Keylime does not tell ${algorithm} from other digests of that length`);
    if (algorithm === 'sha1' && policy.weakDigests === 'warning')
      remarks.lost(at, 'Keylime takes a digest of SHA-1 without a warning');
    // Keylime has a list for each kind of entry, and a name alone does not always say which it is.
    const kinds = path.startsWith('/') || path === 'boot_aggregate' ? (['digests'] as const) : kindsOf(path);
    for (const kind of kinds) {
      const known = lists[kind].get(path);
      if (known === undefined) lists[kind].set(path, new Set([hex]));
      else known.add(hex);
    }
  }
  const plain = (map: ReadonlyMap<string, ReadonlySet<string>>): Lists =>
    Object.fromEntries([...map].map(([path, hexes]) => [path, [...hexes]]));
  return { digests: plain(lists.digests), keyrings: plain(lists.keyrings), buffers: plain(lists.buffers) };
};

const kindsOf = (name: string): readonly ('digests' | 'keyrings' | 'buffers')[] =>
  isKeyringName(name) ? ['keyrings'] : ['digests', 'keyrings', 'buffers'];

const exclusionsOf = ({ exclude }: HostPolicy): { excludes: string[]; ignored: string[] } => {
  const excludes: string[] = [];
  const ignored: string[] = [];
  for (const { form, text } of exclude)
    if (form === 'regex') excludes.push(text);
    else if (isKeyringName(text) && !/[*?]/.test(text)) ignored.push(text);
    else excludes.push(expressionOf(text));
  return { excludes, ignored };
};

/** A keyring as JSON in a text; empty without keys. */
const keyringOf = (signers: readonly SignerReference[], remarks: Remarks): string => {
  const keyids: number[] = [];
  const pubkeys: string[] = [];
  for (const signer of signers) {
    const at = `signers[${JSON.stringify(signer.name)}]`;
    if (isTimed(signer)) remarks.lost(at, 'holds for a time, and Keylime takes keys for good');
    else if (!signer.paths.includes('*')) remarks.lost(at, 'is for some paths, and Keylime takes keys for all');
    else
      for (const id of signer.key.ids) {
        keyids.push(Number.parseInt(id, 16));
        pubkeys.push(signer.key.key.export({ type: 'spki', format: 'der' }).toString('base64'));
      }
  }
  return keyids.length === 0 ? '' : JSON.stringify({ meta: { version: 1 }, keyids, pubkeys });
};
