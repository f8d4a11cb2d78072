import { sourceOfBuffer } from '../../producers/memory/elf/byte-source.js';
import { type Elf, type Section, sectionBytes } from '../../producers/memory/elf/elf.js';

/** A file with the debug sections of another, some of them replaced, and nothing else. */
export const withSections = (elf: Elf, replaced: Readonly<Record<string, Buffer>>): Elf => {
  const parts: Buffer[] = [];
  const sections: Section[] = [];
  let offset = 0;
  const names = new Set([
    ...elf.sections.map(({ name }) => name).filter((name) => name.startsWith('.debug_')),
    ...Object.keys(replaced),
  ]);
  for (const name of names) {
    const bytes = replaced[name] ?? sectionBytes(elf, name);
    parts.push(bytes);
    sections.push({ name, type: 1, flags: 0, vaddr: 0, offset, size: bytes.length, link: 0, info: 0 });
    offset += bytes.length;
  }
  return {
    ...elf,
    source: sourceOfBuffer(Buffer.concat(parts)),
    segments: [],
    loads: [],
    ehFrameHeader: null,
    sections,
  };
};
