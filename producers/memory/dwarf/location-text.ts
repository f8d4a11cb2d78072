import { Cursor } from '../elf/byte-source.js';
import { OP } from './operations.js';

const NAMES: ReadonlyMap<number, string> = new Map(
  Object.entries(OP).map(([name, op]) => [
    op,
    name
      .replace(/^gnu(.)/, (_, first: string) => first.toLowerCase())
      .replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
  ]),
);

const MAX_TEXT = 120;

/** How an expression begins, for people: `fbreg -20`, `entry_value reg5`. '' for none. `passed`: as what was passed in it. */
export const locationText = (expression: Buffer | null, passed = false): string => {
  if (expression === null || expression.length === 0) return '';
  const code = new Cursor(expression, 0, expression.length, 'DWARF_INVALID');
  const words: string[] = passed ? ['entry_value'] : [];
  try {
    while (!code.done && words.join(' ').length < MAX_TEXT) {
      const op = code.u8();
      if (op >= OP.reg0 && op <= OP.reg31) words.push(`reg${op - OP.reg0}`);
      else if (op >= OP.breg0 && op <= OP.breg31) words.push(`breg${op - OP.breg0} ${code.sleb()}`);
      else if (op >= OP.lit0 && op <= OP.lit31) words.push(`lit${op - OP.lit0}`);
      else if (op === OP.fbreg || op === OP.consts) words.push(`${NAMES.get(op)} ${code.sleb()}`);
      else if (op === OP.entryValue || op === OP.gnuEntryValue) {
        words.push('entry_value');
        code.uleb();
      } else if (op === OP.piece || op === OP.plusUconst || op === OP.constu || op === OP.regx)
        words.push(`${NAMES.get(op)} ${code.uleb()}`);
      else if (PLAIN.has(op)) words.push(NAMES.get(op)!);
      else {
        words.push(NAMES.get(op) ?? `op ${op}`);
        if (!code.done) words.push('…');
        break;
      }
    }
  } catch {
    words.push('…');
  }
  return words.join(' ');
};

/** Operations without operands. */
const PLAIN: ReadonlySet<number> = new Set([
  OP.deref,
  OP.dup,
  OP.drop,
  OP.over,
  OP.swap,
  OP.rot,
  OP.abs,
  OP.and,
  OP.div,
  OP.minus,
  OP.mod,
  OP.mul,
  OP.neg,
  OP.not,
  OP.or,
  OP.plus,
  OP.shl,
  OP.shr,
  OP.shra,
  OP.xor,
  OP.nop,
  OP.callFrameCfa,
  OP.stackValue,
  OP.gnuUninit,
]);
