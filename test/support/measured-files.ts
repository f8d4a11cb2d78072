import { createHash } from 'node:crypto';
import type { ImaRecord } from '../../schemas/ima/entry.js';
import { templateHash } from '../../schemas/ima/template-hash.js';
import type { StandInTpm } from './stand-in-tpm.js';

const field = (bytes: Buffer): Buffer => {
  const length = Buffer.alloc(4);
  length.writeUInt32LE(bytes.length);
  return Buffer.concat([length, bytes]);
};

export const sha256 = (text: string | Buffer): Buffer => createHash('sha256').update(text).digest();

/** A record of template ima-ng (or ima-sig, with a signature) for a file with this content. */
export const imaRecord = (
  name: string,
  digest: Buffer,
  { algorithm = 'sha256', signature, pcr = 10 }: { algorithm?: string; signature?: Buffer; pcr?: number } = {},
): ImaRecord => {
  const parts = [field(Buffer.concat([Buffer.from(`${algorithm}:\0`), digest])), field(Buffer.from(`${name}\0`))];
  if (signature !== undefined) parts.push(field(signature));
  const data = Buffer.concat(parts);
  const template = signature === undefined ? 'ima-ng' : 'ima-sig';
  return { pcr, template, data, templateDigest: templateHash('sha1', false, data) };
};

/** What a record becomes when its file was written while it was read. */
export const violationOf = (record: ImaRecord): ImaRecord => ({ ...record, templateDigest: Buffer.alloc(20) });

/** Extends a record into the banks of a TPM as the kernel does; `padded` banks take SHA-1 padded with zeros. */
export const extendRecord = (
  tpm: StandInTpm,
  record: ImaRecord,
  banks: readonly string[] = ['sha256'],
  padded: readonly string[] = [],
): void => {
  for (const bank of banks) {
    const size = createHash(bank).digest().length;
    const violation = record.templateDigest.every((byte) => byte === 0);
    const digest = violation
      ? Buffer.alloc(size, 0xff)
      : padded.includes(bank)
        ? Buffer.concat([templateHash('sha1', false, record.data)], size)
        : templateHash(bank as 'sha256', false, record.data);
    tpm.extend(bank, record.pcr, digest);
  }
};

/** The list's first entry, over the firmware's registers as they are. */
export const bootAggregate = (tpm: StandInTpm): ImaRecord => {
  const hash = createHash('sha256');
  for (let pcr = 0; pcr <= 9; pcr++) hash.update(tpm.register('sha256', pcr));
  return imaRecord('boot_aggregate', hash.digest());
};
