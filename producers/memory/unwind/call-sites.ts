import { stringAt } from '../elf/byte-source.js';
import { bytesAt, type Elf, sectionBytes } from '../elf/elf.js';
import type { Architecture } from './architecture.js';
import { architectureOf } from './architectures.js';
import type { CallTarget } from './call-site.js';

const SHT_RELA = 4;
const MAX_KNOWN = 65_536;

/** Names that the dynamic linker binds slots of the global offset table to, by the slot's link-time address. */
export const readSlots = (elf: Elf, relocations: ReadonlySet<number>): ReadonlyMap<number, string> => {
  const slots = new Map<number, string>();
  for (const section of elf.sections) {
    if (section.type !== SHT_RELA || (section.name !== '.rela.plt' && section.name !== '.rela.dyn')) continue;
    const symbolSection = elf.sections[section.link];
    if (symbolSection === undefined) continue;
    const symbols = sectionBytes(elf, symbolSection);
    const names = sectionBytes(elf, elf.sections[symbolSection.link]);
    const bytes = sectionBytes(elf, section);
    for (let at = 0; at + 24 <= bytes.length; at += 24) {
      if (!relocations.has(bytes.readUInt32LE(at + 8))) continue;
      const symbolAt = bytes.readUInt32LE(at + 12) * 24;
      if (symbolAt + 24 > symbols.length) continue;
      const name = stringAt(names, symbols.readUInt32LE(symbolAt), 1024);
      if (name !== '') slots.set(Number(bytes.readBigUInt64LE(at)), name);
    }
  }
  return slots;
};

/** The calls of one file's code, by link-time address. */
export class CallSites {
  readonly #elf: Elf;
  readonly #architecture: Architecture | null;
  readonly #known = new Map<number, CallTarget | null>();
  #slots: ReadonlyMap<number, string> | undefined;

  constructor(elf: Elf) {
    this.#elf = elf;
    this.#architecture = architectureOf(elf.machine);
  }

  /** The call whose next instruction stands at `vaddr`; null if no call ends there. */
  endingAt(vaddr: number): CallTarget | null {
    const known = this.#known.get(vaddr);
    if (known !== undefined) return known;
    if (this.#known.size > MAX_KNOWN) this.#known.clear();
    const target = this.#decode(vaddr);
    this.#known.set(vaddr, target);
    return target;
  }

  #decode(vaddr: number): CallTarget | null {
    const architecture = this.#architecture;
    if (architecture === null) return null;
    const longest = architecture.longestCall;
    const site = architecture.callBefore(bytesAt(this.#elf, vaddr - longest, longest), vaddr);
    if (site === null || site.kind === 'indirect') return site;
    if (site.kind === 'slot') return this.#throughSlot(site.slot);
    return this.target(site.target);
  }

  /** The function behind a code address: itself, or the one that a stub of the procedure linkage table there leads to. */
  target(vaddr: number): CallTarget {
    const slot = this.#architecture?.stubSlot(bytesAt(this.#elf, vaddr, 32), vaddr) ?? null;
    if (slot !== null) {
      const through = this.#throughSlot(slot);
      if (through.kind === 'name') return through;
    }
    return { kind: 'address', vaddr };
  }

  #throughSlot(slot: number): CallTarget {
    this.#slots ??= this.#readSlots();
    const name = this.#slots.get(slot);
    return name === undefined ? { kind: 'indirect' } : { kind: 'name', name };
  }

  #readSlots(): ReadonlyMap<number, string> {
    try {
      return readSlots(this.#elf, this.#architecture?.slotRelocations ?? new Set());
    } catch {
      // Without relocations every stub may lead anywhere.
      return new Map();
    }
  }
}
