import { AttestreamError } from '../errors.js';
import {
  type BinaryLayout,
  detectLayout,
  isPlainTemplate,
  isTemplateName,
  MAX_PCR,
  MAX_PLAIN_NAME,
  MAX_TEMPLATE_DATA,
  MAX_TEMPLATE_NAME,
  u32At,
} from './binary-layout.js';
import { emptySpan, type RecordSpan } from './record-span.js';

/**
 * Reads a binary measurement list as it comes, record by record, in memory of one chunk and one record:
 * `u32 pcr | digest | u32 length | name | u32 length | data`, and for template `ima` `digest[20] | u32 length | path` behind
 * the name (security/integrity/ima/ima_fs.c). Integers stand in the order of the host that wrote it.
 */
export class BinaryListReader {
  readonly #given: Partial<BinaryLayout>;
  readonly #path: string | undefined;
  #layout: BinaryLayout | null = null;
  /** What was pushed and is not read yet: [0, #held) of it. Grows with what comes, never by what a record promises. */
  #carry = Buffer.alloc(0);
  #held = 0;
  /** Bytes that must be there before the record at the front can be read. */
  #needed = 0;
  /** Offset of the front in the whole list. */
  #offset = 0;
  readonly #span: RecordSpan = emptySpan();
  #lastName = Buffer.alloc(0);

  constructor(given: Partial<BinaryLayout> = {}, path?: string) {
    this.#given = given;
    this.#path = path;
  }

  /** Null until the first record told. */
  get layout(): BinaryLayout | null {
    return this.#layout;
  }

  /** Reads a chunk; `take` gets every record that is whole now. Throws IMA_INVALID with the offset of the record. */
  push(chunk: Buffer, take: (span: RecordSpan) => void): void {
    if (this.#held === 0 && this.#layout !== null) {
      this.#keep(chunk, this.#read(chunk, chunk.length, take));
      return;
    }
    this.#append(chunk);
    if (this.#held < this.#needed) return;
    this.#readHeld(false, take);
  }

  /** No more chunks come. Throws IMA_INVALID if the list ends within a record. */
  end(take: (span: RecordSpan) => void): void {
    if (this.#held === 0) return;
    this.#readHeld(true, take);
    if (this.#held > 0) throw this.#invalid(`the list ends within a record (${this.#held} bytes of it are there)`);
  }

  #readHeld(ended: boolean, take: (span: RecordSpan) => void): void {
    const held = this.#carry.subarray(0, this.#held);
    this.#layout ??= detectLayout(held, this.#given, ended);
    if (this.#layout === null) {
      // Looked at again when twice as much is there: the whole work stays linear.
      this.#needed = this.#held * 2;
      return;
    }
    this.#keep(held, this.#read(held, this.#held, take));
  }

  /** Keeps what of `bytes` lies behind `read`. */
  #keep(bytes: Buffer, read: number): void {
    this.#offset += read;
    const left = bytes.length - read;
    if (bytes.buffer === this.#carry.buffer && bytes.byteOffset === this.#carry.byteOffset) {
      this.#carry.copyWithin(0, read, bytes.length);
      this.#held = left;
      return;
    }
    this.#held = 0;
    if (left > 0) this.#append(bytes.subarray(read));
  }

  #append(bytes: Buffer): void {
    const held = this.#held + bytes.length;
    if (held > this.#carry.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(held, this.#carry.length * 2, 64 * 1024));
      this.#carry.copy(grown, 0, 0, this.#held);
      this.#carry = grown;
    }
    bytes.copy(this.#carry, this.#held);
    this.#held = held;
  }

  #invalid(what: string, within = 0): AttestreamError {
    const offset = this.#offset + within;
    return new AttestreamError('IMA_INVALID', `measurement list: at byte ${offset}: ${what}`, {
      offset,
      ...(this.#path === undefined ? {} : { path: this.#path }),
    });
  }

  /** Hands on every whole record of bytes[0, end); where the first that is not whole begins. */
  #read(bytes: Buffer, end: number, take: (span: RecordSpan) => void): number {
    const { byteOrder, digestBytes } = this.#layout!;
    const little = byteOrder === 'little';
    const span = this.#span;
    span.bytes = bytes;
    span.byteOrder = byteOrder;
    let at = 0;
    for (;;) {
      const name = at + 4 + digestBytes + 4;
      if (name > end) {
        this.#needed = name - at;
        return at;
      }
      const pcr = u32At(bytes, at, little);
      if (pcr > MAX_PCR) throw this.#invalid(`PCR ${pcr}`, at);
      const nameLength = u32At(bytes, name - 4, little);
      if (nameLength === 0 || nameLength > MAX_TEMPLATE_NAME)
        throw this.#invalid(`a template name of ${nameLength} bytes`, at);
      const nameEnd = name + nameLength;
      if (nameEnd > end) {
        this.#needed = nameEnd - at;
        return at;
      }
      const plain = isPlainTemplate(bytes, name, nameEnd);
      const length = plain ? nameEnd + 20 : nameEnd;
      if (length + 4 > end) {
        this.#needed = length + 4 - at;
        return at;
      }
      const dataLength = u32At(bytes, length, little);
      if (dataLength > (plain ? MAX_PLAIN_NAME : MAX_TEMPLATE_DATA))
        throw this.#invalid(`${plain ? 'a name' : 'template data'} of ${dataLength} bytes`, at);
      const dataEnd = length + 4 + dataLength;
      if (dataEnd > end) {
        this.#needed = dataEnd - at;
        return at;
      }
      if (!this.#isLastName(bytes, name, nameLength)) {
        if (!isTemplateName(bytes, name, nameEnd)) throw this.#invalid('a template name that is not text', at);
        this.#lastName = Buffer.from(bytes.subarray(name, nameEnd));
        span.template = this.#lastName.toString('latin1');
      }
      span.pcr = pcr;
      span.digestStart = at + 4;
      span.digestEnd = at + 4 + digestBytes;
      span.dataStart = plain ? nameEnd : length + 4;
      span.dataEnd = dataEnd;
      take(span);
      at = dataEnd;
    }
  }

  /** Lists have one or two templates: the name is made a string when it changes. */
  #isLastName(bytes: Buffer, start: number, length: number): boolean {
    const last = this.#lastName;
    if (last.length !== length) return false;
    for (let i = 0; i < length; i++) if (bytes[start + i] !== last[i]) return false;
    return true;
  }
}
