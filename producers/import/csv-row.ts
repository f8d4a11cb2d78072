import { AttestreamError } from '../../schemas/errors.js';
import type { RowSink } from './observation.js';

/** Lines and characters that one record may extend over, so that a quote that is never closed costs no more than these. */
const MAX_LINES = 64;
const MAX_CHARACTERS = 1024 * 1024;

/** Columns of one record. */
const MAX_FIELDS = 16_384;

/**
 * Records of RFC 4180 from lines. A record goes on over the end of a line while a quoted field is open. If it is open too
 * long, its first line is refused and the lines after it are read anew.
 */
export class CsvRecords {
  readonly #delimiter: string;
  readonly #take: (line: number, raw: string, fields: readonly string[]) => void;
  readonly #sink: RowSink;
  #lines: string[] = [];
  #first = 0;
  #fields: string[] = [];
  #field = '';
  #open = false;
  #characters = 0;

  constructor(delimiter: string, take: (line: number, raw: string, fields: readonly string[]) => void, sink: RowSink) {
    this.#delimiter = delimiter;
    this.#take = take;
    this.#sink = sink;
  }

  line(number: number, text: string): void {
    if (!this.#open) {
      if (!text.includes('"')) {
        if (text !== '') this.#take(number, text, text.split(this.#delimiter, MAX_FIELDS));
        return;
      }
      this.#first = number;
    }
    this.#lines.push(text);
    this.#characters += text.length + 1;
    if (this.#lines.length > MAX_LINES || this.#characters > MAX_CHARACTERS) {
      this.#giveUp();
      return;
    }
    const problem = this.#scan(text);
    if (problem === null && this.#open) return;
    const raw = this.#lines.join('\n');
    const fields = this.#fields;
    this.#reset();
    if (problem === null) this.#take(this.#first, raw, fields);
    else this.#sink.reject(this.#first, raw, 'IMPORT_ROW', problem);
  }

  end(): void {
    while (this.#open) this.#giveUp();
  }

  /** The open quote was no quote: refuse its line alone, and read the ones that it had swallowed. */
  #giveUp(): void {
    const [bad, ...swallowed] = this.#lines;
    const first = this.#first;
    this.#reset();
    this.#sink.reject(first, bad ?? '', 'IMPORT_ROW', 'a quote is opened and not closed');
    for (const [i, text] of swallowed.entries()) this.line(first + 1 + i, text);
  }

  #reset(): void {
    this.#lines = [];
    this.#fields = [];
    this.#field = '';
    this.#open = false;
    this.#characters = 0;
  }

  /** Takes one more line into the record. Returns what is wrong with it, or null. */
  #scan(text: string): string | null {
    let i = 0;
    let quoted = this.#open;
    if (quoted) this.#field += '\n';
    for (;;) {
      if (!quoted && text[i] === '"') {
        quoted = true;
        i++;
      }
      if (quoted) {
        for (;;) {
          const quote = text.indexOf('"', i);
          if (quote < 0) {
            this.#field += text.slice(i);
            this.#open = true;
            return null;
          }
          this.#field += text.slice(i, quote);
          i = quote + 1;
          if (text[i] !== '"') break;
          this.#field += '"';
          i++;
        }
        this.#open = false;
        quoted = false;
        if (i < text.length && !text.startsWith(this.#delimiter, i)) return 'there is text behind a closing quote';
      } else {
        const next = text.indexOf(this.#delimiter, i);
        this.#field = text.slice(i, next < 0 ? undefined : next);
        i = next < 0 ? text.length : next;
      }
      this.#fields.push(this.#field);
      this.#field = '';
      if (this.#fields.length > MAX_FIELDS) return `the record has more than ${MAX_FIELDS} fields`;
      if (i >= text.length) return null;
      i += this.#delimiter.length;
    }
  }
}

/** Names of the columns of a header. Throws IMPORT_FORMAT where a name stands twice. */
export const columnNames = (fields: readonly string[]): readonly string[] => {
  const names = fields.map((field) => field.trim());
  const twice = names.find((name, i) => name !== '' && names.indexOf(name) !== i);
  if (twice !== undefined)
    throw new AttestreamError('IMPORT_FORMAT', `the header names the column ${JSON.stringify(twice)} twice`);
  return names;
};
