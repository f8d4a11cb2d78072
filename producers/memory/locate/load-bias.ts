import type { Elf, Segment } from '../elf/elf.js';
import { ET_EXEC } from '../elf/elf.js';
import type { Mapping } from './proc-files.js';

/** The smallest and the largest page of any machine: what the kernel maps begins at a multiple of its own. */
const LEAST_PAGE = 4096;
const LARGEST_PAGE = 65_536;

/** The machine's page: the largest that divides all that is mapped. */
const pageOf = (mappings: readonly Mapping[]): number => {
  let page = LARGEST_PAGE;
  for (const { start, end } of mappings)
    while (page > LEAST_PAGE && (start % page !== 0 || end % page !== 0)) page /= 2;
  return page;
};

/** The segment's bytes that the mapping's first page shows begin where the kernel rounded the segment's offset down to. */
const shows = (segment: Segment, offset: number, page: number): boolean =>
  segment.fileSize > 0 &&
  offset >= segment.offset - (segment.offset % page) &&
  offset < segment.offset + segment.fileSize;

const biasOf = (segment: Segment, mapping: Mapping): number =>
  mapping.start - (segment.vaddr + (mapping.offset - segment.offset));

/**
 * Run-time address minus link-time address of the code in one mapping of a file; null if no segment of the file is mapped there.
 * Two segments may share a page of the file (the end of one, the start of the next), each mapped at an address of its own:
 * what the file's other mappings agree with is right.
 */
export const loadBias = (elf: Elf, mapping: Mapping, mappings: readonly Mapping[]): number | null => {
  const page = pageOf(mappings);
  const showing = elf.loads.filter((segment) => shows(segment, mapping.offset, page));
  const executable = showing.filter((segment) => segment.executable);
  const candidates = new Set((executable.length > 0 ? executable : showing).map((segment) => biasOf(segment, mapping)));
  if (candidates.size <= 1) return candidates.values().next().value ?? null;
  // A program linked to fixed addresses lies where its headers say, else it could not run.
  if (elf.type === ET_EXEC && candidates.has(0)) return 0;
  const same = mappings.filter(({ inode, device }) => inode === mapping.inode && device === mapping.device);
  const agreeing = (bias: number): number =>
    same.filter((other) => elf.loads.some((load) => shows(load, other.offset, page) && biasOf(load, other) === bias))
      .length;
  return [...candidates].sort((a, b) => agreeing(b) - agreeing(a))[0]!;
};
