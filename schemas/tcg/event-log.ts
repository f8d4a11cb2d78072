import { AttestreamError } from '../errors.js';
import { EV_NO_ACTION, eventTypeName } from './event-type.js';

/** Banks by TPM_ALG_ID, as far as their hash is at hand: name in Node's `crypto` and ours, bytes of a digest. */
const BANKS: ReadonlyMap<number, string> = new Map([
  [0x0004, 'sha1'],
  [0x000b, 'sha256'],
  [0x000c, 'sha384'],
  [0x000d, 'sha512'],
  [0x0012, 'sm3_256'],
  [0x0027, 'sha3_256'],
  [0x0028, 'sha3_384'],
  [0x0029, 'sha3_512'],
]);

export interface EventDigest {
  /** `sha256`, …; `0x…` for an algorithm without a name here. */
  readonly bank: string;
  readonly digest: Buffer;
}

export interface FirmwareEvent {
  readonly pcr: number;
  readonly type: number;
  /** `EV_SEPARATOR`, …; `0x…` for a type that the specification does not name. */
  readonly typeName: string;
  readonly digests: readonly EventDigest[];
  /** What the firmware says of what it measured. Only where `isDataMeasured` holds is it proven by the PCR. */
  readonly data: Buffer;
  /** Byte in the log that the event begins at. */
  readonly offset: number;
}

export interface EventLog {
  /** `crypto-agile`: a digest for each bank; `sha1`: the format of TPM 1.2. */
  readonly format: 'crypto-agile' | 'sha1';
  /** Banks that the log has digests for, in its order. */
  readonly banks: readonly string[];
  readonly events: readonly FirmwareEvent[];
}

/** More events than any firmware writes. */
const MAX_EVENTS = 65_536;
const MAX_BANKS = 16;
const MAX_DIGEST = 128;
/** PCRs of a TPM; an EV_NO_ACTION may name 0xffffffff. */
const PCRS = 24;
const SPEC_ID = Buffer.from('Spec ID Event03\0', 'latin1');
const LEGACY_SPEC_ID = Buffer.from('Spec ID Event00\0', 'latin1');

const invalid = (offset: number, what: string): AttestreamError =>
  new AttestreamError('TCG_INVALID', `firmware event log: at byte ${offset}: ${what}`, { offset });

/** Reads at increasing positions of a buffer; whatever lies outside of it is TCG_INVALID. */
class Cursor {
  at = 0;
  constructor(
    readonly bytes: Buffer,
    readonly origin: number,
  ) {}

  take(length: number, what: string): Buffer {
    if (length > this.bytes.length - this.at)
      throw invalid(this.origin + this.at, `${what} of ${length} bytes has only ${this.bytes.length - this.at}`);
    this.at += length;
    return this.bytes.subarray(this.at - length, this.at);
  }

  u8(what: string): number {
    return this.take(1, what)[0]!;
  }

  u16(what: string): number {
    return this.take(2, what).readUInt16LE(0);
  }

  u32(what: string): number {
    return this.take(4, what).readUInt32LE(0);
  }
}

const checkPcr = (pcr: number, type: number, offset: number): void => {
  if (pcr >= PCRS && !(type === EV_NO_ACTION && pcr === 0xffffffff)) throw invalid(offset, `PCR ${pcr}`);
};

/** TCG_PCR_EVENT: one SHA-1 digest. */
const legacyEvent = (cursor: Cursor): FirmwareEvent => {
  const offset = cursor.at;
  const pcr = cursor.u32('a PCR index');
  const type = cursor.u32('an event type');
  checkPcr(pcr, type, offset);
  const digest = cursor.take(20, 'a digest');
  const data = cursor.take(cursor.u32('a size'), 'event data');
  return { pcr, type, typeName: eventTypeName(type), digests: [{ bank: 'sha1', digest }], data, offset };
};

