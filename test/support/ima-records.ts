import { createHash } from 'node:crypto';
import type { ByteOrder, ImaRecord } from '../../schemas/ima/entry.js';

const u32 = (value: number, order: ByteOrder): Buffer => {
  const bytes = Buffer.alloc(4);
  if (order === 'little') bytes.writeUInt32LE(value);
  else bytes.writeUInt32BE(value);
  return bytes;
};

/** Fields as template data. */
export const templateData = (fields: readonly Buffer[], order: ByteOrder = 'little'): Buffer =>
  Buffer.concat(fields.flatMap((field) => [u32(field.length, order), field]));

export const named = (algorithm: string, digest: Buffer): Buffer =>
  Buffer.concat([Buffer.from(`${algorithm}:\0`, 'latin1'), digest]);

export interface Made {
  readonly template?: string;
  readonly pcr?: number;
  readonly order?: ByteOrder;
  /** Hash of the template digest. */
  readonly bank?: string;
  readonly violation?: boolean;
}

/** A record of template ima-ng, as the kernel makes it. */
export const ngRecord = (name: string, content: string, made: Made = {}): ImaRecord => {
  const { order = 'little', pcr = 10, bank = 'sha1', violation = false } = made;
  const digest = violation ? Buffer.alloc(32) : createHash('sha256').update(content).digest();
  return record('ima-ng', [named('sha256', digest), Buffer.from(`${name}\0`)], { order, pcr, bank, violation });
};

/** A record of any template but `ima`. */
export const record = (template: string, fields: readonly Buffer[], made: Made = {}): ImaRecord => {
  const { order = 'little', pcr = 10, bank = 'sha1', violation = false } = made;
  const data = templateData(fields, order);
  const hash = createHash(bank).update(data).digest();
  return { pcr, template, templateDigest: violation ? Buffer.alloc(hash.length) : hash, data };
};

/** A record of template `ima`. */
export const plainRecord = (name: string, content: string, order: ByteOrder = 'little'): ImaRecord => {
  const digest = createHash('sha1').update(content).digest();
  const padded = Buffer.alloc(256);
  padded.write(name, 'latin1');
  return {
    pcr: 10,
    template: 'ima',
    templateDigest: createHash('sha1').update(digest).update(padded).digest(),
    data: Buffer.concat([digest, u32(name.length, order), Buffer.from(name, 'latin1')]),
  };
};

/** Records as the bytes of a binary list. */
export const binaryList = (records: readonly ImaRecord[], order: ByteOrder = 'little'): Buffer =>
  Buffer.concat(
    records.flatMap(({ pcr, templateDigest, template, data }) => [
      u32(pcr, order),
      templateDigest,
      u32(template.length, order),
      Buffer.from(template, 'latin1'),
      ...(template === 'ima' ? [] : [u32(data.length, order)]),
      data,
    ]),
  );
