import { AttestreamError } from '../errors.js';
import type { ByteOrder, FileDigest } from './entry.js';
import { kernelHashBytes } from './hash-algorithm.js';

/** Fields of the templates that have a name (security/integrity/ima/ima_template.c). Others are named by their format. */
const NAMED: Readonly<Record<string, readonly string[]>> = {
  ima: ['d', 'n'],
  'ima-ng': ['d-ng', 'n-ng'],
  'ima-ngv2': ['d-ngv2', 'n-ng'],
  'ima-sig': ['d-ng', 'n-ng', 'sig'],
  'ima-sigv2': ['d-ngv2', 'n-ng', 'sig'],
  'ima-buf': ['d-ng', 'n-ng', 'buf'],
  'ima-modsig': ['d-ng', 'n-ng', 'sig', 'd-modsig', 'modsig'],
  'evm-sig': ['d-ng', 'n-ng', 'evmsig', 'xattrnames', 'xattrlengths', 'xattrvalues', 'iuid', 'igid', 'imode'],
};

/** The kernel's own bound is 15; what is above twice that is nobody's format. */
const MAX_FIELDS = 32;

/** Ids of a template's fields, in order. Throws IMA_INVALID for a name that is neither known nor a format. */
export const templateFields = (template: string): readonly string[] => {
  if (Object.hasOwn(NAMED, template)) return NAMED[template]!;
  const ids = template.split('|', MAX_FIELDS + 1);
  if (ids.length > MAX_FIELDS || ids.some((id) => !/^[a-z0-9][a-z0-9-]{0,31}$/.test(id)))
    throw new AttestreamError('IMA_INVALID', `not a template of IMA: ${JSON.stringify(template.slice(0, 80))}`);
  return ids;
};

export interface TemplateField {
  readonly id: string;
  readonly data: Buffer;
}

const broken = (template: string, what: string): AttestreamError =>
  new AttestreamError(
    'IMA_INVALID',
    `the data of a record of template ${template.slice(0, 80)} do not fit it: ${what}`,
  );

const u32 = (data: Buffer, at: number, order: ByteOrder): number =>
  order === 'little' ? data.readUInt32LE(at) : data.readUInt32BE(at);

/** Splits template data into its fields; views, not copies. Throws IMA_INVALID. */
export const splitFields = (template: string, data: Buffer, byteOrder: ByteOrder = 'little'): TemplateField[] => {
  const ids = templateFields(template);
  const fields: TemplateField[] = [];
  let at = 0;
  for (const id of ids) {
    let length = 20;
    if (template !== 'ima' || id !== 'd') {
      if (at + 4 > data.length) throw broken(template, `field ${id} is missing`);
      length = u32(data, at, byteOrder);
      at += 4;
    }
    if (length > data.length - at)
      throw broken(template, `field ${id} of ${length} bytes has only ${data.length - at}`);
    fields.push({ id, data: data.subarray(at, at + length) });
    at += length;
  }
  if (at !== data.length) throw broken(template, `${data.length - at} bytes behind the last field`);
  return fields;
};

/** Names, as the kernel writes them, end with NUL. */
export const nameBytes = (data: Buffer): Buffer =>
  data.length > 0 && data[data.length - 1] === 0 ? data.subarray(0, data.length - 1) : data;

/** `d`: a bare SHA-1 (or MD5) digest. */
const plainDigest = (data: Buffer, template: string): FileDigest => {
  if (data.length !== 20 && data.length !== 16) throw broken(template, `a digest of ${data.length} bytes`);
  return { algorithm: data.length === 20 ? 'sha1' : 'md5', digest: data, kind: null };
};

/** `sha256:\0…`, and with d-ngv2 `ima:sha256:\0…`. */
const namedDigest = (data: Buffer, template: string, typed: boolean): FileDigest => {
  const end = data.indexOf(0);
  if (end < 1 || end > 40 || data[end - 1] !== 0x3a) throw broken(template, 'a digest without its algorithm');
  const prefix = data.toString('latin1', 0, end - 1).split(':');
  const [kind, algorithm] = typed ? prefix : [null, prefix[0]];
  if (
    prefix.length !== (typed ? 2 : 1) ||
    algorithm === undefined ||
    !(kind === null || kind === 'ima' || kind === 'verity')
  )
    throw broken(template, `a digest named ${JSON.stringify(prefix.join(':'))}`);
  const digest = data.subarray(end + 1);
  const bytes = kernelHashBytes(algorithm);
  if (bytes !== digest.length)
    throw broken(template, `a digest of ${digest.length} bytes by ${JSON.stringify(algorithm)}`);
  return { algorithm, digest, kind };
};

export interface TemplateData {
  readonly fields: readonly TemplateField[];
  readonly fileDigest: FileDigest | null;
  readonly name: string | null;
  readonly signature: Buffer | null;
  readonly buffer: Buffer | null;
}

/** Reads template data. Fields of ids that are not the kernel's are among `fields` only. Throws IMA_INVALID. */
export const parseTemplateData = (template: string, data: Buffer, byteOrder: ByteOrder = 'little'): TemplateData => {
  const fields = splitFields(template, data, byteOrder);
  let fileDigest: FileDigest | null = null;
  let name: string | null = null;
  let signature: Buffer | null = null;
  let buffer: Buffer | null = null;
  for (const { id, data: bytes } of fields)
    switch (id) {
      case 'd':
        fileDigest ??= plainDigest(bytes, template);
        break;
      case 'd-ng':
      case 'd-ngv2':
        fileDigest ??= namedDigest(bytes, template, id === 'd-ngv2');
        break;
      case 'n':
      case 'n-ng':
        name ??= nameBytes(bytes).toString('utf8');
        break;
      case 'sig':
      case 'evmsig':
        if (bytes.length > 0) signature ??= bytes;
        break;
      case 'buf':
        buffer ??= bytes;
    }
  return { fields, fileDigest, name, signature, buffer };
};
