/** Values often point at the same few places: a page that was read for one is there for the others of the same look. */
const PAGE = 4096;
const MAX_PAGES = 32;

type Read = (address: number, length: number) => Buffer;

/** Memory by whole pages, each read once. For one moment of a process only. */
export class PageReader {
  readonly #read: Read;
  readonly #pages = new Map<number, Buffer>();

  constructor(read: Read) {
    this.#read = read;
  }

  /** Fewer bytes, or none, where the process has no memory. */
  bytes(address: number, length: number): Buffer {
    const offset = address % PAGE;
    if (offset + length > PAGE || !(address >= 0)) return this.#read(address, length);
    const start = address - offset;
    let page = this.#pages.get(start);
    if (page === undefined) {
      page = this.#read(start, PAGE);
      if (this.#pages.size < MAX_PAGES) this.#pages.set(start, page);
    }
    return page.subarray(offset, offset + length);
  }
}
