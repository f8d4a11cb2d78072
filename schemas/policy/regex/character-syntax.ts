import { type CharacterClass, type CharacterSet, only } from './character-set.js';
import type { RegexText } from './syntax.js';

const CONTROLS: Readonly<Record<string, number>> = { a: 7, t: 9, n: 10, v: 11, f: 12, r: 13 };

/** A code point by its number: after `\x`, `\u`, `\U` or `\0`. */
const numbered = (letter: string, text: RegexText): number | undefined => {
  if (letter === '0') return Number.parseInt(text.takeForm(/^[0-7]{0,2}/, 2)?.[0] || '0', 8);
  const digits = { x: 2, u: 4, U: 8 }[letter];
  if (digits === undefined) return undefined;
  const hex = text.takeForm(new RegExp(`^[0-9a-fA-F]{${digits}}`), digits)?.[0];
  const codePoint = hex === undefined ? Number.NaN : Number.parseInt(hex, 16);
  return codePoint <= 0x10ffff ? codePoint : text.refuse(`\\${letter} without ${digits} hex digits of a character`);
};

/** What stands behind a backslash, where it is a character or a class. `inSet`: within brackets. */
export const readEscape = (text: RegexText, inSet: boolean): number | CharacterClass => {
  const letter = text.next();
  if (letter === undefined) return text.refuse('a backslash at the end');
  if ('dDwWsS'.includes(letter)) return letter as CharacterClass;
  if (inSet && letter === 'b') return 8;
  const known = CONTROLS[letter] ?? numbered(letter, text);
  if (known !== undefined) return known;
  if (/[1-9]/.test(letter)) return text.refuse('a reference to a group, which no bounded matching can follow');
  if (/[A-Za-z]/.test(letter)) return text.refuse(`\\${letter} is not taken`);
  return letter.codePointAt(0)!;
};

const readMember = (text: RegexText): number | CharacterClass => {
  const c = text.next();
  if (c === undefined) return text.refuse('a bracket that does not close');
  return c === '\\' ? readEscape(text, true) : c.codePointAt(0)!;
};

/** A set in brackets, behind the opening one. */
export const readSet = (text: RegexText): CharacterSet => {
  const negated = text.take('^');
  const ranges: (readonly [number, number])[] = [];
  const classes: CharacterClass[] = [];
  for (let first = true; first || !text.take(']'); first = false) {
    const member = readMember(text);
    if (text.peek() === '-' && text.peek(1) !== ']') {
      text.next();
      const last = readMember(text);
      if (typeof member !== 'number' || typeof last !== 'number' || member > last)
        return text.refuse('a range that does not go from one character up to another');
      ranges.push([member, last]);
    } else if (typeof member === 'number') ranges.push([member, member]);
    else classes.push(member);
  }
  return { ranges, classes, negated };
};

/** A set of what an escape names. */
export const escapedSet = (read: number | CharacterClass): CharacterSet =>
  typeof read === 'number' ? only(read) : { ranges: [], classes: [read], negated: false };
