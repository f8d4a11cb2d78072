/** TPMA_OBJECT (TPM 2.0 Library, part 2, 8.3). */
export const OBJECT_ATTRIBUTES = {
  fixedTPM: 0x2,
  stClear: 0x4,
  fixedParent: 0x10,
  sensitiveDataOrigin: 0x20,
  userWithAuth: 0x40,
  adminWithPolicy: 0x80,
  noDA: 0x400,
  encryptedDuplication: 0x800,
  restricted: 0x10000,
  decrypt: 0x20000,
  sign: 0x40000,
  x509sign: 0x80000,
} as const;

export type ObjectAttribute = keyof typeof OBJECT_ATTRIBUTES;

export const attributeNames = (attributes: number): readonly string[] =>
  Object.entries(OBJECT_ATTRIBUTES)
    .filter(([, bit]) => (attributes & bit) !== 0)
    .map(([name]) => name);

/**
 * fixedTPM, fixedParent, sensitiveDataOrigin, userWithAuth, noDA, restricted, sign. noDA, because otherwise wrong
 * passwords for any other object would lock attestation out.
 */
export const ATTESTATION_KEY = 0x50472;

/** fixedTPM, fixedParent, sensitiveDataOrigin, adminWithPolicy, restricted, decrypt (EK Credential Profile, L templates). */
export const ENDORSEMENT_KEY_LOW = 0x300b2;

/** As the low range, with userWithAuth (EK Credential Profile, H templates). */
export const ENDORSEMENT_KEY_HIGH = 0x300f2;

const MUST_BE_SET: readonly ObjectAttribute[] = [
  'fixedTPM',
  'fixedParent',
  'sensitiveDataOrigin',
  'sign',
  'restricted',
];
const MUST_BE_CLEAR: readonly ObjectAttribute[] = ['decrypt', 'encryptedDuplication'];

/**
 * What keeps a key from being an attestation key: "not restricted", "decrypt". A key that is not restricted signs
 * whatever its holder hands it, so also a made-up attestation; nothing but this check stops that.
 */
export const attestationKeyFaults = (attributes: number): readonly string[] => [
  ...MUST_BE_SET.filter((name) => (attributes & OBJECT_ATTRIBUTES[name]) === 0).map((name) => `not ${name}`),
  ...MUST_BE_CLEAR.filter((name) => (attributes & OBJECT_ATTRIBUTES[name]) !== 0),
];
