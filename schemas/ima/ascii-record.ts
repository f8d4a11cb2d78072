import type { ByteOrder, ImaRecord } from './entry.js';
import { isZero } from './entry.js';
import { kernelHashBytes } from './hash-algorithm.js';
import { templateFields } from './template.js';
import { isTemplateDigest } from './template-hash.js';

/** ` 10 HEX TEMPLATE` at the beginning of a line; the fields follow, each behind one space. */
const HEAD =
  /^ {0,2}(\d{1,2}) ((?:[0-9a-f]{2}){64}|(?:[0-9a-f]{2}){48}|(?:[0-9a-f]{2}){32}|(?:[0-9a-f]{2}){20}) ([!-~]{1,256})(?: |$)/;

export interface AsciiHead {
  readonly pcr: number;
  readonly templateDigest: Buffer;
  readonly template: string;
  /** What stands behind `TEMPLATE `, as latin1. */
  readonly rest: string;
}

/** The beginning of a record; null for a line that is none. Text is latin1: bytes as they are. */
export const asciiHead = (line: string): AsciiHead | null => {
  const match = HEAD.exec(line);
  if (match === null) return null;
  const pcr = Number(match[1]);
  if (pcr > 31) return null;
  return {
    pcr,
    templateDigest: Buffer.from(match[2]!, 'hex'),
    template: match[3]!,
    rest: line.slice(match[0].length),
  };
};

const bytesOf = (hex: string): Buffer | null => (/^(?:[0-9a-f]{2})*$/i.test(hex) ? Buffer.from(hex, 'hex') : null);

const digestOf = (text: string, kinds: boolean): Buffer | null => {
  if (text === '') return Buffer.alloc(0);
  const match = /^((?:ima:|verity:)?)([a-z0-9-]{2,20}):([0-9a-f]*)$/.exec(text);
  if (match === null || (match[1] !== '') !== kinds) return null;
  const digest = bytesOf(match[3]!);
  if (digest === null || digest.length !== kernelHashBytes(match[2]!)) return null;
  return Buffer.concat([Buffer.from(`${match[1]}${match[2]}:\0`, 'latin1'), digest]);
};

const numberOf = (text: string, bytes: number, order: ByteOrder): Buffer | null => {
  if (text === '') return Buffer.alloc(0);
  if (!/^\d{1,10}$/.test(text) || Number(text) >= 2 ** (8 * bytes)) return null;
  const field = Buffer.alloc(bytes);
  if (order === 'little') field.writeUIntLE(Number(text), 0, bytes);
  else field.writeUIntBE(Number(text), 0, bytes);
  return field;
};

/** The bytes that a field was before it was printed; null if the text cannot have come from it. */
const fieldOf = (id: string, text: string, order: ByteOrder): Buffer | null => {
  switch (id) {
    case 'd':
      return bytesOf(text);
    case 'd-ng':
    case 'd-modsig':
      return digestOf(text, false);
    case 'd-ngv2':
      return digestOf(text, true);
    case 'n':
    case 'n-ng':
      return Buffer.from(`${text}\0`, 'latin1');
    case 'xattrnames':
      return text === '' ? Buffer.alloc(0) : Buffer.from(`${text}\0`, 'latin1');
    case 'iuid':
    case 'igid':
      return numberOf(text, 4, order);
    case 'imode':
      return numberOf(text, 2, order);
    case 'sig':
    case 'evmsig':
    case 'buf':
    case 'modsig':
    case 'xattrlengths':
    case 'xattrvalues':
      return bytesOf(text);
    default:
      return null;
  }
};

/** Names have at most 4,096 bytes: more words are not one of the kernel's records. */
const MAX_WORDS = 4200;

const isName = (id: string): boolean => id === 'n' || id === 'n-ng';

/** Each way to part the text into fields: a name may hold spaces, and editors cut empty fields off the end of a line. */
function* partings(ids: readonly string[], rest: string): Generator<readonly string[]> {
  const words = rest.split(' ', MAX_WORDS + 1);
  if (words.length > MAX_WORDS) return;
  const name = ids.findIndex(isName);
  if (words.length < ids.length || name < 0) {
    if (words.length <= ids.length) yield [...words, ...ids.slice(words.length).map(() => '')];
    return;
  }
  for (let missing = 0; missing < ids.length - name; missing++) {
    const behind = ids.length - name - 1 - missing;
    if (behind >= words.length - name) continue;
    yield [
      ...words.slice(0, name),
      words.slice(name, words.length - behind).join(' '),
      ...words.slice(words.length - behind),
      ...Array.from({ length: missing }, () => ''),
    ];
  }
}

const dataOf = (
  template: string,
  ids: readonly string[],
  texts: readonly string[],
  order: ByteOrder,
): Buffer | null => {
  const parts: Buffer[] = [];
  const length = (bytes: number): Buffer => {
    const prefix = Buffer.alloc(4);
    if (order === 'little') prefix.writeUInt32LE(bytes);
    else prefix.writeUInt32BE(bytes);
    return prefix;
  };
  for (const [i, id] of ids.entries()) {
    const plainName = template === 'ima' && id === 'n';
    const field = plainName ? Buffer.from(texts[i]!, 'latin1') : fieldOf(id, texts[i]!, order);
    if (field === null || (plainName && field.length > 256)) return null;
    if (template === 'ima' && id === 'd') {
      if (field.length !== 20) return null;
    } else parts.push(length(field.length));
    parts.push(field);
  }
  return Buffer.concat(parts);
};

export interface AsciiRecord {
  readonly record: ImaRecord;
  readonly byteOrder: ByteOrder;
  /** The digest is the hash of the data, which settles how the text was to be read. */
  readonly proven: boolean;
}

/**
 * The record that a text stands for: the reading whose hash is the template digest, else the first that is possible at all;
 * null if none is. Throws IMA_INVALID for a template that is none.
 */
export const asciiRecord = (head: AsciiHead, orders: readonly ByteOrder[]): AsciiRecord | null => {
  const { pcr, templateDigest, template, rest } = head;
  const ids = templateFields(template);
  const plain = template === 'ima';
  const violation = isZero(templateDigest);
  let first: AsciiRecord | null = null;
  for (const byteOrder of orders)
    for (const texts of partings(ids, rest)) {
      const data = dataOf(template, ids, texts, byteOrder);
      if (data === null) continue;
      const proven = !violation && isTemplateDigest(templateDigest, plain, data);
      const read = { record: { pcr, templateDigest, template, data }, byteOrder, proven };
      if (proven) return read;
      first ??= read;
    }
  return first;
};
