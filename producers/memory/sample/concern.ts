import { hasDebugInfo } from '../elf/debug-file.js';
import type { Module } from '../locate/module.js';
import type { Watch } from './look-result.js';

const known = new WeakMap<ReadonlySet<string>, WeakMap<Module, boolean>>();

/**
 * Can debug information of a file matter to those who watch these functions? Separate debug files of libraries are large, and
 * what they tell beyond symbols is lines and values: of a library that defines none of the functions nobody has asked for them.
 * The program's own file always matters, for functions that were put into others.
 */
export const concerns = (module: Module, watch: Watch): boolean => {
  if (watch === 'all') return true;
  let modules = known.get(watch);
  if (modules === undefined) {
    modules = new WeakMap();
    known.set(watch, modules);
  }
  let told = modules.get(module);
  if (told === undefined) {
    const { symbols, elf } = module;
    told =
      watch.size > 0 &&
      (hasDebugInfo(elf) || symbols.named('main') !== null || [...watch].some((name) => symbols.named(name) !== null));
    modules.set(module, told);
  }
  return told;
};
