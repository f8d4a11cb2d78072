import { closeSync, fstatSync, openSync, readFileSync, readSync } from 'node:fs';
import { endianness } from 'node:os';
import { dirname, join } from 'node:path';
import type { ImaRecord } from '../../schemas/ima/entry.js';
import { ImaListReader } from '../../schemas/ima/list-reader.js';
import { recordOf } from '../../schemas/ima/record-span.js';

export const KERNEL_LIST = '/sys/kernel/security/ima/binary_runtime_measurements';

const CHUNK = 64 * 1024;

const DIGEST_BYTES: Readonly<Record<string, 20 | 32 | 48 | 64>> = { sha256: 32, sha384: 48, sha512: 64 };

/**
 * A measurement list that grows while it is read: the kernel's own, or a file in its binary form. Each record is given once;
 * a record that is not whole yet is given when it is. securityfs tells nobody of its changes, so the list is asked.
 */
export class ImaList {
  readonly #path: string;
  readonly #counter: string;
  readonly #chunk = Buffer.allocUnsafe(CHUNK);
  #file = -1;
  #read = 0;
  #reader!: ImaListReader;
  #index = 0;
  #waiting: ImaRecord[] = [];

  constructor(path = KERNEL_LIST) {
    this.#path = path;
    this.#counter = join(dirname(path), 'runtime_measurements_count');
    this.#reopen();
  }

  /** Records that were given so far: the index of the next. */
  get index(): number {
    return this.#index;
  }

  /** True if records may be there that were not given yet; cheap. */
  get grown(): boolean {
    if (this.#waiting.length > 0) return true;
    const count = this.#count();
    return count === null || count !== this.#index;
  }

  /**
   * Up to `limit` further records, oldest first. A list that became shorter began anew (another kernel, or the file was
   * replaced): its records are given from 0 on, and `restarted` is true for that call. Throws IMA_INVALID.
   */
  next(limit: number): { readonly records: readonly ImaRecord[]; readonly first: number; readonly restarted: boolean } {
    const restarted = this.#shrank();
    if (restarted) this.#reopen();
    while (this.#waiting.length < limit) {
      const bytes = readSync(this.#file, this.#chunk, 0, CHUNK, null);
      if (bytes === 0) break;
      this.#read += bytes;
      this.#reader.push(this.#chunk.subarray(0, bytes), (span) => {
        this.#waiting.push(recordOf(span));
      });
    }
    const records = this.#waiting.splice(0, limit);
    const first = this.#index;
    this.#index += records.length;
    return { records, first, restarted };
  }

  close(): void {
    if (this.#file >= 0) closeSync(this.#file);
    this.#file = -1;
  }

  /** null where no counter lies beside the list. */
  #count(): number | null {
    try {
      const count = Number(readFileSync(this.#counter, 'latin1'));
      return Number.isSafeInteger(count) ? count : null;
    } catch {
      return null;
    }
  }

  #shrank(): boolean {
    const { size } = fstatSync(this.#file);
    // Files of securityfs have no size: their counter tells.
    if (size > 0) return size < this.#read;
    const count = this.#count();
    return count !== null && count < this.#index + this.#waiting.length;
  }

  #reopen(): void {
    this.close();
    this.#file = openSync(this.#path, 'r');
    const bank = /_(sha\d+)$/.exec(this.#path)?.[1] ?? '';
    this.#reader = new ImaListReader({
      format: 'binary',
      digestBytes: DIGEST_BYTES[bank] ?? 20,
      byteOrder: endianness() === 'BE' ? 'big' : 'little',
      path: this.#path,
    });
    this.#read = 0;
    this.#index = 0;
    this.#waiting = [];
  }
}
