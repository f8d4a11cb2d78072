import { MAX_DIGEST } from './algorithms.js';
import { TpmReader, unwrapSized } from './reader.js';
import { type PcrSelection, readSelection } from './selection.js';

/** What a TPM puts before everything it signs of its own, and refuses to sign when handed in from outside. */
export const TPM_GENERATED_VALUE = 0xff544347;
export const TPM_ST_ATTEST_CERTIFY = 0x8017;
export const TPM_ST_ATTEST_QUOTE = 0x8018;

/** TPM2B_NAME: algorithm id and the largest digest. */
const MAX_NAME = 2 + MAX_DIGEST;
/** TPM2B_DATA: the reference implementation takes a TPMT_HA; generous for others. */
const MAX_EXTRA = 2 + MAX_DIGEST;

/** TPMS_ATTEST (TPM 2.0 Library, part 2, 10.12.12). Buffers are views into `bytes`. */
export interface Attest {
  readonly bytes: Buffer;
  readonly magic: number;
  readonly type: number;
  readonly qualifiedSigner: Buffer;
  readonly extraData: Buffer;
  /** Milliseconds of the TPM's clock. */
  readonly clock: bigint;
  readonly resetCount: number;
  readonly restartCount: number;
  readonly safe: boolean;
  readonly firmwareVersion: bigint;
  /** Only of type TPM_ST_ATTEST_CERTIFY. */
  readonly certify: { readonly name: Buffer; readonly qualifiedName: Buffer } | null;
  /** Only of type TPM_ST_ATTEST_QUOTE. */
  readonly quote: { readonly selection: PcrSelection; readonly pcrDigest: Buffer } | null;
  /** Bytes behind the body (for other types than the two above: the body itself). */
  readonly trailing: number;
}

/**
 * Takes apart what an attestation key signed. `magic` and `type` are not judged here: a verifier has codes of its own
 * for them, and what has another magic is still worth showing. Throws TPM_BLOB_INVALID where a length lies.
 */
export const parseAttest = (bytes: Buffer): Attest => {
  const reader = new TpmReader(bytes, 'TPMS_ATTEST');
  const magic = reader.u32('magic');
  const type = reader.u16('type');
  const qualifiedSigner = reader.sized('qualifiedSigner', MAX_NAME);
  const extraData = reader.sized('extraData', MAX_EXTRA);
  const clock = reader.u64('clock');
  const resetCount = reader.u32('resetCount');
  const restartCount = reader.u32('restartCount');
  const safe = reader.u8('safe') !== 0;
  const firmwareVersion = reader.u64('firmwareVersion');
  const certify =
    type === TPM_ST_ATTEST_CERTIFY
      ? { name: reader.sized('name', MAX_NAME), qualifiedName: reader.sized('qualifiedName', MAX_NAME) }
      : null;
  const quote =
    type === TPM_ST_ATTEST_QUOTE
      ? { selection: readSelection(reader), pcrDigest: reader.sized('pcrDigest', MAX_DIGEST) }
      : null;
  const fields = { qualifiedSigner, extraData, clock, resetCount, restartCount, safe, firmwareVersion, certify, quote };
  return { bytes, magic, type, ...fields, trailing: reader.left };
};

/** TPMS_ATTEST out of a TPM2B_ATTEST; bytes that are none stay as they are. */
export const unwrapAttest = unwrapSized;
