import { NOT_NEWLINE, only } from './character-set.js';
import { escapedSet, readEscape, readSet } from './character-syntax.js';
import { MAX_LENGTH, MAX_NESTING, MAX_REPEAT, type Regex, RegexText } from './syntax.js';

/**
 * The regular part of Python's `re` (its documentation, "Regular Expression Syntax"): what can be matched in time bounded by the
 * product of the lengths. Look-around, references, possessive and atomic groups, `\b` and flags are refused, and so is what Python
 * itself refuses. Throws RegexRefused.
 */
export const parseRegex = (source: string): Regex => {
  const text = new RegexText(source);
  const regex = readBranches(text, 0);
  if (text.peek() !== undefined) text.refuse('a parenthesis that closes nothing');
  return regex;
};

const readBranches = (text: RegexText, depth: number): Regex => {
  if (depth > MAX_NESTING) return text.refuse(`more than ${MAX_NESTING} groups in one another`);
  const branches = [readSequence(text, depth)];
  while (text.take('|')) branches.push(readSequence(text, depth));
  return branches.length === 1 ? branches[0]! : { kind: 'either', branches };
};

const readSequence = (text: RegexText, depth: number): Regex => {
  const parts: Regex[] = [];
  for (let c = text.peek(); c !== undefined && c !== '|' && c !== ')'; c = text.peek()) {
    if (readCount(text) !== undefined) return text.refuse('a repetition of nothing');
    parts.push(readRepeats(text, readPart(text, depth)));
  }
  return { kind: 'sequence', parts };
};

const readPart = (text: RegexText, depth: number): Regex => {
  const c = text.next()!;
  if (c === '(') return readGroup(text, depth);
  if (c === '[') return { kind: 'set', set: readSet(text) };
  if (c === '.') return { kind: 'set', set: NOT_NEWLINE };
  if (c === '^') return { kind: 'begin' };
  if (c === '$') return { kind: 'end' };
  if (c !== '\\') return { kind: 'set', set: only(c.codePointAt(0)!) };
  if (text.take('A')) return { kind: 'begin' };
  if (text.take('Z')) return { kind: 'very-end' };
  return { kind: 'set', set: escapedSet(readEscape(text, false)) };
};

const readGroup = (text: RegexText, depth: number): Regex => {
  if (text.peek() === '?' && !text.take('?:'))
    return text.refuse('a group with "?", which looks around, sets flags or has a name');
  const body = readBranches(text, depth + 1);
  if (!text.take(')')) return text.refuse('a parenthesis that does not close');
  // Even an empty group is something that can be repeated.
  return { kind: 'sequence', parts: [body] };
};

/** How often what stands before is repeated; undefined: nothing of the kind comes next. */
const readCount = (text: RegexText): readonly [least: number, most: number] | undefined => {
  if (text.take('*')) return [0, Number.POSITIVE_INFINITY];
  if (text.take('+')) return [1, Number.POSITIVE_INFINITY];
  if (text.take('?')) return [0, 1];
  // Braces that are no count are characters.
  const braces = text.takeForm(/^\{(?:(\d+)|(\d*),(\d*))\}/, MAX_LENGTH);
  if (braces === null) return undefined;
  const [, exactly, least = '', most = ''] = braces;
  if (exactly !== undefined) return [Number(exactly), Number(exactly)];
  return [Number(least || 0), most === '' ? Number.POSITIVE_INFINITY : Number(most)];
};

const readRepeats = (text: RegexText, body: Regex): Regex => {
  const count = readCount(text);
  if (count === undefined) return body;
  const [least, most] = count;
  if (body.kind === 'begin' || body.kind === 'end' || body.kind === 'very-end')
    return text.refuse('a place that is repeated');
  if (least > most || least > MAX_REPEAT || (most > MAX_REPEAT && Number.isFinite(most)))
    return text.refuse(`a count that is not one up to ${MAX_REPEAT}`);
  // How eagerly is taken does not change what matches.
  if (!text.take('?') && text.peek() === '+') return text.refuse('a possessive repetition');
  if (readCount(text) !== undefined) return text.refuse('a repetition of a repetition');
  return { kind: 'repeat', body, least, most };
};
