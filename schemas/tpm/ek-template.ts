import { ENDORSEMENT_KEY_HIGH, ENDORSEMENT_KEY_LOW } from './attributes.js';
import { marshalPublic, type PublicFields } from './marshal-public.js';
import type { SymmetricDefinition, TpmPublic } from './public.js';

/** Digests of the policies that endorsement keys have (TCG EK Credential Profile, B.2 and B.6). */
const POLICY = {
  /** PolicySecret of the endorsement hierarchy. */
  a256: Buffer.from('837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa', 'hex'),
  /** PolicyOR of that and of whatever NV index 0x01c07f01, …02, …03 says. */
  b256: Buffer.from('ca3d0a99a2b93906f7a3342414efcfb3a385d44cd1fd459089d19b5071c0b7a0', 'hex'),
  b384: Buffer.from(
    'b26e7d28d11a50bc53d882bcf5fd3a1a074148bb35d3b4e4cb1c0ad9bde419cacb47ba09699646150f9fc000f3f80e12',
    'hex',
  ),
  b512: Buffer.from(
    'b8221ca69e8550a4914de3faa6a18c072cc01208073a928d5d66d59ef79e49a429c41a6b269571d57edb25fbdb1838425608b413cd616a5f6db5b6071af99bea',
    'hex',
  ),
} as const;

/** A standard endorsement key: its template, and the NV indices that belong to it. */
export interface EkTemplate {
  /** Name in the EK Credential Profile: `L-1`, `H-3`. */
  readonly id: string;
  readonly certificateIndex: number;
  /** What the maker mixed into `unique`; only of the low range. */
  readonly nonceIndex: number | null;
  /** A whole TPMT_PUBLIC instead of the standard one. */
  readonly templateIndex: number;
  readonly fields: PublicFields;
}

type Area = Pick<PublicFields, 'nameAlg' | 'attributes' | 'authPolicy' | 'symmetric'>;

const aes = (keyBits: number): SymmetricDefinition => ({ algorithm: 'aes', keyBits, mode: 'cfb' });
const rsa = (area: Area, keyBits: number, uniqueSize: number): PublicFields => ({
  ...area,
  type: 'rsa',
  scheme: null,
  keyBits,
  exponent: 65537,
  unique: Buffer.alloc(uniqueSize),
});
const ecc = (area: Area, curve: string, uniqueSize: number): PublicFields => ({
  ...area,
  type: 'ecc',
  scheme: null,
  curve,
  kdf: null,
  unique: { x: Buffer.alloc(uniqueSize), y: Buffer.alloc(uniqueSize) },
});

const low: Area = { nameAlg: 'sha256', attributes: ENDORSEMENT_KEY_LOW, authPolicy: POLICY.a256, symmetric: aes(128) };
const high = (nameAlg: string, authPolicy: Buffer, keyBits: number): Area => ({
  nameAlg,
  attributes: ENDORSEMENT_KEY_HIGH,
  authPolicy,
  symmetric: aes(keyBits),
});
const high256 = high('sha256', POLICY.b256, 128);
const high384 = high('sha384', POLICY.b384, 256);
const high512 = high('sha512', POLICY.b512, 256);

const template = (id: string, certificateIndex: number, fields: PublicFields): EkTemplate => ({
  id,
  certificateIndex,
  nonceIndex: id.startsWith('L') ? certificateIndex + 1 : null,
  templateIndex: certificateIndex + (id.startsWith('L') ? 2 : 1),
  fields,
});

/** The templates of the EK Credential Profile whose algorithms are used here, in the order in which they are tried. */
export const EK_TEMPLATES: readonly EkTemplate[] = [
  template('L-2', 0x01c0000a, ecc(low, 'nistp256', 32)),
  template('L-1', 0x01c00002, rsa(low, 2048, 256)),
  template('H-2', 0x01c00014, ecc(high256, 'nistp256', 0)),
  template('H-3', 0x01c00016, ecc(high384, 'nistp384', 0)),
  template('H-4', 0x01c00018, ecc(high512, 'nistp521', 0)),
  template('H-1', 0x01c00012, rsa(high256, 2048, 0)),
  template('H-6', 0x01c0001c, rsa(high384, 3072, 0)),
  template('H-7', 0x01c0001e, rsa(high384, 4096, 0)),
];

const uniqueAside = (fields: PublicFields): string =>
  marshalPublic(
    fields.type === 'rsa'
      ? { ...fields, unique: Buffer.alloc(0) }
      : { ...fields, unique: { x: Buffer.alloc(0), y: Buffer.alloc(0) } },
  ).toString('hex');

const KNOWN: ReadonlyMap<string, EkTemplate> = new Map(EK_TEMPLATES.map((known) => [uniqueAside(known.fields), known]));

/**
 * The standard template that this public area was made from, whatever its key; null if it is none. A key with any
 * other attributes or policy could be told to decrypt by others than TPM2_ActivateCredential.
 */
export const ekTemplateOf = (area: TpmPublic): EkTemplate | null =>
  area.type === 'rsa' || area.type === 'ecc' ? (KNOWN.get(uniqueAside(area)) ?? null) : null;
