import type { ReadMemory } from '../sample/walker.js';

const PAGE = 4096;
/** Pages kept of one process, at most: 16 MiB. */
const MAX_PAGES = 4096;

/** Memory that passes everything on and keeps a copy of each page that was asked for. */
export class TouchedMemory {
  readonly #from: ReadMemory;
  readonly #pages: Map<number, Buffer>;

  constructor(from: ReadMemory, pages: ReadonlyMap<number, Buffer> = new Map()) {
    this.#from = from;
    this.#pages = new Map(pages);
  }

  /** For reading more on trial. */
  copy(): TouchedMemory {
    return new TouchedMemory(this.#from, this.#pages);
  }

  take(other: TouchedMemory): void {
    for (const [address, page] of other.#pages) this.#pages.set(address, page);
  }

  read(address: number, length: number): Buffer {
    if (!(address >= 0) || !Number.isSafeInteger(address + length)) return Buffer.alloc(0);
    const pieces: Buffer[] = [];
    for (let page = address - (address % PAGE); page < address + length; page += PAGE) {
      const bytes = this.#page(page);
      const from = Math.max(0, address - page);
      if (bytes.length <= from) break;
      pieces.push(bytes.subarray(from, Math.min(bytes.length, address + length - page)));
      if (bytes.length < PAGE) break;
    }
    return pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces);
  }

  #page(address: number): Buffer {
    const known = this.#pages.get(address);
    if (known !== undefined) return known;
    const bytes = this.#from(address, PAGE);
    if (bytes.length > 0 && this.#pages.size < MAX_PAGES) this.#pages.set(address, bytes);
    return bytes;
  }

  /** Neighbouring pages as one piece, by address. */
  write(each: (address: number, bytes: Buffer) => void): void {
    const addresses = [...this.#pages.keys()].sort((a, b) => a - b);
    for (let i = 0; i < addresses.length; ) {
      const pieces: Buffer[] = [];
      const start = addresses[i]!;
      for (let next = start; addresses[i] === next; next += PAGE, i++) {
        const page = this.#pages.get(next)!;
        pieces.push(page);
        if (page.length < PAGE) {
          i++;
          break;
        }
      }
      each(start, Buffer.concat(pieces));
    }
  }
}
