import { cellText } from './cell-text.js';

/** Rows that are looked at before widths are settled. */
const SAMPLE = 100;
const WIDEST = 60;

type Json = Readonly<Record<string, unknown>>;

/** Aligns columns by the first rows; later ones are printed as they come. */
export class TableWriter {
  readonly #write: (text: string) => Promise<void>;
  #columns: readonly string[] | null;
  #waiting: Json[] = [];
  #widths: number[] | null = null;

  constructor(write: (text: string) => Promise<void>, columns: readonly string[] | null) {
    this.#write = write;
    this.#columns = columns;
  }

  async row(row: Json): Promise<void> {
    if (this.#widths !== null) {
      await this.#write(this.#line(row));
      return;
    }
    this.#waiting.push(row);
    if (this.#waiting.length >= SAMPLE) await this.#settle();
  }

  async end(): Promise<void> {
    if (this.#widths === null && this.#waiting.length > 0) await this.#settle();
  }

  async #settle(): Promise<void> {
    this.#columns ??= [...new Set(this.#waiting.flatMap((row) => Object.keys(row)))];
    this.#widths = this.#columns.map((column) =>
      Math.min(WIDEST, Math.max(column.length, ...this.#waiting.map((row) => cellText(row[column]).length))),
    );
    const rows = this.#waiting;
    this.#waiting = [];
    const head = this.#columns.map((column) => [column, column.toUpperCase()] as const);
    await this.#write(this.#line(Object.fromEntries(head)));
    await this.#write(rows.map((row) => this.#line(row)).join(''));
  }

  #line(row: Json): string {
    const cells = this.#columns!.map((column, i) => cellText(row[column]).padEnd(this.#widths![i]!));
    return `${cells.join('  ').trimEnd()}\n`;
  }
}
