import { sourceOfBuffer } from '../../producers/memory/elf/byte-source.js';
import { debugLink, findAlternateFile, findDebugFile } from '../../producers/memory/elf/debug-file.js';
import { parseElf } from '../../producers/memory/elf/elf.js';
import type { FuzzTarget } from '../support/fuzz.js';
import { vector } from '../support/vectors.js';

/** Nothing is there, whatever a link names: only the names are tried. */
const NOWHERE = { path: '/app/program', roots: ['/nonexistent'], downloads: ['/nonexistent'] };

/** Links to separate debug files. */
export const target: FuzzTarget = {
  seeds: () => ['linked.so', 'mini.so'].map((name) => vector(`elf/${name}.gz`)),
  maxAllocation: 65 * 1024 * 1024,
  run: (input) => {
    const elf = parseElf(sourceOfBuffer(input));
    const link = debugLink(elf);
    if (link !== null && /\/|^\.{0,2}$|\0/.test(link.name)) throw new Error('a link that leads elsewhere');
    if (findDebugFile(elf, NOWHERE) !== null) throw new Error('a debug file from nowhere');
    if (findAlternateFile(elf, NOWHERE.path, NOWHERE) !== null) throw new Error('a debug file from nowhere');
  },
};
