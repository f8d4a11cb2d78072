import { AttestreamError } from '../errors.js';
import { parseKeylimeQuote } from '../tpm/quote-files.js';
import { unwrapSized } from '../tpm/reader.js';
import type { PcrSelection } from '../tpm/selection.js';

/** What a signature is over, with the signature: TPMS_ATTEST and TPMT_SIGNATURE. */
export interface SignedBlob {
  readonly attest: Buffer;
  readonly signature: Buffer;
  /** What it must answer; null: not said. */
  readonly qualifyingData: Buffer | null;
}

/** A key as TPMT_PUBLIC, or as PEM, which says nothing of the object's name and attributes. */
export type BundleKey = { readonly area: Buffer } | { readonly pem: string };

export interface BundleLog {
  /** ima | container | binding | tcg */
  readonly kind: string;
  readonly format: string;
  readonly formula: string;
  readonly container: string;
  /** null: in the file `path`. */
  readonly data: Buffer | null;
  readonly path: string | null;
}

/** By which keys a host is known, from inside a bundle or from outside. */
export interface EnrolledKeys {
  readonly ekPublic: Buffer | null;
  readonly aik1Name: Buffer | null;
}

/** Evidence that anyone can make with a TPM and a text editor (docs/evidence.md). */
export interface Bundle {
  readonly enrolled: EnrolledKeys | null;
  readonly aik1: BundleKey | null;
  readonly aik2: BundleKey | null;
  readonly certify: SignedBlob | null;
  readonly quote: SignedBlob & { readonly selection: PcrSelection | null };
  /** Register values in hex by `sha256:10`, or a file of tpm2_quote; null: none. */
  readonly pcrs: ReadonlyMap<string, Buffer> | { readonly file: Buffer } | null;
  readonly logs: readonly BundleLog[];
  readonly previous: { readonly resetCount: number; readonly restartCount: number; readonly clock: bigint } | null;
}

type Json = Readonly<Record<string, unknown>>;

const MAX_LOGS = 64;
const MAX_REGISTERS = 16 * 24;

/** Reads members of a bundle; what is there and not of its kind is EVIDENCE_INVALID with its place. */
class Members {
  constructor(readonly file: string) {}

  fail(place: string, what: string): never {
    throw new AttestreamError('EVIDENCE_INVALID', `${this.file}: ${place}: ${what}`, { path: `${this.file}#${place}` });
  }

  object(value: unknown, place: string): Json {
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Json;
    return this.fail(place, 'not an object');
  }

  optional(from: Json, key: string, place: string): Json | null {
    return from[key] === undefined || from[key] === null ? null : this.object(from[key], `${place}${key}`);
  }

  text(value: unknown, place: string): string {
    return typeof value === 'string' ? value : this.fail(place, 'not a text');
  }

  base64(value: unknown, place: string): Buffer {
    const text = this.text(value, place).replace(/\s+/g, '');
    if (text === '' || !/^[A-Za-z0-9+/_-]+={0,2}$/.test(text)) this.fail(place, 'not base64');
    return Buffer.from(text, 'base64');
  }

  hex(value: unknown, place: string): Buffer {
    const text = this.text(value, place);
    if (!/^(?:[0-9a-fA-F]{2})*$/.test(text)) this.fail(place, 'not hex');
    return Buffer.from(text, 'hex');
  }

  count(value: unknown, place: string): number {
    if (typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= 0xffffffff) return value;
    return this.fail(place, 'not a count of 32 bits');
  }

  clock(value: unknown, place: string): bigint {
    const text = typeof value === 'number' ? String(value) : this.text(value, place);
    return /^\d{1,20}$/.test(text) ? BigInt(text) : this.fail(place, 'not a clock');
  }
}

/** Reads a bundle. Throws EVIDENCE_INVALID with the place of what is not as it must be. */
export const parseBundle = (text: string, file: string): Bundle => {
  const read = new Members(file);
  const json = read.object(jsonOf(text, read), '(document)');
  if (json['quote'] === undefined) read.fail('quote', 'is missing: evidence is a quote and what explains it');
  const keylime = keylimeQuoteOf(json['quote'], read);
  const enrolled = read.optional(json, 'enrolled', '');
  return {
    enrolled: enrolled === null ? null : enrolledKeys(enrolled, read, 'enrolled.'),
    aik1: keyOf(json, 'aik1Public', read),
    aik2: keyOf(json, 'aik2Public', read),
    certify: json['certify'] == null ? null : blobOf(read.object(json['certify'], 'certify'), 'certify.', read),
    quote: keylime === null ? quoteOf(read.object(json['quote'], 'quote'), read) : keylime.quote,
    pcrs: keylime === null ? pcrsOf(json['pcrs'], read) : { file: keylime.pcrs },
    logs: logsOf(json['logs'], read),
    previous: previousOf(read.optional(json, 'previous', ''), read),
  };
};

/** Keys of an enrolled host from a file of their own: a bundle's `enrolled` member, alone or in a document around it. */
export const parseEnrolled = (text: string, file: string): EnrolledKeys => {
  const read = new Members(file);
  const json = read.object(jsonOf(text, read), '(document)');
  const keys = enrolledKeys(read.optional(json, 'enrolled', '') ?? json, read, '');
  if (keys.aik1Name === null) read.fail('aik1Name', 'is missing: it names the key that the host is known by');
  return keys;
};

