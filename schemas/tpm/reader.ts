import { AttestreamError } from '../errors.js';

/** The bytes are not the TPM structure they should be. `offset` counts from the start of what was handed in. */
export const blobInvalid = (what: string, offset: number): AttestreamError =>
  new AttestreamError('TPM_BLOB_INVALID', `${what} at byte ${offset}`, { offset });

/** Reads the TPM's big-endian wire format. No length in the input is believed before the bytes are there. */
export class TpmReader {
  offset = 0;

  /** `name` is what is read, for messages: "TPMS_ATTEST". */
  constructor(
    readonly bytes: Buffer,
    readonly name: string,
  ) {}

  get left(): number {
    return this.bytes.length - this.offset;
  }

  /** The error for what begins at the current place. */
  invalid(what: string, offset = this.offset): AttestreamError {
    return blobInvalid(`${this.name}: ${what}`, offset);
  }

  /** The place of the next `size` bytes, which are then behind the reader. */
  private step(size: number, field: string): number {
    const at = this.offset;
    if (size > this.bytes.length - at)
      throw this.invalid(`${field} needs ${size} bytes, ${this.bytes.length - at} are left`);
    this.offset = at + size;
    return at;
  }

  u8(field: string): number {
    return this.bytes.readUInt8(this.step(1, field));
  }

  u16(field: string): number {
    return this.bytes.readUInt16BE(this.step(2, field));
  }

  u32(field: string): number {
    return this.bytes.readUInt32BE(this.step(4, field));
  }

  u64(field: string): bigint {
    return this.bytes.readBigUInt64BE(this.step(8, field));
  }

  /** A view, not a copy. */
  take(size: number, field: string): Buffer {
    const at = this.step(size, field);
    return this.bytes.subarray(at, at + size);
  }

  /** TPM2B: u16 length, then so many bytes; at most `most` of them. */
  sized(field: string, most = 0xffff): Buffer {
    const at = this.offset;
    const size = this.u16(`${field}'s size`);
    if (size > most) throw this.invalid(`${field} has ${size} bytes, at most ${most} are possible`, at);
    return this.take(size, field);
  }

  /** Refuses what follows the last field. */
  end(): void {
    if (this.left > 0) throw this.invalid(`${this.left} bytes follow the last field`);
  }
}

/** The content of a TPM2B if the bytes are exactly one, else the bytes themselves: tools store both forms. */
export const unwrapSized = (bytes: Buffer): Buffer =>
  bytes.length > 2 && bytes.readUInt16BE(0) === bytes.length - 2 ? bytes.subarray(2) : bytes;
