import { bytesAt } from '../elf/elf.js';
import type { Module } from '../locate/module.js';
import { branchOf } from './arm64-instructions.js';

/** Code beyond this is not indexed. */
const MAX_CODE = 64 * 1024 * 1024;

/** Branch instructions of a file for arm64, by where they go. */
export interface CallIndex {
  /** False: part of the code was left out. */
  readonly whole: boolean;
  /** Addresses of `bl` (`link`) or `b` instructions that go to `target`. */
  to(target: number, link: boolean): readonly number[];
  /** Targets of calls within a range, each once. */
  targetsIn(start: number, end: number): readonly number[];
}

const known = new WeakMap<Module, CallIndex>();

export const callIndex = (module: Module): CallIndex => {
  let index = known.get(module);
  if (index === undefined) {
    index = readIndex(module);
    known.set(module, index);
  }
  return index;
};

const readIndex = (module: Module): CallIndex => {
  const found: { target: number; at: number; link: boolean }[] = [];
  let whole = true;
  for (const load of module.elf.loads) {
    if (!load.executable) continue;
    const code = bytesAt(module.elf, load.vaddr, Math.min(load.fileSize, MAX_CODE));
    if (code.length < load.fileSize) whole = false;
    for (let at = 0; at + 4 <= code.length; at += 4) {
      const branch = branchOf(code.readUInt32LE(at));
      if (branch !== null) found.push({ target: load.vaddr + at + branch.by, at: load.vaddr + at, link: branch.link });
    }
  }
  found.sort((a, b) => a.target - b.target);
  const targets = Float64Array.from(found, ({ target }) => target);
  // The lowest bit of an instruction's address is free.
  const sites = Float64Array.from(found, ({ at, link }) => at + (link ? 1 : 0));
  const first = (target: number): number => {
    let low = 0;
    let high = targets.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (targets[middle]! < target) low = middle + 1;
      else high = middle;
    }
    return low;
  };
  return {
    whole,
    to(target, link) {
      const result: number[] = [];
      for (let i = first(target); targets[i] === target; i++)
        if ((sites[i]! % 2 === 1) === link) result.push(sites[i]! - (link ? 1 : 0));
      return result;
    },
    targetsIn(start, end) {
      const result: number[] = [];
      for (let i = first(start); i < targets.length && targets[i]! < end; i++)
        if (targets[i] !== result.at(-1)) result.push(targets[i]!);
      return result;
    },
  };
};