const jsonOf = (text: string, read: Members): unknown => {
  try {
    return JSON.parse(text);
  } catch (error) {
    return read.fail('(document)', `not JSON: ${(error as Error).message}`);
  }
};

const enrolledKeys = (json: Json, read: Members, place: string): EnrolledKeys => {
  const name = json['aik1Name'] ?? json['nameAik1'];
  return {
    ekPublic: json['ekPublic'] == null ? null : unwrapSized(read.base64(json['ekPublic'], `${place}ekPublic`)),
    aik1Name: name == null ? null : read.hex(name, `${place}aik1Name`),
  };
};

const keyOf = (json: Json, key: string, read: Members): BundleKey | null => {
  const value = json[key];
  if (value === undefined || value === null) return null;
  const text = read.text(value, key);
  return text.includes('-----BEGIN') ? { pem: text } : { area: unwrapSized(read.base64(text, key)) };
};

/** TPM2B_ATTEST and TPMS_ATTEST are both taken, as tools write the one or the other. */
const blobOf = (json: Json, place: string, read: Members): SignedBlob => ({
  attest: unwrapSized(read.base64(json['attest'], `${place}attest`)),
  signature: unwrapSized(read.base64(json['signature'], `${place}signature`)),
  qualifyingData: json['qualifyingData'] == null ? null : read.hex(json['qualifyingData'], `${place}qualifyingData`),
});

const selectionOf = (json: Json, read: Members): PcrSelection | null => {
  const selection = read.optional(json, 'selection', 'quote.');
  if (selection === null) return null;
  return Object.entries(selection).map(([hash, pcrs]) => {
    const place = `quote.selection.${hash}`;
    if (!Array.isArray(pcrs) || pcrs.length > 24) return read.fail(place, 'not a list of registers');
    return { hash, pcrs: pcrs.map((pcr, i) => read.count(pcr, `${place}[${i}]`)).sort((a, b) => a - b) };
  });
};

const quoteOf = (json: Json, read: Members): Bundle['quote'] => ({
  ...blobOf(json, 'quote.', read),
  selection: selectionOf(json, read),
});

/** A quote as Keylime's agents send it: the text alone, or `{keylime: TEXT}` with what it must answer and hold. */
const keylimeQuoteOf = (
  value: unknown,
  read: Members,
): { readonly quote: Bundle['quote']; readonly pcrs: Buffer } | null => {
  const json: Json = typeof value === 'string' ? { keylime: value } : read.object(value, 'quote');
  if (json['keylime'] == null) return null;
  const { message, signature, pcrs } = parseKeylimeQuote(read.text(json['keylime'], 'quote.keylime'));
  const qualifyingData =
    json['qualifyingData'] == null ? null : read.hex(json['qualifyingData'], 'quote.qualifyingData');
  return { quote: { attest: message, signature, qualifyingData, selection: selectionOf(json, read) }, pcrs };
};

const pcrsOf = (value: unknown, read: Members): Bundle['pcrs'] => {
  if (value === undefined || value === null) return null;
  if (typeof value === 'string') return { file: read.base64(value, 'pcrs') };
  const values = new Map<string, Buffer>();
  for (const [bank, registers] of Object.entries(read.object(value, 'pcrs')))
    for (const [pcr, hex] of Object.entries(read.object(registers, `pcrs.${bank}`))) {
      if (values.size >= MAX_REGISTERS) read.fail('pcrs', 'more values than there are registers');
      values.set(`${bank}:${Number(pcr)}`, read.hex(hex, `pcrs.${bank}.${pcr}`));
    }
  return values;
};

const logsOf = (value: unknown, read: Members): readonly BundleLog[] => {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value) || value.length > MAX_LOGS)
    return read.fail('logs', `not a list of up to ${MAX_LOGS} logs`);
  return value.map((one, i) => {
    const place = `logs[${i}]`;
    const json = read.object(one, place);
    const word = (key: string, absent: string): string =>
      json[key] == null ? absent : read.text(json[key], `${place}.${key}`);
    const path = json['data'] == null ? word('path', '') : '';
    if (json['data'] == null && path === '') read.fail(place, 'neither data nor a path');
    return {
      kind: word('kind', ''),
      format: word('format', 'auto'),
      formula: word('formula', 'binding-log/v1'),
      container: word('container', ''),
      data:
        json['data'] == null
          ? null
          : json['data'] === ''
            ? Buffer.alloc(0)
            : read.base64(json['data'], `${place}.data`),
      path: path === '' ? null : path,
    };
  });
};

const previousOf = (json: Json | null, read: Members): Bundle['previous'] =>
  json === null
    ? null
    : {
        resetCount: read.count(json['resetCount'], 'previous.resetCount'),
        restartCount: read.count(json['restartCount'] ?? 0, 'previous.restartCount'),
        clock: read.clock(json['clock'] ?? '0', 'previous.clock'),
      };
