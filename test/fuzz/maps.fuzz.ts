import { sourceOfBuffer } from '../../producers/memory/elf/byte-source.js';
import { type Elf, parseElf } from '../../producers/memory/elf/elf.js';
import { loadBias } from '../../producers/memory/locate/load-bias.js';
import {
  mappingAt,
  parseMaps,
  parseSchedstat,
  parseStat,
  parseSyscall,
} from '../../producers/memory/locate/proc-files.js';
import type { FuzzTarget } from '../support/fuzz.js';
import { vector } from '../support/vectors.js';

let elf: Elf | undefined;

const MAPS = `555555554000-555555555000 r--p 00000000 fe:00 1234                       /opt/a b/gate way (deleted)
555555555000-555555556000 r-xp 00001000 fe:00 1234                       /opt/a b/gate way (deleted)
7ffff7fc0000-7ffff7fc2000 r-xp 00000000 00:00 0                          [vdso]
7ffff7fc2000-7ffff7fc3000 rwxp 00000000 00:01 99                         /memfd:hidden (deleted)
7ffc10000000-7ffc10021000 rw-p 00000000 00:00 0                          [stack]
ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]
`;

/** What the kernel tells of a process, with names that the process chose. */
export const target: FuzzTarget = {
  seeds: () => [
    Buffer.from(MAPS),
    Buffer.from(`42 (a) R (b) S 1 ${Array.from({ length: 49 }, (_, i) => i).join(' ')}\n`),
    Buffer.from('230 0x1 0x2 0x3 0x4 0x5 0x6 0x7ffc1000f000 0x7ffff7e8d7a0\n'),
    Buffer.from('123456 7890 12\n'),
  ],
  maxBytes: 16 * 1024,
  run: (input) => {
    elf ??= parseElf(sourceOfBuffer(vector('elf/tiny.so.gz')));
    const text = input.toString('utf8');
    const mappings = parseMaps(text);
    for (const mapping of mappings.slice(0, 32)) {
      mappingAt(mappings, mapping.start);
      loadBias(elf, mapping, mappings);
    }
    for (const address of [0, 0x555555555123, 2 ** 47, 2 ** 64]) {
      const found = mappingAt(mappings, address);
      if (found !== null && !(address >= found.start && address < found.end)) throw new Error('not within');
    }
    const stat = parseStat(text);
    if (stat !== null && !/^\d+$/.test(stat.startTime)) throw new Error('no start time');
    parseSyscall(input, input.length, { sp: 0, pc: 0, syscall: -1 });
    parseSchedstat(input, input.length);
  },
};
