import { AttestreamError } from '../errors.js';
import { readFlatAllowlist } from './flat-allowlist.js';
import type { Remarks } from './remark.js';
import {
  ALLOWLIST_VERSION,
  type DigestLists,
  RUNTIME_POLICY_VERSION,
  type RuntimePolicy,
  type VerificationKey,
} from './runtime-policy.js';

type Json = Readonly<Record<string, unknown>>;

/** What a file is: a runtime policy, or an allowlist of older versions as JSON or as text. */
export type KeylimeForm = 'runtime-policy' | 'json-allowlist' | 'flat-allowlist';

export interface ReadPolicy {
  readonly form: KeylimeForm;
  readonly policy: RuntimePolicy;
}

const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const fail = (file: string, what: string): never => {
  throw new AttestreamError('POLICY_INVALID', `${file}: ${what}`, { path: file });
};

const parseJson = (text: string, file: string): Json => {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    return fail(file, `not JSON: ${(error as Error).message}`);
  }
  return isObject(json) ? json : fail(file, 'not an object of JSON');
};

/** Reads what Keylime takes as runtime policy, also within a DSSE envelope, and its older allowlists. Throws POLICY_INVALID. */
export const readRuntimePolicy = (text: string, file: string, remarks: Remarks): ReadPolicy => {
  if (!text.trimStart().startsWith('{'))
    return { form: 'flat-allowlist', policy: readFlatAllowlist(text, file, remarks) };
  const json = parseJson(text, file);
  const { payload } = json;
  if (typeof payload !== 'string' || payload === '') return readJson(json, file, remarks);
  remarks.note('signatures', 'the signatures of the envelope were not checked');
  return readJson(parseJson(Buffer.from(payload, 'base64').toString('utf8'), file), file, remarks);
};

const KEYS = ['meta', 'release', 'digests', 'excludes', 'keyrings', 'ima', 'ima-buf', 'verification-keys'];
const LEGACY_KEYS = KEYS.map((key) => (key === 'digests' ? 'hashes' : key));
const IMA_KEYS = ['ignored_keyrings', 'log_hash_alg', 'dm_policy'];

const unknownKeys = (json: Json, known: readonly string[], prefix: string, remarks: Remarks): void => {
  for (const key of Object.keys(json))
    if (!known.includes(key)) remarks.lost(`${prefix}${key}`, 'is nothing that is known of policies of Keylime');
};

const readJson = (json: Json, file: string, remarks: Remarks): ReadPolicy => {
  const form = isObject(json['digests']) ? 'runtime-policy' : 'json-allowlist';
  const key = form === 'runtime-policy' ? 'digests' : 'hashes';
  if (!isObject(json[key])) return fail(file, 'holds neither "digests" nor "hashes": it is no policy of Keylime');
  unknownKeys(json, form === 'runtime-policy' ? KEYS : LEGACY_KEYS, '', remarks);
  readMeta(json, form === 'runtime-policy' ? RUNTIME_POLICY_VERSION : ALLOWLIST_VERSION, file, remarks);
  const ima = isObject(json['ima']) ? json['ima'] : {};
  unknownKeys(ima, IMA_KEYS, 'ima.', remarks);
  if (ima['dm_policy'] != null) remarks.lost('ima.dm_policy', 'rules for the device mapper have no place here');
  if (ima['log_hash_alg'] !== undefined)
    remarks.note('ima.log_hash_alg', 'is not needed: the list itself shows which hash its template digests are of');
  return {
    form,
    policy: {
      digests: readLists(json, key, remarks),
      excludes: readTexts(json['excludes'], 'excludes', remarks),
      keyrings: readLists(json, 'keyrings', remarks),
      buffers: readLists(json, 'ima-buf', remarks),
      ignoredKeyrings: readTexts(ima['ignored_keyrings'], 'ima.ignored_keyrings', remarks),
      keys: readKeys(json['verification-keys'], remarks),
    },
  };
};

const readMeta = ({ meta, release }: Json, newest: number, file: string, remarks: Remarks): void => {
  const version = isObject(meta) ? meta['version'] : undefined;
  if (version !== undefined && !(Number.isInteger(version) && Number(version) >= 0 && Number(version) <= newest))
    fail(file, `meta.version is ${JSON.stringify(version)}, and versions up to ${newest} are known`);
  for (const key of Object.keys(isObject(meta) ? meta : {}))
    if (key !== 'version') remarks.note(`meta.${key}`, 'says how the policy was made; there is no place for it');
  if (release !== undefined && release !== 0) remarks.note('release', 'numbers the policy; there is no place for it');
};

const readLists = (json: Json, key: string, remarks: Remarks): DigestLists => {
  const value = json[key] ?? {};
  if (!isObject(value)) {
    remarks.lost(key, 'is no object of lists of digests');
    return new Map();
  }
  return new Map(
    Object.entries(value).map(([name, digests]) => [
      name,
      readTexts(digests, `${key}[${JSON.stringify(name)}]`, remarks),
    ]),
  );
};

const readTexts = (value: unknown, at: string, remarks: Remarks): readonly string[] => {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) {
    remarks.lost(at, 'is no list');
    return [];
  }
  return value.filter((one, i): one is string => {
    if (typeof one === 'string') return true;
    remarks.lost(`${at}[${i}]`, 'is no text');
    return false;
  });
};

/** A keyring as JSON in a text, sometimes packed twice. */
const readKeys = (value: unknown, remarks: Remarks): readonly VerificationKey[] => {
  const at = 'verification-keys';
  let keyring = value;
  try {
    for (let i = 0; i < 2 && typeof keyring === 'string' && keyring !== ''; i++) keyring = JSON.parse(keyring);
  } catch {
    remarks.lost(at, 'is no JSON of a keyring');
    return [];
  }
  if (keyring == null || keyring === '' || (Array.isArray(keyring) && keyring.length === 0)) return [];
  if (!isObject(keyring)) {
    remarks.lost(at, 'is no keyring');
    return [];
  }
  const ids = Array.isArray(keyring['keyids']) ? (keyring['keyids'] as unknown[]) : [];
  return readTexts(keyring['pubkeys'], `${at}.pubkeys`, remarks).map((key, i) => {
    const id = ids[i];
    return { key, id: typeof id === 'number' && Number.isInteger(id) && id > 0 && id <= 0xffffffff ? id : null };
  });
};
