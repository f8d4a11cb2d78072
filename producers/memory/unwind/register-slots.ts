/**
 * Where in memory the registers of a frame were saved, by DWARF number. A handful for each frame: two short lists are made
 * faster than a map, and read as fast.
 */
export class RegisterSlots {
  readonly #registers: number[] = [];
  readonly #slots: number[] = [];

  static of(slots: ReadonlyMap<number, number>): RegisterSlots {
    const made = new RegisterSlots();
    for (const [register, slot] of slots) made.set(register, slot);
    return made;
  }

  /** Address of the slot that holds a register's value; undefined if it is not known. */
  get(register: number): number | undefined {
    const at = this.#registers.indexOf(register);
    return at < 0 ? undefined : this.#slots[at];
  }

  get size(): number {
    return this.#registers.length;
  }

  set(register: number, slot: number): void {
    const at = this.#registers.indexOf(register);
    if (at < 0) {
      this.#registers.push(register);
      this.#slots.push(slot);
    } else this.#slots[at] = slot;
  }

  /** Takes over from `from` those that `keeps` says. */
  inherit(from: RegisterSlots, keeps: (register: number) => boolean): void {
    for (let i = 0; i < from.#registers.length; i++)
      if (keeps(from.#registers[i]!)) this.set(from.#registers[i]!, from.#slots[i]!);
  }
}

export const NO_SLOTS = new RegisterSlots();
