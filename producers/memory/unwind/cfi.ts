import { Cursor } from '../elf/byte-source.js';
import { bytesAt, type Elf, sectionBytes } from '../elf/elf.js';
import { encodedPointer } from './encoded-pointer.js';
import { type FrameBytes, FrameSection } from './frame-section.js';
import type { UnwindRow } from './unwind-row.js';

const MAX_HEADER = 32 * 1024 * 1024;
const MAX_SECTION = 64 * 1024 * 1024;
const MAX_ROWS = 65_536;
const HEADER_VERSION = 1;
/** What every linker writes: .eh_frame pointer pcrel|sdata4, count udata4, table datarel|sdata4. */
const USUAL_TABLE = 0x3b;

/** Finds the entry of a function. */
interface Lookup {
  readonly section: FrameSection;
  entryFor(vaddr: number): number | null;
}

interface Header {
  readonly vaddr: number;
  readonly bytes: Buffer;
  readonly frameVaddr: number;
  readonly count: number;
  readonly tableAt: number;
}

const readHeader = (elf: Elf): Header | null => {
  const segment = elf.ehFrameHeader;
  if (segment === null) return null;
  const bytes = elf.source.read(segment.offset, Math.min(segment.fileSize, MAX_HEADER));
  try {
    const cursor = new Cursor(bytes, 0, bytes.length, 'ELF_INVALID');
    if (cursor.u8() !== HEADER_VERSION) return null;
    const [frame, countEncoding, table] = [cursor.u8(), cursor.u8(), cursor.u8()];
    const frameVaddr = encodedPointer(cursor, frame, segment.vaddr, segment.vaddr);
    const count =
      countEncoding === 0xff ? 0 : encodedPointer(cursor, countEncoding & 0x0f, segment.vaddr, segment.vaddr);
    const usual = table === USUAL_TABLE && count > 0;
    const tableAt = cursor.at;
    return {
      vaddr: segment.vaddr,
      bytes,
      frameVaddr,
      count: usual ? Math.min(count, Math.floor((bytes.length - tableAt) / 8)) : 0,
      tableAt,
    };
  } catch {
    return null;
  }
};

/** `.eh_frame` where its section says, or from where the header points to the end of that segment: files without sections. */
const ehFrameBytes = (elf: Elf, header: Header | null): FrameBytes | null => {
  const section = elf.sections.find(({ name }) => name === '.eh_frame');
  const address = header?.frameVaddr ?? section?.vaddr ?? 0;
  const load = elf.loads.find((s) => address >= s.vaddr && address < s.vaddr + s.fileSize);
  if (load === undefined) return null;
  const room = load.fileSize - (address - load.vaddr);
  const size = Math.min(room, MAX_SECTION, section?.vaddr === address ? section.size : room);
  return {
    eh: true,
    address,
    size,
    read: (offset, length) => bytesAt(elf, address + offset, Math.min(length, size - offset)),
  };
};

/** Lower bound in a sorted table: the last index whose start is not beyond `value`; -1 if none. */
const lastNotBeyond = (count: number, start: (index: number) => number, value: number): number => {
  let low = 0;
  let high = count;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (start(middle) <= value) low = middle + 1;
    else high = middle;
  }
  return low - 1;
};

const byTable = (section: FrameSection, header: Header): Lookup => ({
  section,
  entryFor(vaddr) {
    const { bytes, tableAt } = header;
    const found = lastNotBeyond(header.count, (i) => bytes.readInt32LE(tableAt + i * 8), vaddr - header.vaddr);
    return found < 0 ? null : header.vaddr + bytes.readInt32LE(tableAt + found * 8 + 4) - header.frameVaddr;
  },
});

const byIndex = (section: FrameSection): Lookup => {
  let index: ReturnType<FrameSection['index']> | undefined;
  return {
    section,
    entryFor(vaddr) {
      index ??= section.index();
      const { starts, entries } = index;
      const found = lastNotBeyond(starts.length, (i) => starts[i]!, vaddr);
      return found < 0 ? null : entries[found]!;
    },
  };
};

const debugFrame = (elf: Elf): Lookup | null => {
  const bytes = sectionBytes(elf, '.debug_frame');
  if (bytes.length === 0) return null;
  return byIndex(
    new FrameSection(
      {
        eh: false,
        address: 0,
        size: bytes.length,
        read: (offset, length) => bytes.subarray(Math.min(offset, bytes.length), offset + length),
      },
      0,
    ),
  );
};

/**
 * The call frame information of one file: `.eh_frame` through the sorted table of `.eh_frame_hdr` or a linear index, then
 * `.debug_frame`, also of the separate debug file that `debug` finds.
 */
export class CallFrameInfo {
  readonly #elf: Elf;
  readonly #debug: () => Elf | null;
  readonly #rows = new Map<number, UnwindRow | null>();
  readonly #eh: Lookup | null;
  #more: readonly Lookup[] | undefined;

  constructor(elf: Elf, debug: () => Elf | null = () => null) {
    this.#elf = elf;
    this.#debug = debug;
    const header = readHeader(elf);
    const bytes = ehFrameBytes(elf, header);
    if (bytes === null) this.#eh = null;
    else {
      const section = new FrameSection(bytes, header?.vaddr ?? 0);
      this.#eh = header !== null && header.count > 0 ? byTable(section, header) : byIndex(section);
    }
  }

  /** The row for a link-time pc; null where the compiler told nothing usable. */
  at(vaddr: number): UnwindRow | null {
    const known = this.#rows.get(vaddr);
    if (known !== undefined) return known;
    if (this.#rows.size > MAX_ROWS) this.#rows.clear();
    let row = this.#eh === null ? null : compute(this.#eh, vaddr);
    if (row === null) for (const lookup of this.#debugFrames()) row ??= compute(lookup, vaddr);
    this.#rows.set(vaddr, row);
    return row;
  }

  #debugFrames(): readonly Lookup[] {
    if (this.#more === undefined) {
      const files = new Set([this.#elf]);
      try {
        const separate = this.#debug();
        if (separate !== null) files.add(separate);
      } catch {
        // Without it, other rules must do.
      }
      this.#more = [...files].flatMap((elf) => {
        try {
          return debugFrame(elf) ?? [];
        } catch {
          return [];
        }
      });
    }
    return this.#more;
  }
}

/** A damaged entry tells nothing; the other rules of unwinding take over. */
const compute = (lookup: Lookup, vaddr: number): UnwindRow | null => {
  try {
    const at = lookup.entryFor(vaddr);
    return at === null || !(at >= 0) ? null : lookup.section.row(at, vaddr);
  } catch {
    return null;
  }
};
