import { sourceOfBuffer } from '../../producers/memory/elf/byte-source.js';
import { type Elf, parseElf } from '../../producers/memory/elf/elf.js';
import { vector, vectorNames } from './vectors.js';

/** Debug information of test/oracle/programs/waits.c by several compilers, without code. */
export const dwarfVectors = (): readonly { readonly name: string; readonly elf: Elf }[] =>
  vectorNames('dwarf').map((name) => ({ name, elf: parseElf(sourceOfBuffer(vector(`dwarf/${name}`))) }));
