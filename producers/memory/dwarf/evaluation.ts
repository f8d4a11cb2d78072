import { AT } from './constants.js';
import { passedValue } from './entry-values.js';
import { type Evaluation, evaluate } from './expression.js';
import type { FrameView, MemoryReader } from './frame-view.js';
import type { CompiledFunction } from './functions.js';
import { expressionAt, type Location, locationOf } from './location-lists.js';
import { OP } from './operations.js';

const bases = new WeakMap<CompiledFunction, Location>();

const baseOf = (fn: CompiledFunction): Location => {
  let known = bases.get(fn);
  if (known === undefined) {
    known = locationOf(fn.die, AT.frameBase);
    bases.set(fn, known);
  }
  return known;
};

/** What a function's slots are counted from: nothing but the canonical frame address in most programs. */
export const frameBaseIsCfa = (fn: CompiledFunction): boolean => {
  const base = baseOf(fn);
  return base.kind === 'always' && base.expression.length === 1 && base.expression[0] === OP.callFrameCfa;
};

/** Evaluates expressions that stand in a frame's function. */
export const frameEvaluation = (
  frame: FrameView,
  fn: CompiledFunction,
  memory: MemoryReader,
  depth = 0,
): Evaluation => {
  const evaluation: Evaluation = {
    unit: fn.unit,
    frame,
    memory,
    bias: frame.bias,
    depth,
    frameBase() {
      const expression = expressionAt(baseOf(fn), frame.vaddr);
      if (expression === null) return 'the function has no frame base here';
      const placed = evaluate(expression, { ...evaluation, frameBase: () => 'a frame base that needs itself' });
      switch (placed.kind) {
        case 'memory':
          return placed.bits;
        case 'value':
          return placed.bits;
        case 'register':
          return (
            frame.register(placed.register) ?? `register ${placed.register}, the frame base, is not known in this frame`
          );
        case 'none':
          return placed.why;
        default:
          return 'the frame base is in pieces';
      }
    },
    entryValue: (expression) =>
      passedValue(frame, fn, { kind: 'expression', expression }, memory, depth, frameEvaluation),
    passedValue(parameter) {
      const at = fn.unit.header.start + parameter;
      if (at >= fn.unit.header.end) return 'a parameter outside of its unit';
      return passedValue(frame, fn, { kind: 'parameter', die: fn.unit.die(at) }, memory, depth, frameEvaluation);
    },
  };
  return evaluation;
};
