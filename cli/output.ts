import { once } from 'node:events';
import type { Command } from 'commander';
import { AttestreamError } from '../schemas/errors.js';
import { didYouMean } from '../schemas/suggest.js';
import { cellText } from './cell-text.js';
import { ioOf } from './io.js';
import { TableWriter } from './table.js';

export const OUTPUT_FORMATS = ['table', 'json', 'ndjson'] as const;
export type OutputFormat = (typeof OUTPUT_FORMATS)[number];

/** Attestation results (EAR) are the form of `verdicts` alone. */
export const EAR = 'ear';

/** Throws USAGE for a word that is no output format. */
export const outputFormat = (text: string): OutputFormat | typeof EAR => {
  if (text === EAR) return EAR;
  const found = OUTPUT_FORMATS.find((format) => format === text);
  if (found !== undefined) return found;
  throw new AttestreamError(
    'USAGE',
    `--output is one of ${OUTPUT_FORMATS.join(', ')}, not ${JSON.stringify(text)}; ${didYouMean(text, OUTPUT_FORMATS)}`,
  );
};

type Json = Readonly<Record<string, unknown>>;

/** Data to stdout in the wanted form; notes to stderr. */
export class Output {
  constructor(
    readonly format: OutputFormat,
    readonly quiet: boolean,
    private readonly stdout: NodeJS.WritableStream,
    private readonly stderr: NodeJS.WritableStream,
  ) {}

  /** One answer: a line of JSON, or `name  value` lines. */
  async object(value: object): Promise<void> {
    if (this.format !== 'table') return this.text(`${JSON.stringify(value)}\n`);
    const entries = Object.entries(value).map(([name, held]) => ({ name, value: cellText(held) }));
    const width = Math.max(0, ...entries.map(({ name }) => name.length));
    await this.text(entries.map(({ name, value: held }) => `${name.padEnd(width)}  ${held}\n`).join(''));
  }

  /**
   * A list of answers, written as it comes. `json` is one array, `ndjson` an object a line.
   * @param columns of the table, in order; default: those of the first rows
   */
  async rows(rows: Iterable<object> | AsyncIterable<object>, columns?: readonly string[]): Promise<number> {
    let count = 0;
    if (this.format === 'table') {
      const table = new TableWriter((text) => this.text(text), columns ?? null);
      for await (const row of rows) {
        count++;
        await table.row(row as Json);
      }
      await table.end();
      return count;
    }
    for await (const row of rows) {
      const json = JSON.stringify(row);
      await this.text(this.format === 'ndjson' ? `${json}\n` : `${count === 0 ? '[' : ','}\n${json}`);
      count++;
    }
    if (this.format === 'json') await this.text(count === 0 ? '[]\n' : '\n]\n');
    return count;
  }

  /** An object a line whether `json` or `ndjson` is wanted: for answers that never end. `table` prints `shown`. */
  async line(value: object, shown: () => string): Promise<void> {
    await this.text(this.format === 'table' ? `${shown()}\n` : `${JSON.stringify(value)}\n`);
  }

  /** Bytes to stdout as they are, with back-pressure. */
  async text(text: string): Promise<void> {
    if (text !== '' && !this.stdout.write(text)) await once(this.stdout, 'drain');
  }

  /** A remark for the person, silent under `--quiet`. */
  note(text: string): void {
    if (!this.quiet) this.stderr.write(`${text}\n`);
  }

  /** What must be seen even under `--quiet`: what was lost, what a digest is, where a service listens. */
  tell(text: string): void {
    this.stderr.write(`${text}\n`);
  }
}

/** The output that the command line asked for. */
export const outputOf = (command: Command): Output => {
  const { output, quiet } = command.optsWithGlobals<{ output?: OutputFormat | typeof EAR; quiet?: boolean }>();
  if (output === EAR)
    throw new AttestreamError(
      'USAGE',
      'only verdicts are printed as EAR: attestream verdicts --output ear --ear-key FILE',
    );
  const io = ioOf(command);
  return new Output(output ?? 'table', quiet === true, io.stdout, io.stderr);
};

/** Whether attestation results are asked for instead of an output of ours. */
export const wantsEar = (command: Command): boolean => command.optsWithGlobals<{ output?: string }>().output === EAR;

/** For options that name a file or folder to write: `--out json` is a slip for `--output json`. */
export const outPath = (text: string): string => {
  if ((OUTPUT_FORMATS as readonly string[]).includes(text))
    throw new AttestreamError(
      'USAGE',
      `--out names a file or folder to write, and ${JSON.stringify(text)} looks like a format; did you mean "--output ${text}"? (a folder of that name: ./${text})`,
    );
  return text;
};
