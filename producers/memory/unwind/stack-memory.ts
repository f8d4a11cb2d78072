/** Bytes of the target's stacks: `address` is where the first one stands. */
export interface StackBlock {
  readonly address: number;
  readonly bytes: Buffer;
}

/** Blocks held at once: the thread's stack in growing pieces, and an alternate one. */
const MAX_BLOCKS = 12;

/** Reads more of a stack around an address; null where there is none. */
export type ReadMore = (address: number) => StackBlock | null;

/** The stack of a thread, read in one block at first and in more where unwinding leads out of it. */
export class StackMemory {
  readonly #blocks: StackBlock[];
  #current: StackBlock;
  readonly #more: ReadMore | null;
  /** More than the first block was read: what is told holds only if the thread has not moved since. */
  extended = false;
  /** Something lay outside of what may be read. */
  cut = false;

  constructor(first: StackBlock, more: ReadMore | null = null) {
    this.#blocks = [first];
    this.#current = first;
    this.#more = more;
  }

  #find(address: number, size: number): boolean {
    // Beyond 2^53 numbers are rounded, and no stack lies there.
    if (!Number.isSafeInteger(address)) return false;
    const inside = (block: StackBlock): boolean =>
      address >= block.address && address - block.address + size <= block.bytes.length;
    if (inside(this.#current)) return true;
    const known = this.#blocks.find(inside);
    if (known !== undefined) {
      this.#current = known;
      return true;
    }
    if (this.#more === null || this.#blocks.length >= MAX_BLOCKS || !(address > 0)) return false;
    const block = this.#more(address);
    if (block === null || !inside(block)) return false;
    this.extended = true;
    this.#blocks.push(block);
    this.#current = block;
    return true;
  }

  holds(address: number): boolean {
    return this.#find(address, 8);
  }

  /** The eight bytes at `address` as a number, rounded beyond 2^53; -1 outside. */
  word(address: number): number {
    if (!this.#find(address, 8)) {
      this.cut = true;
      return -1;
    }
    const { bytes, address: base } = this.#current;
    return bytes.readUInt32LE(address - base) + bytes.readUInt32LE(address - base + 4) * 2 ** 32;
  }

  /** The word with its uppermost 16 bits cut off, where pointer authentication puts its signature; -1 outside. */
  word48(address: number): number {
    if (!this.#find(address, 8)) {
      this.cut = true;
      return -1;
    }
    const { bytes, address: base } = this.#current;
    return bytes.readUInt32LE(address - base) + bytes.readUInt16LE(address - base + 4) * 2 ** 32;
  }

  /** Up to `length` bytes of what has been read already; none where nothing has. */
  bytes(address: number, length: number): Buffer {
    const block = this.#blocks.find(
      (candidate) => address >= candidate.address && address < candidate.address + candidate.bytes.length,
    );
    return block === undefined
      ? Buffer.alloc(0)
      : block.bytes.subarray(address - block.address, address - block.address + length);
  }

  /** Up to eight bytes at full width; null outside. */
  value(address: number, size: number): bigint | null {
    if (!(size >= 1 && size <= 8) || !this.#find(address, size)) return null;
    const { bytes, address: base } = this.#current;
    let value = 0n;
    for (let i = size - 1; i >= 0; i--) value = (value << 8n) | BigInt(bytes[address - base + i]!);
    return value;
  }
}
