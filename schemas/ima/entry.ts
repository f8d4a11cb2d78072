import { parseTemplateData } from './template.js';

/** Order of the bytes in the integers of a list: the order of the host that wrote it. */
export type ByteOrder = 'little' | 'big';

/**
 * One record of a measurement list as it was written (Documentation/security/IMA-templates). Buffers may be views: copy
 * what is kept.
 */
export interface ImaRecord {
  readonly pcr: number;
  /** 20 bytes; 32, 48 or 64 in the lists of a bank of their own. All zero: a violation. */
  readonly templateDigest: Buffer;
  /** Name of the template, or its format string (`d-ng|n-ng|buf`) where it has no name. */
  readonly template: string;
  /** The fields, each `u32 length | bytes`; of template `ima`: `digest[20] | u32 length | path`. */
  readonly data: Buffer;
}

export interface FileDigest {
  /** The kernel's name: `sha256`, `sha3-256`, … */
  readonly algorithm: string;
  readonly digest: Buffer;
  /** Over the content, or the root of fs-verity's tree; null where the template does not say (before d-ngv2: content). */
  readonly kind: 'ima' | 'verity' | null;
}

/** What a record says. */
export interface ImaEntry extends ImaRecord {
  readonly fileDigest: FileDigest | null;
  /** Path or name of what was measured, as text; bytes that are not UTF-8 become U+FFFD. Null in a template without it. */
  readonly name: string | null;
  /** `security.ima` or the portable EVM signature, with its header; null where there is none. */
  readonly signature: Buffer | null;
  /** Content of template `ima-buf`: a key, a policy, a command line. */
  readonly buffer: Buffer | null;
  /** Reader and writer met: 0xff… was extended, and what the record says of the file is proven by nothing. */
  readonly violation: boolean;
  /** Measured, but without a digest of the file. */
  readonly unhashable: boolean;
}

export const isZero = (bytes: Uint8Array): boolean => {
  for (let i = 0; i < bytes.length; i++) if (bytes[i] !== 0) return false;
  return true;
};

/** Reads the fields of a record. Throws IMA_INVALID where its data do not fit its template. */
export const imaEntry = (record: ImaRecord, byteOrder: ByteOrder = 'little'): ImaEntry => {
  const { fileDigest, name, signature, buffer } = parseTemplateData(record.template, record.data, byteOrder);
  const violation = isZero(record.templateDigest);
  const { pcr, templateDigest, template, data } = record;
  return {
    pcr,
    templateDigest,
    template,
    data,
    fileDigest,
    name,
    signature,
    buffer,
    violation,
    unhashable: !violation && fileDigest !== null && isZero(fileDigest.digest),
  };
};
