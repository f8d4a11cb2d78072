const MAX_VISITS = 40_000;
/** Unreached stretches entered behind a jump through a table. */
const MAX_SEEDS = 256;

/** How a function has moved SP when it reaches one of its instructions. Depths are bytes up to its frame address. */
export interface FlowState {
  /** From SP, at least; null if nothing can be told (paths that disagree). */
  readonly depth: number | null;
  /** What may come on top: 0 if the depth is exact, a few bytes behind an alignment, any number behind alloca (Infinity). */
  readonly slack: number;
  /** From the frame pointer, where the function keeps one. */
  readonly fpDepth: number | null;
  /** Slots that hold the caller's registers, by DWARF number; null: some path saved it and another did not. */
  readonly saved: ReadonlyMap<number, number | null>;
}

/** One instruction: how long it is, where it goes, and what it makes of the state. */
export interface FlowStep {
  readonly length: number;
  /** `jump` with target -1 goes where nothing tells; `end` returns, traps or is not understood. */
  readonly flow: 'next' | 'call' | 'branch' | 'jump' | 'end';
  /** Offset in the code; -1 if it is not told. */
  readonly target: number;
  readonly state: FlowState;
}

export type ReadState = (code: Buffer, at: number, state: FlowState) => FlowStep;

const sameSaved = (a: FlowState['saved'], b: FlowState['saved']): boolean => {
  if (a === b) return true;
  if (a.size !== b.size) return false;
  for (const [register, depth] of a) if (b.get(register) !== depth) return false;
  return true;
};

/** What holds whichever path was taken; `a` itself if `b` adds no doubt. */
const joined = (a: FlowState, b: FlowState): FlowState => {
  const depth = a.depth === b.depth ? a.depth : null;
  const slack = Math.max(a.slack, b.slack);
  const fpDepth = a.fpDepth === b.fpDepth ? a.fpDepth : null;
  let saved = a.saved;
  if (!sameSaved(a.saved, b.saved)) {
    const both = new Map(a.saved);
    for (const register of b.saved.keys()) if (!both.has(register)) both.set(register, null);
    for (const register of a.saved.keys())
      if (b.saved.get(register) !== a.saved.get(register)) both.set(register, null);
    if (!sameSaved(a.saved, both)) saved = both;
  }
  const asBefore = depth === a.depth && slack === a.slack && fpDepth === a.fpDepth && saved === a.saved;
  return asBefore ? a : { depth, slack, fpDepth, saved };
};

/**
 * Follows a function from its first instruction along every path, and what each does to SP, and gives the state at `offset`:
 * before the instruction there, or with `called` while the call that ends there goes on. Null if no path reaches it.
 * The function has `size` bytes of `code`, which may go on: decoders want to see a little more. `returns` tells for the offset of a call's target whether that call comes back. Code that
 * only a jump through a table can reach is entered with the state at such jumps.
 */
export const stackStateAt = (
  code: Buffer,
  size: number,
  offset: number,
  called: boolean,
  entry: FlowState,
  read: ReadState,
  returns: (target: number) => boolean = () => true,
): FlowState | null => {
  const states = new Map<number, FlowState>([[0, entry]]);
  const ends = new Map<number, number>();
  const work: number[] = [0];
  let table: FlowState | null | undefined;
  let seeds = 0;
  let during: FlowState | null = null;
  const found = (): FlowState | null => (called ? during : (states.get(offset) ?? null));
  const reach = (at: number, state: FlowState): void => {
    if (at < 0 || at > size) return;
    const known = states.get(at);
    const now = known === undefined ? state : joined(known, state);
    if (now === known) return;
    states.set(at, now);
    work.push(at);
  };
  for (let visits = 0; visits < MAX_VISITS; visits++) {
    const at = work.pop();
    if (at === undefined) {
      if (found() !== null || table == null || seeds++ >= MAX_SEEDS) return found();
      const next = unreached(code, states, ends, read, entry, offset);
      if (next === null) return null;
      reach(next, table);
      continue;
    }
    const told = read(code, at, states.get(at)!);
    ends.set(at, at + told.length);
    if (told.flow === 'end') continue;
    if (told.flow === 'call' && at + told.length === offset)
      during = during === null ? told.state : joined(during, told.state);
    // A jump with the frame still up leads into a table of this function; with it taken down, into another function.
    if (told.flow === 'jump' && told.target === -1 && (told.state.depth !== entry.depth || told.state.slack !== 0))
      table = table === undefined ? told.state : table === null ? null : joined(table, told.state);
    if (told.flow === 'branch' || told.flow === 'jump') reach(told.target, told.state);
    if (told.flow === 'jump' || (told.flow === 'call' && told.target !== -1 && !returns(told.target))) continue;
    reach(at + told.length, told.state);
  }
  return null;
};

/** Start of the last stretch before `offset` that nothing reached: behind an instruction that does not go on, and padding. */
const unreached = (
  code: Buffer,
  states: ReadonlyMap<number, FlowState>,
  ends: ReadonlyMap<number, number>,
  read: ReadState,
  entry: FlowState,
  offset: number,
): number | null => {
  let best = -1;
  for (const [at, end] of ends) if (at < offset && end <= offset && end > best && !states.has(end)) best = end;
  if (best < 0) return null;
  // Padding is instructions that do nothing: entering with them costs nothing.
  return read(code, best, entry).flow === 'end' && best !== offset ? null : best;
};
