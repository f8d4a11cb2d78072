import { AttestreamError } from '../errors.js';
import { didYouMean } from '../suggest.js';
import { globMatches } from './glob.js';
import type { Policy } from './policy.js';

/** What a policy may be put into force for. Where a part does not apply, it is the empty text. */
export interface Subject {
  readonly host: string;
  readonly image: string;
  /** Path of the binary. */
  readonly binary: string;
  /** Id of the container. */
  readonly container: string;
}

export type Selector = ReadonlyMap<keyof Subject, string>;

const KEYS: readonly (keyof Subject)[] = ['host', 'image', 'binary', 'container'];
const MAX_LENGTH = 1024;

/** `host=…,image=…,binary=…,container=…`: globs that all must match; the empty text selects everything. Throws SELECTOR_INVALID. */
export const parseSelector = (text: string): Selector => {
  const refuse = (what: string, suggestion = 'write host=…,image=…,binary=…,container=…'): never => {
    throw new AttestreamError('SELECTOR_INVALID', `The selector "${text.slice(0, 80)}" ${what}; ${suggestion}`);
  };
  if (text.length > MAX_LENGTH) refuse(`is longer than ${MAX_LENGTH} characters`);
  const selector = new Map<keyof Subject, string>();
  if (text.trim() === '') return selector;
  for (const term of text.split(',')) {
    const equals = term.indexOf('=');
    if (equals < 0) refuse(`has a part without "=": "${term.trim()}"`);
    const word = term.slice(0, equals).trim();
    const key = KEYS.find((known) => known === word) ?? refuse(`names "${word}"`, didYouMean(word, KEYS));
    const glob = term.slice(equals + 1).trim();
    if (glob === '') refuse(`says nothing for "${key}"`, `write ${key}=* for any`);
    if (selector.has(key)) refuse(`names "${key}" twice`, 'terms are joined by "and": one glob for each');
    selector.set(key, glob);
  }
  return selector;
};

/** A part of the subject that is not given excludes nothing. */
export const matches = (selector: Selector, subject: Partial<Subject>): boolean => {
  for (const [key, glob] of selector) {
    const part = subject[key];
    if (part !== undefined && !globMatches(glob, part)) return false;
  }
  return true;
};

/** Is a process judged by this policy? `binary: any` takes every process, an image only narrows. */
export const policyCovers = (
  policy: Pick<Policy, 'binary' | 'image'>,
  process: Pick<Subject, 'binary' | 'image'>,
): boolean =>
  (policy.binary === 'any' || globMatches(policy.binary, process.binary)) &&
  (policy.image === null || globMatches(policy.image, process.image));

/** As `policyCovers`, of a process of which not all may be known: an empty text excludes nothing. */
export const policyMayCover = (
  policy: Pick<Policy, 'binary' | 'image'>,
  { binary, image }: Pick<Subject, 'binary' | 'image'>,
): boolean =>
  policyCovers(
    { binary: binary === '' ? 'any' : policy.binary, image: image === '' ? null : policy.image },
    { binary, image },
  );
