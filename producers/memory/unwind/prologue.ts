import { instructionAt } from './instructions.js';

const MAX_INSTRUCTIONS = 20_000;

/** How a function has moved SP when it reaches one of its instructions. Depths are bytes up to its frame address. */
export interface StackState {
  /** From SP; null if it cannot be told (alloca, alignment). */
  readonly depth: number | null;
  /** From rbp, where the function keeps a frame pointer. */
  readonly bpDepth: number | null;
  /** From the slot that holds the caller's rbp; null if the function has not saved it. */
  readonly savedBp: number | null;
}

/**
 * Follows a function from its first instruction along every path to the one at `offset`, and what each does to SP.
 * Null if no path reaches it or if paths disagree: then nothing is certain. `code` may go on a little beyond the function.
 */
export const stackStateAt = (code: Buffer, offset: number): StackState | null => {
  const states = new Map<number, StackState>();
  const work: number[] = [0];
  states.set(0, { depth: 8, bpDepth: null, savedBp: null });
  let agreed = true;
  const reach = (at: number, state: StackState): void => {
    if (at < 0 || at > code.length) return;
    const known = states.get(at);
    if (known === undefined) {
      states.set(at, state);
      work.push(at);
    } else if (known.depth !== state.depth || known.bpDepth !== state.bpDepth || known.savedBp !== state.savedBp)
      // Where a path comes from a call that does not return, its state may be anything: it only matters on the way to `offset`.
      agreed = false;
  };
  for (let n = 0; n < MAX_INSTRUCTIONS; n++) {
    const at = work.pop();
    if (at === undefined) return agreed ? (states.get(offset) ?? null) : null;
    const state = states.get(at)!;
    const told = instructionAt(code, at);
    if (told.flow === 'end') continue;
    const next = after(state, told);
    if (told.flow !== 'jump') reach(at + told.length, next);
    if (told.flow === 'jump' || told.flow === 'branch') reach(told.target, next);
  }
  return null;
};

const after = (state: StackState, told: ReturnType<typeof instructionAt>): StackState => {
  if (told.sp === 'keep' && told.bp === 'keep') return state;
  let { depth, bpDepth, savedBp } = state;
  if (told.sp === 'move') depth = depth === null ? null : depth + told.by;
  else if (told.sp === 'from-bp') depth = bpDepth === null ? null : bpDepth + told.by;
  else if (told.sp === 'lost') depth = null;
  if (told.bp === 'push') savedBp ??= depth;
  else if (told.bp === 'set') bpDepth = depth;
  else if (told.bp === 'restore') {
    bpDepth = null;
    savedBp = null;
  }
  return { depth, bpDepth, savedBp };
};
