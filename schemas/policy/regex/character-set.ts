/** `\d` and its like, over all of Unicode as Python has them. */
export type CharacterClass = 'd' | 'D' | 'w' | 'W' | 's' | 'S';

/** Code points that one step of an expression takes. */
export interface CharacterSet {
  /** First and last code point. */
  readonly ranges: readonly (readonly [number, number])[];
  readonly classes: readonly CharacterClass[];
  readonly negated: boolean;
}

const DIGIT = /\p{Nd}/u;
const WORD = /[\p{L}\p{N}_]/u;
const SPACE = /[\s\x85]/u;

/** As `str.isspace` of Python: with the four separators of ASCII, which JavaScript does not count, and without the byte order mark. */
const isSpace = (codePoint: number): boolean =>
  (codePoint >= 0x1c && codePoint <= 0x1f) || (codePoint !== 0xfeff && SPACE.test(String.fromCodePoint(codePoint)));

const CLASSES: Readonly<Record<'d' | 'w' | 's', (codePoint: number) => boolean>> = {
  d: (codePoint) => DIGIT.test(String.fromCodePoint(codePoint)),
  w: (codePoint) => WORD.test(String.fromCodePoint(codePoint)),
  s: isSpace,
};

const isOfClass = (name: CharacterClass, codePoint: number): boolean => {
  const lower = name.toLowerCase() as 'd' | 'w' | 's';
  return CLASSES[lower](codePoint) === (name === lower);
};

export const setHolds = ({ ranges, classes, negated }: CharacterSet, codePoint: number): boolean => {
  for (const [first, last] of ranges) if (codePoint >= first && codePoint <= last) return !negated;
  for (const name of classes) if (isOfClass(name, codePoint)) return !negated;
  return negated;
};

export const only = (codePoint: number): CharacterSet => ({
  ranges: [[codePoint, codePoint]],
  classes: [],
  negated: false,
});

/** `.`: anything but the end of a line. */
export const NOT_NEWLINE: CharacterSet = { ranges: [[10, 10]], classes: [], negated: true };

/** The one code point of a set that has no other; undefined for any other set. */
export const singleOf = ({ ranges: [first, ...more], classes, negated }: CharacterSet): number | undefined =>
  !negated && classes.length === 0 && more.length === 0 && first !== undefined && first[0] === first[1]
    ? first[0]
    : undefined;
