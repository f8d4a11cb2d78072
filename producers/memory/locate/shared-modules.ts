import type { Module } from './module.js';

/** Files that nobody uses are kept for a moment, since programs that end are often started again. They hold their mount, so not longer. */
const IDLE_MS = 5000;
const MAX_IDLE = 8;

interface Shared {
  readonly module: Module;
  users: number;
  /** performance.now() when the last user left. */
  idleSince: number;
}

/**
 * Program files that several processes have mapped are read once. The identity must be one that nobody but the kernel gives: by
 * build id a process could pass a file of its own making off as another's. One module may have several identities.
 */
class SharedModules {
  readonly #shared = new Map<string, Shared>();
  #timer: NodeJS.Timeout | undefined;

  /** The known module of that file, or what `open` gives; each to be given back by `close`. Throws what `open` throws. */
  open(identity: string, open: () => Module): Module {
    const known = this.#shared.get(identity);
    if (known !== undefined) {
      known.users++;
      return known.module;
    }
    const module = open();
    this.#shared.set(identity, { module, users: 1, idleSince: 0 });
    return module;
  }

  has(identity: string): boolean {
    return this.#shared.has(identity);
  }

  /** Gives back a module that was opened as `identity`; one that is not shared is closed at once. */
  close(identity: string, module: Module): void {
    const known = this.#shared.get(identity);
    if (known?.module !== module) {
      module.close();
      return;
    }
    if (--known.users > 0) return;
    known.idleSince = performance.now();
    // The order of the map is then the order in which they became idle.
    this.#shared.delete(identity);
    this.#shared.set(identity, known);
    this.#sweep(IDLE_MS);
  }

  /** Closes all that nobody uses. */
  closeIdle(): void {
    this.#sweep(0);
  }

  #sweep(patience: number): void {
    const idle = [...this.#shared].filter(([, { users }]) => users === 0);
    const now = performance.now();
    for (const [i, [identity, { module, idleSince }]] of idle.entries())
      if (now - idleSince >= patience || i < idle.length - MAX_IDLE) {
        this.#shared.delete(identity);
        module.close();
      }
    clearTimeout(this.#timer);
    if (idle.length > 0 && patience > 0) this.#timer = setTimeout(() => this.#sweep(IDLE_MS), IDLE_MS + 1).unref();
  }
}

/** Those of this thread of JavaScript. */
export const sharedModules = new SharedModules();
