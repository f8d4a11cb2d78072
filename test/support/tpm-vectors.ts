import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { unwrapSized } from '../../schemas/tpm/reader.js';
import { ROOT } from './sources.js';

interface QuoteVector {
  readonly label: string;
  readonly hash: 'sha1' | 'sha256' | 'sha384';
  readonly public: Buffer;
  readonly name: Buffer;
  readonly qualifiedName: Buffer;
  readonly message: Buffer;
  readonly signature: Buffer;
  /** The serialized form; of one vector only, as it is long. */
  readonly pcrs: Buffer | null;
  readonly values: Buffer;
  readonly valuesMessage: Buffer;
  readonly certify: Buffer;
  readonly certifySignature: Buffer;
  readonly certifiedName: Buffer;
  readonly certifiedQualifiedName: Buffer;
}

interface CredentialVector {
  readonly label: string;
  /** PEM of the stand-in EK. */
  readonly privateKey: string;
  readonly public: Buffer;
  readonly name: Buffer;
  readonly file: Buffer;
  readonly secret: Buffer;
}

/** tpm2-tools write public areas as TPM2B_PUBLIC. */
const AREA = new Set(['public', 'endorsement']);
const PLAIN = new Set(['label', 'hash', 'privateKey']);

const decoded = (name: string, value: string): Buffer =>
  AREA.has(name) ? unwrapSized(Buffer.from(value, 'base64')) : Buffer.from(value, 'base64');

const bytes = (record: Readonly<Record<string, string | null>>): Readonly<Record<string, unknown>> =>
  Object.fromEntries(
    Object.entries(record).map(([name, value]) => [
      name,
      value === null || PLAIN.has(name) ? value : decoded(name, value),
    ]),
  );

const file = JSON.parse(readFileSync(join(ROOT, 'test/vectors/tpm/tpm2-tools.json'), 'utf8'));

/** What tpm2-tools made; see `made` in the file. */
export const TPM_VECTORS = {
  endorsement: decoded('endorsement', file.endorsement),
  quotes: file.quotes.map(bytes) as readonly QuoteVector[],
  credentials: file.credentials.map(bytes) as readonly CredentialVector[],
};

export const quoteVector = (label: string): QuoteVector => TPM_VECTORS.quotes.find((vector) => vector.label === label)!;
