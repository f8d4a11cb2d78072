import { sourceOfBuffer } from '../../producers/memory/elf/byte-source.js';
import { bytesAt, parseElf, sectionBytes } from '../../producers/memory/elf/elf.js';
import { runtimeOf } from '../../producers/memory/locate/runtime.js';
import { isAttestreamError } from '../../schemas/errors.js';
import type { FuzzTarget } from '../support/fuzz.js';
import { vector, vectorNames } from '../support/vectors.js';

/** Headers, segments, sections (compressed ones too), notes, and what tells a runtime. */
export const target: FuzzTarget = {
  seeds: () =>
    vectorNames('elf')
      .filter((name) => name.endsWith('.gz'))
      .map((name) => vector(`elf/${name}`)),
  // One compressed section may unpack to as much.
  maxAllocation: 65 * 1024 * 1024,
  run: (input) => {
    const elf = parseElf(sourceOfBuffer(input));
    for (const section of elf.sections.slice(0, 64)) {
      if (section.name.length > 256) throw new Error('a name without bound');
      try {
        sectionBytes(elf, section);
      } catch (error) {
        if (!isAttestreamError(error, 'ELF_INVALID')) throw error;
      }
    }
    for (const { vaddr } of elf.loads.slice(0, 64))
      if (bytesAt(elf, vaddr, 4096).length > input.length) throw new Error('more bytes than there are');
    if (!/^(?:[0-9a-f]{2})*$/.test(elf.buildId) || elf.buildId.length > 128) throw new Error('no build id');
    runtimeOf(elf, '/usr/bin/python3.9');
  },
};
