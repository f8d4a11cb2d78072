import { linkCallers } from './link-callers.js';
import { codeOf } from './module-code.js';
import { type CodeAt, isLoose, type Position, returnPlace } from './position.js';
import { NO_SLOTS, type RegisterSlots } from './register-slots.js';
import type { CodeImage } from './stack-frame.js';
import type { StackMemory } from './stack-memory.js';
import { follows, isStep, rulesOfFlow, type Step, stepTo } from './unwind-step.js';

/** Words searched for a caller where nothing tells the frame's size: a search that ends before the stack does finds nothing. */
const MAX_SEARCH = 32 * 1024;
const MAX_CANDIDATES = 24;
/** Words searched where what is found is no fact. */
const MAX_SCAN = 1024;

/** Where a stack leads by decisive rules alone: to its root, to what cannot be, or to where they tell no more. */
export type Ending = 'root' | 'nowhere' | 'open';

/** Tells where a stack that goes on with this step leads. */
export type Trial = (step: Step) => Ending;

/**
 * The one candidate that can be, if it leads to the root; null if none or several do: then nothing is certain. A candidate of
 * null stands for what cannot be tried.
 */
const onlyOne = (candidates: Iterable<Step | null>, trial: Trial): Step | null => {
  let found: Step | null = null;
  let tried = 0;
  for (const step of candidates) {
    if (step === null || tried++ > MAX_CANDIDATES) return null;
    const ending = trial(step);
    if (ending === 'nowhere') continue;
    if (ending === 'open' || found !== null) return null;
    found = step;
  }
  return found;
};

/**
 * The caller of a function whose return address is in the link register alone: of all places that can have called it, the only
 * one from which the stack goes on to its root.
 */
export const linkStep = (
  image: CodeImage,
  code: CodeAt,
  cfa: number,
  slots: RegisterSlots,
  trial: Trial,
): Step | null => {
  const returns = linkCallers(image, code);
  if (returns === null) return null;
  let found: Step | null = null;
  for (const returnAddress of returns) {
    const step: Step = { cfa, returnAddress, sp: cfa, slots, by: 'call-site', interrupted: false };
    const ending = trial(step);
    if (ending === 'nowhere') continue;
    if (ending === 'open' || found !== null) return null;
    found = step;
  }
  return found;
};

const aligned = (sp: number): number => sp + ((8 - (sp % 8)) % 8);

const throughPointer = (image: CodeImage, returnAddress: number): boolean => {
  const place = returnPlace(image, returnAddress);
  return place?.module.calls.endingAt(place.vaddr)?.kind === 'indirect';
};

/**
 * The caller of a function whose frame nothing sizes: of all slots with a return address behind a call that can have been to it, the
 * only one from which the stack goes on to its root. Calls through pointers count where anything points to the function.
 */
export const callSiteStep = (
  image: CodeImage,
  stack: StackMemory,
  at: Position,
  code: CodeAt,
  trial: Trial,
): Step | null => {
  const { architecture } = code;
  const range = code.range();
  if (architecture.linkRegister || range === null) return null;
  const flow = codeOf(code.place.module).flow(range, code.lookup + (at.exact ? 0 : 1), !at.exact);
  const rules = code.row ?? (flow === null ? null : rulesOfFlow(flow, architecture));
  const pointed = codeOf(code.place.module).mayBePointedTo(range.start);
  const candidates = function* (): Generator<Step | null> {
    // Where the frame's least size is known, and how much more it may be, only that stretch is searched.
    const least = flow?.depth == null ? 8 : Math.max(8, flow.depth);
    const most = flow?.depth == null ? Number.POSITIVE_INFINITY : flow.depth + flow.slack;
    const last = Math.min(at.sp + most, image.mapping(at.sp)?.end ?? at.sp) - 8;
    const told = rules ?? { registers: new Map(), returnRegister: architecture.returnRegister };
    for (let slot = aligned(at.sp + least - 8), n = 0; slot <= last && stack.holds(slot); slot += 8, n++) {
      const word = stack.word(slot);
      // Beyond the end of a search the true one may stand, and what was found so far be stale.
      if (n === MAX_SEARCH || isLoose(image, word)) yield null;
      if (returnPlace(image, word) === null) continue;
      const step = stepTo(image, stack, at, code, slot + 8, told, 'call-site');
      if (!isStep(step) || step.interrupted || step.returnAddress !== word) continue;
      if (!pointed && throughPointer(image, step.returnAddress)) continue;
      yield step;
    }
  };
  return onlyOne(candidates(), trial);
};

/** Any word that follows a call inside a known function: it may be stale. */
export const scanStep = (image: CodeImage, stack: StackMemory, at: Position, code: CodeAt | null): Step | null => {
  for (let slot = aligned(at.sp), n = 0; n < MAX_SCAN && stack.holds(slot); slot += 8, n++) {
    const returnAddress = code?.architecture.signedReturns === true ? stack.word48(slot) : stack.word(slot);
    const place = returnPlace(image, returnAddress);
    if (place === null || place.module.calls.endingAt(place.vaddr) === null) continue;
    if (codeOf(place.module).range(place.vaddr - 1) === null) continue;
    if (code !== null && follows(image, returnAddress, code) !== false) continue;
    return { cfa: slot + 8, returnAddress, sp: slot + 8, slots: NO_SLOTS, by: 'scan', interrupted: false };
  }
  return null;
};
