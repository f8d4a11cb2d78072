/** TCG algorithm identifiers (TCG Algorithm Registry, table 3), by the names that tpm2-tools use too. */
export const TPM_ALG = {
  rsa: 0x0001,
  sha1: 0x0004,
  hmac: 0x0005,
  aes: 0x0006,
  mgf1: 0x0007,
  keyedhash: 0x0008,
  xor: 0x000a,
  sha256: 0x000b,
  sha384: 0x000c,
  sha512: 0x000d,
  null: 0x0010,
  sm3_256: 0x0012,
  sm4: 0x0013,
  rsassa: 0x0014,
  rsaes: 0x0015,
  rsapss: 0x0016,
  oaep: 0x0017,
  ecdsa: 0x0018,
  ecdh: 0x0019,
  ecdaa: 0x001a,
  sm2: 0x001b,
  ecschnorr: 0x001c,
  ecmqv: 0x001d,
  kdf1_sp800_56a: 0x0020,
  kdf2: 0x0021,
  kdf1_sp800_108: 0x0022,
  ecc: 0x0023,
  symcipher: 0x0025,
  camellia: 0x0026,
  sha3_256: 0x0027,
  sha3_384: 0x0028,
  sha3_512: 0x0029,
  cmac: 0x003f,
  ctr: 0x0040,
  ofb: 0x0041,
  cbc: 0x0042,
  cfb: 0x0043,
  ecb: 0x0044,
} as const;

const NAMES: ReadonlyMap<number, string> = new Map(Object.entries(TPM_ALG).map(([name, id]) => [id, name]));

/** `sha256`, `ecdsa`, …; an unknown id as `0x1234`. */
export const algorithmName = (id: number): string => NAMES.get(id) ?? `0x${id.toString(16).padStart(4, '0')}`;

/** The id of a name as `algorithmName` gives it, unknown ones included; null if it is neither. */
export const algorithmId = (name: string): number | null => {
  if (Object.hasOwn(TPM_ALG, name)) return TPM_ALG[name as keyof typeof TPM_ALG];
  return /^0x[0-9a-f]{4}$/.test(name) ? Number(name) : null;
};

const HASH_SIZES: Readonly<Record<string, number>> = {
  sha1: 20,
  sha256: 32,
  sha384: 48,
  sha512: 64,
  sm3_256: 32,
  sha3_256: 32,
  sha3_384: 48,
  sha3_512: 64,
};

/** Bytes of a digest; null for what is not a hash or not known. */
export const hashSize = (name: string): number | null =>
  Object.hasOwn(HASH_SIZES, name) ? (HASH_SIZES[name] ?? null) : null;

/** The largest digest there is (SHA-512), by which every digest field is bounded. */
export const MAX_DIGEST = 64;

/** The hashes that are computed here; others are named but never trusted. Node's names are the same. */
export const HASHES = ['sha1', 'sha256', 'sha384', 'sha512'] as const;
export type HashName = (typeof HASHES)[number];

export const isHashName = (name: string): name is HashName => (HASHES as readonly string[]).includes(name);

/** Elliptic curves (TCG Algorithm Registry, table 4): id, name, JWK name, bytes of a coordinate. */
export const CURVES = [
  { id: 0x0003, name: 'nistp256', jwk: 'P-256', node: 'prime256v1', size: 32 },
  { id: 0x0004, name: 'nistp384', jwk: 'P-384', node: 'secp384r1', size: 48 },
  { id: 0x0005, name: 'nistp521', jwk: 'P-521', node: 'secp521r1', size: 66 },
] as const;

export type Curve = (typeof CURVES)[number];

export const curveOf = (key: number | string): Curve | null =>
  CURVES.find(({ id, name, jwk, node }) => key === id || key === name || key === jwk || key === node) ?? null;
