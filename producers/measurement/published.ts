import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Head of a stream that an earlier agent of this boot wrote. */
export interface EarlierHead {
  readonly topic: string;
  readonly seq: number;
  /** hex */
  readonly head: string;
}

/** What the agents of this boot told a log so far. */
export interface Published {
  /** Boot id of the kernel: another one, and nothing of this counts. */
  readonly boot: string;
  readonly log: string;
  /** Records of the kernel's list. */
  readonly list: number;
  readonly firmware: boolean;
  readonly heads: readonly EarlierHead[];
}

export const STATE_FOLDER = '/run/attestream';
const FILE = 'measurements.json';

const nothing = (boot: string, log: string): Published => ({ boot, log, list: 0, firmware: false, heads: [] });

const isPublished = (value: unknown): value is Published => {
  const { boot, log, list, firmware, heads } = (value ?? {}) as Partial<Record<keyof Published, unknown>>;
  return (
    typeof boot === 'string' &&
    typeof log === 'string' &&
    Number.isSafeInteger(list) &&
    (list as number) >= 0 &&
    typeof firmware === 'boolean' &&
    Array.isArray(heads)
  );
};

/**
 * Remembers, for the rest of this boot, what was published, so that a restarted agent goes on and does not begin anew. Lost or
 * damaged it costs a repetition, which readers drop.
 */
export class PublishedFile {
  readonly #path: string;
  readonly #folder: string;

  constructor(folder = STATE_FOLDER) {
    this.#folder = folder;
    this.#path = join(folder, FILE);
  }

  read(boot: string, log: string): Published {
    try {
      const found: unknown = JSON.parse(readFileSync(this.#path, 'utf8'));
      if (isPublished(found) && found.boot === boot && found.log === log) return found;
    } catch {
      // Absent at the first start of a boot.
    }
    return nothing(boot, log);
  }

  /** False where it cannot be written. */
  write(published: Published): boolean {
    try {
      mkdirSync(this.#folder, { recursive: true, mode: 0o700 });
      const fresh = `${this.#path}.new`;
      writeFileSync(fresh, JSON.stringify(published), { mode: 0o600 });
      renameSync(fresh, this.#path);
      return true;
    } catch {
      return false;
    }
  }
}
