import { AttestreamError } from '../../schemas/errors.js';
import type { ImportFormat } from './import-map.js';

/** Bytes by which a format is told. */
const HEAD = 4096;

/** The beginning of a file, and all of it. */
export const startOf = async (
  chunks: AsyncIterable<Buffer>,
): Promise<{ readonly head: Buffer; readonly chunks: AsyncIterable<Buffer> }> => {
  const iterator = chunks[Symbol.asyncIterator]();
  const first: Buffer[] = [];
  let length = 0;
  while (length < HEAD) {
    const next = await iterator.next();
    if (next.done === true) break;
    first.push(next.value);
    length += next.value.length;
  }
  const all = async function* (): AsyncGenerator<Buffer> {
    yield* first;
    yield* { [Symbol.asyncIterator]: () => iterator };
  };
  return { head: Buffer.concat(first).subarray(0, HEAD), chunks: all() };
};

/** Leaves out the byte order mark of UTF-8. */
export async function* withoutMark(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let first = true;
  for await (const chunk of chunks) {
    yield first && chunk[0] === 0xef && chunk[1] === 0xbb && chunk[2] === 0xbf ? chunk.subarray(3) : chunk;
    first = false;
  }
}

const KINDS: readonly (readonly [magic: string, name: string])[] = [
  ['Obj\u0001', 'an Avro file; traces are read as they are, by `attestream replay` and `attestream copy`'],
  ['PK\u0003\u0004', 'a zip archive; unpack it first'],
  ['PAR1', 'a Parquet file; write it as NDJSON first'],
  ['BZh', 'packed with bzip2; unpack it first'],
  ['\u00fd7zXZ', 'packed with xz; unpack it first'],
  ['(\u00b5/\u00fd', 'packed with zstd; unpack it first'],
  ['\u007fELF', 'a program'],
  ['%PDF', 'a PDF document'],
  ['SQLite format 3', 'an SQLite database; write its rows as CSV first'],
];

/** Throws IMPORT_FORMAT for a file that is plainly something else than `format`. */
export const refuseForeign = (head: Buffer, format: ImportFormat, path: string): void => {
  const refuse = (what: string): AttestreamError =>
    new AttestreamError('IMPORT_FORMAT', `the file is ${what}`, { path });
  const text = head.toString('latin1');
  for (const [magic, name] of KINDS) if (text.startsWith(magic)) throw refuse(name);
  if (format === 'xes') return;
  if (/^(\u00ff\u00fe|\u00fe\u00ff)/.test(text))
    throw refuse('UTF-16; convert it to UTF-8 first: iconv -f UTF-16 -t UTF-8');
  const first = text.replace(/^\u00ef\u00bb\u00bf/, '').trimStart()[0];
  if (first === '<') throw refuse(`XML, not ${format}; XES is imported with \`format: xes\``);
  if (format === 'ndjson' && first === '[')
    throw refuse("one JSON array, not one object a line; turn it with: jq -c '.[]'");
};
