import type { FunctionSymbol } from '../elf/symbols.js';
import type { Place } from '../locate/module.js';
import type { Architecture } from './architecture.js';
import { type CodeRange, codeOf } from './module-code.js';
import type { RegisterSlots } from './register-slots.js';
import type { CodeImage, FoundBy } from './stack-frame.js';
import type { UnwindRow } from './unwind-row.js';

/** Where unwinding stands: one frame, before it is known how far it reaches. */
export interface Position {
  readonly pc: number;
  readonly sp: number;
  /** `pc` is the very instruction: the thread stands there or was interrupted there. Otherwise it is where a call returns to. */
  readonly exact: boolean;
  readonly slots: RegisterSlots;
  readonly foundBy: FoundBy;
}

/** The code at a position and what is told of it. */
export interface CodeAt {
  readonly place: Place;
  readonly architecture: Architecture;
  /** Link-time address that tells the function: within the call where the frame has called on. */
  readonly lookup: number;
  readonly symbol: FunctionSymbol | null;
  readonly row: UnwindRow | null;
  /** Asked for only where call frame information does not suffice. */
  range(): CodeRange | null;
}

/** Where a call returns to: it may be the last instruction of its file. */
export const returnPlace = (image: CodeImage, returnAddress: number): Place | null => {
  const place = image.place(returnAddress);
  if (place !== null) return place;
  const before = image.place(returnAddress - 1);
  return before === null ? null : { module: before.module, vaddr: before.vaddr + 1 };
};

/** Code that no file holds, such as a compiler at run time makes: whatever stands there may have called. */
export const isLoose = (image: CodeImage, address: number): boolean =>
  image.place(address) === null && image.mapping(address)?.executable === true;

export const codeAt = (image: CodeImage, pc: number, exact: boolean): CodeAt | null => {
  const place = exact ? image.place(pc) : returnPlace(image, pc);
  if (place === null) return null;
  const code = codeOf(place.module);
  if (code.architecture === null) return null;
  const lookup = exact ? place.vaddr : place.vaddr - 1;
  const told = code.told(lookup);
  return {
    place,
    architecture: code.architecture,
    lookup,
    symbol: told.symbol,
    row: told.row,
    range: () => code.range(lookup),
  };
};
