import type { Module } from '../locate/module.js';
import { callIndex } from './call-index.js';
import { codeOf } from './module-code.js';
import type { CodeAt } from './position.js';
import type { CodeImage } from './stack-frame.js';

const MAX_SITES = 4096;
/** Functions reached by tail calls from functions reached by tail calls. */
const MAX_TAILS = 64;

interface Loaded {
  readonly module: Module;
  readonly bias: number;
}

/** The files with code in a process, each once. */
const loaded = (image: CodeImage): Loaded[] => {
  const found = new Map<Module, Loaded>();
  for (const mapping of image.mappings) {
    if (!mapping.executable) continue;
    const place = image.place(mapping.start);
    if (place !== null) found.set(place.module, { module: place.module, bias: mapping.start - place.vaddr });
  }
  return [...found.values()];
};

/** Stubs of a file's procedure linkage table that lead to a function of one of these names. */
const stubsOf = (module: Module, names: readonly string[]): number[] => {
  const tables = module.elf.sections.filter(({ name }) => name.startsWith('.plt'));
  const index = callIndex(module);
  return tables
    .flatMap(({ vaddr, size }) => index.targetsIn(vaddr, vaddr + size))
    .filter((target) => {
      const callee = module.calls.target(target);
      return callee.kind === 'name' && names.includes(callee.name);
    });
};

/** Found anew when files are mapped or go: the list of mappings is another one then. */
const known = new WeakMap<CodeImage['mappings'], Map<string, readonly number[] | null>>();

/** As `findLinkCallers`, kept while the mappings stay. */
export const linkCallers = (image: CodeImage, code: CodeAt): readonly number[] | null => {
  let found = known.get(image.mappings);
  if (found === undefined) {
    found = new Map();
    known.set(image.mappings, found);
  }
  const key = `${code.place.module.path} ${code.row?.start ?? code.symbol?.start}`;
  let callers = found.get(key);
  if (callers === undefined) {
    callers = findLinkCallers(image, code);
    found.set(key, callers);
  }
  return callers;
};

/**
 * Every return address that a call to the function at `code` can have left in the link register: behind the calls to it,
 * direct, through stubs, or to functions that jump to it. Null if not all of them can be told.
 */
const findLinkCallers = (image: CodeImage, code: CodeAt): readonly number[] | null => {
  const range = code.range();
  if (range === null) return null;
  const files = loaded(image);
  if (files.some(({ module }) => !callIndex(module).whole)) return null;
  const returns = new Set<number>();
  const seen = new Set<string>();
  const open: { module: Module; start: number; names: readonly string[] }[] = [
    { module: code.place.module, start: range.start, names: code.symbol?.names ?? [] },
  ];
  for (let callee = open.pop(); callee !== undefined; callee = open.pop()) {
    for (const { module, bias } of files) {
      const targets = stubsOf(module, callee.names);
      if (module === callee.module) targets.push(callee.start);
      for (const target of targets) {
        const key = `${bias} ${target}`;
        if (seen.has(key)) continue;
        seen.add(key);
        if (seen.size > MAX_TAILS) return null;
        const index = callIndex(module);
        for (const site of index.to(target, true)) returns.add(bias + site + 4);
        for (const site of index.to(target, false)) {
          const from = codeOf(module).range(site);
          if (from === null) return null;
          if (from.start === callee.start && module === callee.module) continue;
          open.push({ module, start: from.start, names: module.symbols.covering(site)?.names ?? [] });
        }
        if (returns.size > MAX_SITES) return null;
      }
    }
  }
  return [...returns];
};
