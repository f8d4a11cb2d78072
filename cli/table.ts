import { cellText } from './cell-text.js';
import { fitWidths, wrapCell } from './wrap-cell.js';

/** Rows that are looked at before widths are settled. */
const SAMPLE = 100;
/** Columns of text that a line has where no terminal says otherwise. */
const LINE = 100;
const GAP = 2;
/** Lines of one row at most; programs that want all of a value ask for JSON. */
const TALLEST = 4;

type Json = Readonly<Record<string, unknown>>;

/** Aligns columns by the first rows; later ones are printed as they come. What is too long for a line goes on below it. */
export class TableWriter {
  readonly #write: (text: string) => Promise<void>;
  #columns: readonly string[] | null;
  #waiting: Json[] = [];
  #widths: readonly number[] | null = null;

  constructor(write: (text: string) => Promise<void>, columns: readonly string[] | null) {
    this.#write = write;
    this.#columns = columns;
  }

  async row(row: Json): Promise<void> {
    if (this.#widths !== null) {
      await this.#write(this.#lines(row, this.#columns!, this.#widths));
      return;
    }
    this.#waiting.push(row);
    if (this.#waiting.length >= SAMPLE) await this.#settle();
  }

  async end(): Promise<void> {
    if (this.#widths === null && this.#waiting.length > 0) await this.#settle();
  }

  async #settle(): Promise<void> {
    const columns = this.#columns ?? [...new Set(this.#waiting.flatMap((row) => Object.keys(row)))];
    const natural = columns.map((column) =>
      Math.max(column.length, ...this.#waiting.map((row) => cellText(row[column]).length)),
    );
    const widths = fitWidths(natural, LINE - GAP * (columns.length - 1));
    this.#columns = columns;
    this.#widths = widths;
    const rows = this.#waiting;
    this.#waiting = [];
    const head = Object.fromEntries(columns.map((column) => [column, column.toUpperCase()]));
    await this.#write([head, ...rows].map((row) => this.#lines(row, columns, widths)).join(''));
  }

  #lines(row: Json, columns: readonly string[], widths: readonly number[]): string {
    const cells = columns.map((column, i) => wrapCell(cellText(row[column]), widths[i]!, TALLEST));
    const height = Math.max(1, ...cells.map((cell) => cell.length));
    let text = '';
    for (let line = 0; line < height; line++) {
      const parts = cells.map((cell, i) => (cell[line] ?? '').padEnd(widths[i]!));
      text += `${parts.join(' '.repeat(GAP)).trimEnd()}\n`;
    }
    return text;
  }
}
