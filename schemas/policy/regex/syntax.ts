import type { CharacterSet } from './character-set.js';

/** What a regular expression says. */
export type Regex =
  | { readonly kind: 'set'; readonly set: CharacterSet }
  /** `^` or `\A`; `$` (also before a last newline); `\Z`. */
  | { readonly kind: 'begin' | 'end' | 'very-end' }
  | { readonly kind: 'sequence'; readonly parts: readonly Regex[] }
  | { readonly kind: 'either'; readonly branches: readonly Regex[] }
  /** `most` is Infinity for `*`, `+` and `{n,}`. */
  | { readonly kind: 'repeat'; readonly body: Regex; readonly least: number; readonly most: number };

/** Why an expression is refused. */
export class RegexRefused extends Error {
  override readonly name = 'RegexRefused';
}

export const MAX_LENGTH = 2048;
/** Groups in groups. */
export const MAX_NESTING = 32;
export const MAX_REPEAT = 1000;

/** Code points of an expression, taken from the front. */
export class RegexText {
  readonly #points: readonly string[];
  #at = 0;

  constructor(text: string) {
    if (text.length > MAX_LENGTH) throw new RegexRefused(`longer than ${MAX_LENGTH} characters`);
    this.#points = [...text];
  }

  /** undefined at the end. */
  peek(ahead = 0): string | undefined {
    return this.#points[this.#at + ahead];
  }

  next(): string | undefined {
    return this.#points[this.#at++];
  }

  /** Takes `word` if it is what comes next. */
  take(word: string): boolean {
    for (let i = 0; i < word.length; i++) if (this.peek(i) !== word[i]) return false;
    this.#at += word.length;
    return true;
  }

  /** Takes what `form`, which is anchored, finds in the next `most` characters. */
  takeForm(form: RegExp, most: number): RegExpExecArray | null {
    const found = form.exec(this.#points.slice(this.#at, this.#at + most).join(''));
    if (found !== null) this.#at += [...found[0]].length;
    return found;
  }

  refuse(what: string): never {
    throw new RegexRefused(`${what}, at character ${Math.min(this.#at, this.#points.length) + 1}`);
  }
}
