import { callSiteStep, type Ending, linkStep, scanStep } from './caller-search.js';
import { type CodeAt, codeAt, type Position } from './position.js';
import { NO_SLOTS, RegisterSlots } from './register-slots.js';
import type { CodeImage, FoundBy, StackFrame, Unwound } from './stack-frame.js';
import type { StackMemory } from './stack-memory.js';
import { decisiveStep, isStep, type Outcome, type Step } from './unwind-step.js';

const MAX_FRAMES = 1024;
/** Signal frames that lead to a stack at a lower address: alternate stacks. Elsewhere a stack only goes up. */
const MAX_SWITCHES = 4;
/** Steps of all trials of one stack together: some 20 ms. */
const MAX_TRIAL_STEPS = 30_000;
/** Searches of one stack: each reads all of it. */
const MAX_SEARCHES = 8;
/** Frames that nothing decisive told, at most: a stack of garbage is not worth more. */
const MAX_SCANNED = 64;

/** Functions that nothing of the program called. */
const ROOTS = new Set(['_start', '__clone', 'clone', '__clone3', 'clone3', 'start_thread', 'main', 'runtime.goexit']);

const rooted = (code: CodeAt | null): boolean => code?.symbol?.names.some((name) => ROOTS.has(name)) ?? false;

const NONE: ReadonlyMap<number, number> = new Map();

const after = (step: Step, foundBy: FoundBy): Position => ({
  pc: step.returnAddress,
  sp: step.sp,
  exact: step.interrupted,
  slots: step.slots,
  foundBy,
});

/** Follows a stack from one position outwards by decisive rules. */
class Walk {
  #switches = 0;
  #trialSteps = 0;
  #searches = 0;
  readonly #image: CodeImage;
  readonly #stack: StackMemory;
  /** False within the trial of a search: there are no searches in searches. */
  readonly #search: boolean;

  constructor(image: CodeImage, stack: StackMemory, search: boolean) {
    this.#image = image;
    this.#stack = stack;
    this.#search = search;
  }

  /** The decisive outcome of one frame. */
  step(at: Position, code: CodeAt | null): Outcome {
    if (code === null) return null;
    let outcome = decisiveStep(this.#image, this.#stack, at, code);
    if (this.#search && !isStep(outcome) && this.#searches < MAX_SEARCHES) {
      if (outcome === null || outcome === 'open') {
        if (rooted(code)) return null;
        this.#searches++;
        outcome = callSiteStep(this.#image, this.#stack, at, code, this.#trial);
      } else if (typeof outcome === 'object')
        outcome = linkStep(this.#image, code, outcome.link, outcome.slots, this.#trial);
      // A search that was cut short has found nothing: another candidate might have done as well.
      if (this.#trialSteps > MAX_TRIAL_STEPS) return null;
    }
    if (isStep(outcome) && !(outcome.sp >= at.sp) && ++this.#switches > MAX_SWITCHES) return null;
    return outcome;
  }

  readonly #trial = (first: Step): Ending => {
    const walk = new Walk(this.#image, this.#stack, false);
    let at = after(first, first.by);
    for (let n = 0; n < MAX_FRAMES; n++) {
      if (++this.#trialSteps > MAX_TRIAL_STEPS) return 'open';
      const code = codeAt(this.#image, at.pc, at.exact);
      const outcome = walk.step(at, code);
      if (outcome === 'outermost') return 'root';
      if (!isStep(outcome)) {
        if (outcome === 'cut') return 'nowhere';
        if (rooted(code)) return 'root';
        return outcome === null ? 'nowhere' : 'open';
      }
      at = after(outcome, outcome.by);
    }
    return 'open';
  };
}

/** Follows a thread's stack outwards from SP and PC; other registers are known at the start only where `slots` tells their addresses. */
export const unwind = (
  image: CodeImage,
  pc: number,
  sp: number,
  stack: StackMemory,
  slots: ReadonlyMap<number, number> = NONE,
): Unwound => {
  const walk = new Walk(image, stack, true);
  const frames: StackFrame[] = [];
  let at: Position = { pc, sp, exact: true, slots: RegisterSlots.of(slots), foundBy: 'syscall' };
  let scanned = 0;
  for (;;) {
    const code = codeAt(image, at.pc, at.exact);
    const outcome = walk.step(at, code);
    const decisive = scanned === 0;
    const root = outcome === 'outermost' || (!isStep(outcome) && outcome !== 'cut' && rooted(code));
    if (root || outcome === 'cut' || frames.length >= MAX_FRAMES) {
      frames.push(frameAt(at, code, decisive, null, 0, 0));
      return { frames, complete: decisive && root && frames.length <= MAX_FRAMES, cut: outcome === 'cut' };
    }
    const known = isStep(outcome) && decisive;
    const step = isStep(outcome) ? outcome : scanned < MAX_SCANNED ? scanStep(image, stack, at, code) : null;
    if (step === null || (!known && scanned >= MAX_SCANNED)) {
      frames.push(frameAt(at, code, decisive, null, 0, 0));
      return { frames, complete: false, cut: false };
    }
    frames.push(frameAt(at, code, decisive, known ? step.by : 'scan', known ? step.cfa : 0, step.returnAddress));
    if (!known) scanned++;
    at = after(step, known ? step.by : 'scan');
  }
};

/** Written out: copying members over costs more than all of unwinding. */
const frameAt = (
  at: Position,
  code: CodeAt | null,
  decisive: boolean,
  sizedBy: FoundBy | null,
  cfa: number,
  returnAddress: number,
): StackFrame => ({
  pc: at.pc,
  lookup: at.exact ? at.pc : at.pc - 1,
  place: code === null ? null : code.place,
  symbol: code === null ? null : code.symbol,
  foundBy: at.foundBy,
  sizedBy,
  sp: at.sp,
  cfa,
  returnAddress,
  registerSlots: decisive ? at.slots : NO_SLOTS,
});
