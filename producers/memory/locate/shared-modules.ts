import type { Module } from './module.js';

/**
 * Program files that several processes have mapped are read once. The identity must be one that nobody but the kernel gives: by
 * build id or content, a process could pass a file of its own making off as another's.
 */
class SharedModules {
  readonly #users = new Map<string, { readonly module: Module; count: number }>();
  readonly #identities = new WeakMap<Module, string>();

  /** The known module of that file, or what `open` gives; each to be given back by `close`. Throws what `open` throws. */
  open(identity: string, open: () => Module): Module {
    const known = this.#users.get(identity);
    if (known !== undefined) {
      known.count++;
      return known.module;
    }
    const module = open();
    this.#users.set(identity, { module, count: 1 });
    this.#identities.set(module, identity);
    return module;
  }

  has(identity: string): boolean {
    return this.#users.has(identity);
  }

  /** Closes a module that nobody uses any more; one that is not shared at once. */
  close(module: Module): void {
    const identity = this.#identities.get(module);
    const known = identity === undefined ? undefined : this.#users.get(identity);
    if (identity !== undefined && known?.module === module) {
      if (--known.count > 0) return;
      this.#users.delete(identity);
    }
    module.close();
  }
}

/** Those of this thread of JavaScript. */
export const sharedModules = new SharedModules();
