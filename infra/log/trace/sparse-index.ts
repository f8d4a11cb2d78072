const STRIDE = 1 << 20;

interface FileIndex {
  readonly inode: number;
  readonly offsets: number[];
  readonly positions: number[];
}

/** Where blocks begin, one per megabyte, as reading went by: derived, kept in memory, never trusted without a check. */
export class SparseIndex {
  readonly #files = new Map<string, FileIndex>();

  add(path: string, inode: number, offset: number, position: number): void {
    let file = this.#files.get(path);
    if (file === undefined || file.inode !== inode) {
      file = { inode, offsets: [], positions: [] };
      this.#files.set(path, file);
    }
    const last = file.positions.at(-1);
    if (last !== undefined && position < last + STRIDE) return;
    file.offsets.push(offset);
    file.positions.push(position);
  }

  /** The last known block that begins at or before `offset`. */
  before(path: string, inode: number, offset: number): { readonly offset: number; readonly position: number } | null {
    const file = this.#files.get(path);
    if (file === undefined || file.inode !== inode) return null;
    let low = 0;
    let high = file.offsets.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (file.offsets[middle]! <= offset) low = middle + 1;
      else high = middle;
    }
    return low === 0 ? null : { offset: file.offsets[low - 1]!, position: file.positions[low - 1]! };
  }

  /** Forgets a file whose tail was cut off or that is gone. */
  forget(path: string): void {
    this.#files.delete(path);
  }
}
