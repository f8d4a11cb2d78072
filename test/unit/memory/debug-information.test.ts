import { describe, expect, test } from '@jest/globals';
import { DebugInfo } from '../../../producers/memory/dwarf/debug-info.js';
import { globalVariables, readGlobal } from '../../../producers/memory/dwarf/globals.js';
import { sectionBytes } from '../../../producers/memory/elf/elf.js';
import { isAttestreamError } from '../../../schemas/errors.js';
import { dwarfVectors } from '../../support/dwarf-vectors.js';
import { describeAt } from '../../support/frame-view.js';
import { withSections } from '../../support/replaced-sections.js';

const files = dwarfVectors().map(({ name, elf }) => ({ name, elf, module: { elf, info: new DebugInfo(elf) } }));

/** Every function that some address is in. */
const functionsOf = ({ elf, module }: (typeof files)[number]): ReadonlySet<string> => {
  const found = new Set<string>();
  for (let vaddr = 0x1000; vaddr < 0x2000; vaddr += 3)
    for (const one of describeAt(elf, vaddr, { module })) found.add(one.function);
  return found;
};

describe.each(files)('debug information of $name', (file) => {
  const { elf, module } = file;

  test('its functions, with those that the compiler put into others', () => {
    const found = functionsOf(file);
    for (const name of ['main', 'wait_epoll', 'wait_recv', 'recurse', 'inlined_inner', 'inlined_outer', 'on_signal'])
      expect(found).toContain(name);
  });

  test('each frame of an inlined function stands on the line that called the one within', () => {
    for (let vaddr = 0x1000; vaddr < 0x2000; vaddr++) {
      const frames = describeAt(elf, vaddr, { module });
      const at = frames.findIndex((frame) => frame.function === 'inlined_inner');
      if (at < 0) continue;
      const [inner, outer, caller] = frames.slice(at);
      expect(inner).toMatchObject({ inlined: true, file: expect.stringMatching(/waits\.c$/) });
      expect(outer).toMatchObject({ function: 'inlined_outer', inlined: true, line: 94 });
      expect(caller).toMatchObject({ function: 'run_epoll', inlined: false, line: 97 });
      return;
    }
    throw new Error('nothing was inlined');
  });

  test('globals by name, of one file, and those that are not there', () => {
    const found = globalVariables(module.info, ['last', 'waits.c:ready', 'other.c:ready', 'nothing', 'things']);
    expect([...found.keys()].sort()).toEqual(['last', 'things', 'waits.c:ready']);
    const last = found.get('last')!;
    expect(last).toMatchObject({ shape: { kind: 'struct', name: 'struct reading' }, why: '', constant: null });
    const bytes = Buffer.alloc(last.shape.size);
    bytes.write('tank');
    bytes.writeDoubleLE(1.25, 16);
    bytes.writeInt32LE(-7, 24);
    bytes.writeInt32LE(-2, 32);
    // a: 3 bits of 5, b: 5 bits of -7, c: 33 bits of 1
    bytes.writeUInt8(5 | (0b11001 << 3), 40);
    const told = readGlobal(
      last,
      0x1000,
      (address) => (address === last.address! + 0x1000 ? bytes : Buffer.alloc(0)),
      'x86-64',
    );
    expect(told).toMatchObject({
      kind: 'struct',
      valueKind: 'current',
      unavailable: '',
      value: { name: 'tank', value: 1.25, at: { x: -7, y: 0 }, mode: 'MODE_COOL', bits: { a: 5, b: -7, d: false } },
    });
    expect(readGlobal(last, 0, () => Buffer.alloc(0), 'x86-64')).toMatchObject({
      value: null,
      unavailable: 'outside of the memory that can be read',
    });
  });

  test('entries that refer to themselves, and nothing but ends of lists, end', () => {
    const info = sectionBytes(elf, '.debug_info');
    for (const fill of [0, 1, 0x0b, 0x2e, 0xff]) {
      const broken = withSections(elf, {
        '.debug_info': Buffer.concat([info.subarray(0, 64), Buffer.alloc(info.length - 64, fill)]),
      });
      const damaged = { elf: broken, info: new DebugInfo(broken) };
      try {
        for (let vaddr = 0x1000; vaddr < 0x2000; vaddr += 64) describeAt(broken, vaddr, { module: damaged });
      } catch (error) {
        expect(isAttestreamError(error) && error.code).toBe('DWARF_INVALID');
      }
    }
  });
});
