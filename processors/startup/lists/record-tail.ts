import type { ImaRecord } from '../../../schemas/ima/entry.js';
import { emptySpan, type RecordSpan, spanRecord } from '../../../schemas/ima/record-span.js';

/** Before each record: PCR, number of its template, lengths of template digest and data. */
const HEADER = 16;
const FIRST_ROOM = 4096;
/** Bytes of records that others replaced are borne up to this, or to as many as are in use. */
const BORNE = 64 * 1024;
const NOTHING = Buffer.alloc(0);
/** Largest buffer that is kept for the next list. */
const MAX_SPARE = 1 << 20;

/** The buffer of a list that was worked off: lists come one after the other, and memory that is new costs more than the records in it. */
let spare: Buffer = NOTHING;

const viewOf = (bytes: Buffer): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** A buffer of at least `length` bytes: the spare one, unless most of it would lie idle. */
const bufferOf = (length: number): Buffer => {
  if (spare.length < length || spare.length > 4 * length) return Buffer.allocUnsafeSlow(length);
  const taken = spare;
  spare = NOTHING;
  return taken;
};

const give = (buffer: Buffer): void => {
  if (buffer.length > spare.length && buffer.length <= MAX_SPARE) spare = buffer;
};

/** Records of a list by index, side by side in one buffer: a host has hundreds, and each of them only waits for a quote. */
export class RecordTail {
  readonly #places = new Map<number, number>();
  #bytes: Buffer = NOTHING;
  #view = viewOf(NOTHING);
  #end = 0;
  /** Bytes of records that are still held. */
  #used = 0;
  #templates: string[] = [];
  readonly #numbers = new Map<string, number>();

  get size(): number {
    return this.#places.size;
  }

  has(index: number): boolean {
    return this.#places.has(index);
  }

  /** Copies the record; one that has the index is replaced. */
  set(index: number, { pcr, templateDigest, template, data }: ImaRecord): void {
    this.delete(index);
    const length = HEADER + templateDigest.length + data.length;
    if (this.#end + length > this.#bytes.length || this.#end - this.#used > Math.max(this.#used, BORNE))
      this.#makeRoom(length);
    const at = this.#end;
    const view = this.#view;
    view.setInt32(at, pcr);
    view.setUint32(at + 4, this.#numberOf(template));
    view.setUint32(at + 8, templateDigest.length);
    view.setUint32(at + 12, data.length);
    this.#bytes.set(templateDigest, at + HEADER);
    this.#bytes.set(data, at + HEADER + templateDigest.length);
    this.#places.set(index, at);
    this.#end = at + length;
    this.#used += length;
  }

  delete(index: number): void {
    const at = this.#places.get(index);
    if (at === undefined) return;
    this.#places.delete(index);
    this.#used -= this.#lengthAt(at);
    if (this.#places.size === 0) this.clear();
  }

  clear(): void {
    this.#places.clear();
    give(this.#bytes);
    this.#hold(NOTHING);
    this.#end = 0;
    this.#used = 0;
    this.#templates = [];
    this.#numbers.clear();
  }

  /** Points `span` to the record, until this tail or another changes. False if there is none of this index. */
  span(index: number, span: RecordSpan): boolean {
    const at = this.#places.get(index);
    if (at === undefined) return false;
    const view = this.#view;
    span.bytes = this.#bytes;
    span.pcr = view.getInt32(at);
    span.template = this.#templates[view.getUint32(at + 4)]!;
    span.digestStart = at + HEADER;
    span.digestEnd = span.digestStart + view.getUint32(at + 8);
    span.dataStart = span.digestEnd;
    span.dataEnd = span.dataStart + view.getUint32(at + 12);
    return true;
  }

  /** PCRs of the records. */
  pcrs(): ReadonlySet<number> {
    const pcrs = new Set<number>();
    for (const at of this.#places.values()) pcrs.add(this.#view.getInt32(at));
    return pcrs;
  }

  /** All records as views, in the order in which they came. */
  entries(): (readonly [index: number, record: ImaRecord])[] {
    const span = emptySpan();
    return [...this.#places.keys()].map((index) => {
      this.span(index, span);
      const { pcr, template, templateDigest, data } = spanRecord(span);
      return [index, { pcr, template, templateDigest, data }] as const;
    });
  }

  #lengthAt(at: number): number {
    return HEADER + this.#view.getUint32(at + 8) + this.#view.getUint32(at + 12);
  }

  #numberOf(template: string): number {
    let number = this.#numbers.get(template);
    if (number === undefined) {
      number = this.#templates.push(template) - 1;
      this.#numbers.set(template, number);
    }
    return number;
  }

  /** Moves what is held into a buffer with room for `length` more, and leaves the rest behind. */
  #makeRoom(length: number): void {
    const held = this.#places;
    const from = this.#bytes;
    const names = this.#templates;
    const bytes = bufferOf(Math.max(FIRST_ROOM, (this.#used + length) * 2));
    const view = viewOf(bytes);
    this.#templates = [];
    this.#numbers.clear();
    let end = 0;
    for (const [index, at] of held) {
      const taken = this.#lengthAt(at);
      from.copy(bytes, end, at, at + taken);
      view.setUint32(end + 4, this.#numberOf(names[view.getUint32(end + 4)]!));
      held.set(index, end);
      end += taken;
    }
    this.#hold(bytes);
    this.#end = end;
    give(from);
  }

  #hold(bytes: Buffer): void {
    this.#bytes = bytes;
    this.#view = viewOf(bytes);
  }
}