/** Algorithms and their digest sizes from the first event of a crypto-agile log (TCG_EfiSpecIdEvent). */
const digestSizes = (data: Buffer, origin: number): ReadonlyMap<number, number> => {
  const cursor = new Cursor(data, origin);
  // Signature, platform class, version of the specification, size of the platform's integers.
  cursor.take(SPEC_ID.length + 4 + 3 + 1, 'the header');
  const count = cursor.u32('a number of algorithms');
  if (count === 0 || count > MAX_BANKS) throw invalid(origin, `${count} algorithms`);
  const sizes = new Map<number, number>();
  for (let i = 0; i < count; i++) {
    const algorithm = cursor.u16('an algorithm');
    const size = cursor.u16('a digest size');
    if (size === 0 || size > MAX_DIGEST || sizes.has(algorithm))
      throw invalid(origin, `algorithm 0x${algorithm.toString(16)} with digests of ${size} bytes`);
    sizes.set(algorithm, size);
  }
  return sizes;
};

export const bankName = (algorithm: number): string =>
  BANKS.get(algorithm) ?? `0x${algorithm.toString(16).padStart(4, '0')}`;

/** TCG_PCR_EVENT2: a digest for each bank. */
const agileEvent = (cursor: Cursor, sizes: ReadonlyMap<number, number>): FirmwareEvent => {
  const offset = cursor.at;
  const pcr = cursor.u32('a PCR index');
  const type = cursor.u32('an event type');
  checkPcr(pcr, type, offset);
  const count = cursor.u32('a number of digests');
  if (count > MAX_BANKS) throw invalid(offset, `${count} digests`);
  const digests: EventDigest[] = [];
  for (let i = 0; i < count; i++) {
    const algorithm = cursor.u16('an algorithm');
    const size = sizes.get(algorithm);
    if (size === undefined) throw invalid(offset, `algorithm 0x${algorithm.toString(16)}, which the log's head lacks`);
    const bank = bankName(algorithm);
    if (digests.some((known) => known.bank === bank)) throw invalid(offset, `two digests of ${bank}`);
    digests.push({ bank, digest: cursor.take(size, 'a digest') });
  }
  if (type !== EV_NO_ACTION && count !== sizes.size)
    throw invalid(offset, `${count} digests in a log of ${sizes.size} banks`);
  const data = cursor.take(cursor.u32('a size'), 'event data');
  return { pcr, type, typeName: eventTypeName(type), digests, data, offset };
};

/** Firmware hands over the whole area that it set aside: what was never written is zeros or ones to the end. */
const isUnwritten = (bytes: Buffer, from: number): boolean => {
  const first = bytes[from];
  if (first !== 0 && first !== 0xff) return false;
  for (let i = from; i < bytes.length; i++) if (bytes[i] !== first) return false;
  return true;
};

/**
 * Parses `/sys/kernel/security/tpm0/binary_bios_measurements` (TCG PC Client Platform Firmware Profile, section 10),
 * little-endian, in the crypto-agile format or that of SHA-1 alone. Throws TCG_INVALID with the offset of what does not
 * hold together.
 */
export const parseEventLog = (bytes: Buffer): EventLog => {
  const cursor = new Cursor(bytes, 0);
  if (bytes.length === 0) return { format: 'sha1', banks: [], events: [] };
  const events: FirmwareEvent[] = [legacyEvent(cursor)];
  const head = events[0]!;
  const startsWith = (id: Buffer): boolean => head.data.subarray(0, id.length).equals(id);
  const agile = head.type === EV_NO_ACTION && startsWith(SPEC_ID);
  if (
    head.type === EV_NO_ACTION &&
    !agile &&
    !startsWith(LEGACY_SPEC_ID) &&
    head.data.subarray(0, 8).equals(SPEC_ID.subarray(0, 8))
  )
    throw invalid(0, `a format that is not known: ${JSON.stringify(head.data.toString('latin1', 0, 15))}`);
  const sizes = agile ? digestSizes(head.data, 32) : null;
  while (cursor.at < bytes.length && !isUnwritten(bytes, cursor.at)) {
    if (events.length >= MAX_EVENTS) throw invalid(cursor.at, `more than ${MAX_EVENTS} events`);
    events.push(sizes === null ? legacyEvent(cursor) : agileEvent(cursor, sizes));
  }
  return {
    format: sizes === null ? 'sha1' : 'crypto-agile',
    banks: sizes === null ? ['sha1'] : [...sizes.keys()].map(bankName),
    events,
  };
};
