import { sourceOfBuffer } from '../../producers/memory/elf/byte-source.js';
import { parseElf } from '../../producers/memory/elf/elf.js';
import { functionName, withoutParameters } from '../../producers/memory/elf/function-name.js';
import { SymbolTable } from '../../producers/memory/elf/symbols.js';
import type { FuzzTarget } from '../support/fuzz.js';
import { vector } from '../support/vectors.js';

const SEEDS = ['tiny.so', 'packed.so', 'linked.so', 'headerless.so', 'arm64.so', 'tiny.debug'];

/** Tables of symbols by address and by name, with and without section headers. */
export const target: FuzzTarget = {
  seeds: () => SEEDS.map((name) => vector(`elf/${name}.gz`)),
  maxAllocation: 65 * 1024 * 1024,
  run: (input) => {
    const table = new SymbolTable(parseElf(sourceOfBuffer(input)));
    if (table.length > input.length) throw new Error('more symbols than bytes');
    for (let at = 0; at < 0x4000; at += 61) {
      const symbol = table.covering(at);
      if (symbol === null) continue;
      if (at < symbol.start || at >= symbol.start + symbol.size) throw new Error('a symbol that does not cover');
      for (const name of symbol.names) withoutParameters(functionName(name).function);
    }
    table.named('outer');
    table.object('global_count');
  },
};
