import { stringAt } from '../elf/byte-source.js';
import { bytesAt, type Elf, sectionBytes } from '../elf/elf.js';

const SHT_RELA = 4;
const R_X86_64_GLOB_DAT = 6;
const R_X86_64_JUMP_SLOT = 7;

/** Where the call that ends at a return address goes to. */
export type CallTarget =
  | { readonly kind: 'address'; readonly vaddr: number }
  /** Through a slot that the dynamic linker fills in with the function of this name. */
  | { readonly kind: 'name'; readonly name: string }
  /** Through a register or memory: could be any function. */
  | { readonly kind: 'indirect' };

/** Names that the dynamic linker binds slots of the global offset table to, by the slot's link-time address. */
export const readSlots = (elf: Elf): ReadonlyMap<number, string> => {
  const slots = new Map<number, string>();
  for (const section of elf.sections) {
    if (section.type !== SHT_RELA || (section.name !== '.rela.plt' && section.name !== '.rela.dyn')) continue;
    const symbolSection = elf.sections[section.link];
    if (symbolSection === undefined) continue;
    const symbols = sectionBytes(elf, symbolSection);
    const names = sectionBytes(elf, elf.sections[symbolSection.link]);
    const bytes = sectionBytes(elf, section);
    for (let at = 0; at + 24 <= bytes.length; at += 24) {
      const type = bytes.readUInt32LE(at + 8);
      if (type !== R_X86_64_JUMP_SLOT && type !== R_X86_64_GLOB_DAT) continue;
      const symbolAt = bytes.readUInt32LE(at + 12) * 24;
      if (symbolAt + 24 > symbols.length) continue;
      const name = stringAt(names, symbols.readUInt32LE(symbolAt), 1024);
      if (name !== '') slots.set(Number(bytes.readBigUInt64LE(at)), name);
    }
  }
  return slots;
};

/** Bytes of one file's code, by link-time address. */
export class CallSites {
  readonly #elf: Elf;
  readonly #slots: ReadonlyMap<number, string>;
  readonly #known = new Map<number, CallTarget | null>();

  constructor(elf: Elf) {
    this.#elf = elf;
    this.#slots = readSlots(elf);
  }

  /** The call whose next instruction stands at `vaddr`; null if no call ends there. */
  endingAt(vaddr: number): CallTarget | null {
    const known = this.#known.get(vaddr);
    if (known !== undefined) return known;
    if (this.#known.size > 65_536) this.#known.clear();
    const target = this.#decode(vaddr);
    this.#known.set(vaddr, target);
    return target;
  }

  #decode(vaddr: number): CallTarget | null {
    const code = bytesAt(this.#elf, vaddr - 7, 7);
    if (code.length < 7) return null;
    // E8 rel32
    if (code[2] === 0xe8) return this.#throughStub(vaddr + code.readInt32LE(3));
    // FF 15 disp32: call *disp(%rip), as -fno-plt and libc's own calls have it
    if (code[1] === 0xff && code[2] === 0x15) return this.#throughSlot(vaddr + code.readInt32LE(3));
    // FF /2 with register, [reg], [reg+disp8], [reg+disp32], with or without SIB
    for (const [back, mod, sib] of INDIRECT)
      if (code[7 - back] === 0xff) {
        const modrm = code[8 - back]!;
        if (modrm >> 6 === mod && (modrm & 0x38) === 0x10 && ((modrm & 7) === 4) === sib) return { kind: 'indirect' };
      }
    return null;
  }

  #throughSlot(slot: number): CallTarget {
    const name = this.#slots.get(slot);
    return name === undefined ? { kind: 'indirect' } : { kind: 'name', name };
  }

  /** A stub of the procedure linkage table is [endbr64] [bnd] jmp *disp(%rip). */
  #throughStub(target: number): CallTarget {
    const code = bytesAt(this.#elf, target, 12);
    let at = code.length >= 4 && code.readUInt32LE(0) === 0xfa1e0ff3 ? 4 : 0;
    if (code[at] === 0xf2) at++;
    if (code[at] === 0xff && code[at + 1] === 0x25 && at + 6 <= code.length) {
      const through = this.#throughSlot(target + at + 6 + code.readInt32LE(at + 2));
      if (through.kind === 'name') return through;
    }
    return { kind: 'address', vaddr: target };
  }
}

/** Length of the call, its ModRM.mod, and whether a SIB byte follows. */
const INDIRECT: readonly (readonly [number, number, boolean])[] = [
  [2, 3, false],
  [2, 0, false],
  [3, 1, false],
  [3, 0, true],
  [4, 1, true],
  [6, 2, false],
  [7, 2, true],
];
