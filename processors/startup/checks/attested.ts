import type { Attest } from '../../../schemas/tpm/attest.js';
import { parseAttest, TPM_GENERATED_VALUE } from '../../../schemas/tpm/attest.js';
import type { TpmPublic } from '../../../schemas/tpm/public.js';
import { parseSignature, signatureFits, verifySignature } from '../../../schemas/tpm/signature.js';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

/** A blob that a TPM signed, taken apart only when a check asks for it: after its signature was found good. */
export class Attested {
  #attest: Attest | null = null;

  /**
   * @param bytes TPMS_ATTEST
   * @param signature TPMT_SIGNATURE
   */
  constructor(
    readonly bytes: Buffer,
    readonly signature: Buffer,
  ) {}

  /** Throws TPM_BLOB_INVALID. */
  get attest(): Attest {
    this.#attest ??= parseAttest(this.bytes);
    return this.#attest;
  }

  /** The kind of key is compared before anything is computed: a signature of another scheme must not choose how it is checked. */
  signedBy(key: TpmPublic, name: string): string | null {
    const signature = parseSignature(this.signature);
    if (!signatureFits(key, signature))
      return `a ${signature.algorithm} signature with ${signature.hash} cannot be one by ${name}, a ${key.type} key`;
    return verifySignature(key, this.bytes, signature) ? null : `the signature is not by ${name}`;
  }

  /** Throws TPM_BLOB_INVALID. */
  readable(): string | null {
    return this.attest.bytes.length === 0 ? 'it is empty' : null;
  }

  /** A key that is not restricted signs anything but what begins with this value: whoever holds it could not have made it up. */
  generated(): string | null {
    const { magic } = this.attest;
    return magic === TPM_GENERATED_VALUE ? null : `it begins with ${magic.toString(16)}, so that no TPM made it`;
  }

  ofType(type: number, what: string): string | null {
    return this.attest.type === type ? null : `type ${this.attest.type.toString(16)} is no ${what}`;
  }

  answers(qualifyingData: Buffer): string | null {
    const { extraData } = this.attest;
    if (extraData.equals(qualifyingData)) return null;
    return `it answers ${hex(extraData) || '(nothing)'}, and ${hex(qualifyingData)} was to be answered`;
  }

  signer(qualifiedName: Buffer, name: string): string | null {
    const { qualifiedSigner } = this.attest;
    return qualifiedSigner.equals(qualifiedName)
      ? null
      : `its signer is ${hex(qualifiedSigner)}, which is not ${name} below the enrolled endorsement key`;
  }

  ends(): string | null {
    const { trailing } = this.attest;
    return trailing === 0 ? null : `${trailing} bytes stand behind its end`;
  }
}
