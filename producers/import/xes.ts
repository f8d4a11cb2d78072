import sax from 'sax';
import { AttestreamError } from '../../schemas/errors.js';
import { FloatText, NumberText } from './number-text.js';
import type { FormatReader, Row, RowSink } from './observation.js';

/** Attributes of the trace appear in an event's row under this prefix, as process miners know them. */
export const CASE = 'case:';

const MAX_DEPTH = 256;
const MAX_ATTRIBUTES = 1024;
/** Characters of one event's attributes. */
const MAX_EVENT = 1024 * 1024;
/** Flaws in the XML in a row, without one event between them, after which the file counts as no XES. */
const MAX_FLAWS = 1000;

const SCALARS = new Set(['string', 'date', 'int', 'float', 'boolean', 'id']);

const scalar = (kind: string, text: string): unknown => {
  switch (kind) {
    case 'int':
      return Number.isSafeInteger(Number(text)) && /^-?\d+$/.test(text) ? Number(text) : new NumberText(text.trim());
    case 'float':
      // Kept as text: 2.0 is a float of XES although it is whole.
      return new FloatText(text.trim());
    case 'boolean':
      return text.trim().toLowerCase() === 'true' || text.trim() === '1';
    default:
      return text;
  }
};

/**
 * XES (IEEE 1849): every `event` is a row of its attributes, those of its trace under `case:`. Globals, classifiers,
 * extensions and attributes of attributes are passed over. The text must be UTF-8, or in the encoding that its declaration names.
 */
export const xesReader = (sink: RowSink): FormatReader => {
  const parser = sax.parser(true, { position: true });
  let decoder: InstanceType<typeof TextDecoder> | null = null;
  let depth = 0;
  let eventDepth = 0;
  let traceDepth = 0;
  let globalDepth = 0;
  let line = 0;
  let trace: Record<string, unknown> = {};
  let event: Record<string, unknown> = {};
  let attributes = 0;
  let characters = 0;
  let flaws = 0;
  let sawLog = false;

  parser.onerror = (error) => {
    flaws++;
    if (flaws > MAX_FLAWS || parser.position > 1e15)
      throw new AttestreamError('IMPORT_FORMAT', 'the file is not XML from here on', { offset: parser.position });
    sink.reject(parser.line + 1, '', 'IMPORT_ROW', `the XML is not well formed: ${error.message.split('\n')[0]}`);
    // As sax wants it: a flaw is taken back by hand, and parsing goes on behind it.
    (parser as { error: Error | null }).error = null;
    parser.resume();
  };

  const attribute = (name: string, given: sax.Tag['attributes']): void => {
    if (!SCALARS.has(name) || globalDepth > 0) return;
    const key = given['key'];
    const text = given['value'];
    if (key === undefined || text === undefined) return;
    const target =
      eventDepth > 0 && depth === eventDepth + 1 ? event : traceDepth > 0 && depth === traceDepth + 1 ? trace : null;
    if (target === null) return;
    attributes++;
    characters += key.length + text.length;
    if (attributes > MAX_ATTRIBUTES || characters > MAX_EVENT) return;
    // A plain assignment would take the key `__proto__` for the prototype.
    Object.defineProperty(target, target === trace ? CASE + key : key, {
      value: scalar(name, text),
      enumerable: true,
      configurable: true,
    });
  };

  parser.onopentag = (node) => {
    depth++;
    if (depth > MAX_DEPTH)
      throw new AttestreamError('IMPORT_FORMAT', `elements are nested more than ${MAX_DEPTH} deep`);
    const name = node.name.toLowerCase();
    if (depth === 1) {
      if (name !== 'log')
        throw new AttestreamError(
          'IMPORT_FORMAT',
          `the root element is <${node.name.slice(0, 64)}>, not <log>: this is not XES`,
        );
      sawLog = true;
    } else if (eventDepth > 0) attribute(name, node.attributes as sax.Tag['attributes']);
    else if (name === 'event') {
      eventDepth = depth;
      line = parser.line + 1;
      event = {};
      attributes = 0;
      characters = 0;
    } else if (name === 'trace' && traceDepth === 0) {
      traceDepth = depth;
      trace = {};
      attributes = 0;
      characters = 0;
    } else if (name === 'global') globalDepth = globalDepth || depth;
    else attribute(name, node.attributes as sax.Tag['attributes']);
  };

  parser.onclosetag = () => {
    if (depth === eventDepth) {
      eventDepth = 0;
      finish();
    } else if (depth === traceDepth) {
      traceDepth = 0;
      trace = {};
    } else if (depth === globalDepth) globalDepth = 0;
    depth--;
  };

  const finish = (): void => {
    flaws = 0;
    const raw = (): string =>
      JSON.stringify(event, (_, held) =>
        held instanceof NumberText || held instanceof FloatText ? held.digits : held,
      );
    if (attributes > MAX_ATTRIBUTES || characters > MAX_EVENT) {
      sink.reject(
        line,
        raw().slice(0, 4096),
        'IMPORT_ROW',
        `the event has more than ${MAX_ATTRIBUTES} attributes or ${MAX_EVENT} characters`,
      );
      return;
    }
    const row: Row = Object.assign(Object.create(null), trace, event);
    for (const held of Object.values(row))
      if (typeof held === 'string' && held.includes('\uFFFD')) {
        sink.reject(line, raw(), 'IMPORT_ENCODING', 'the event holds bytes that are not of the encoding of the file');
        return;
      }
    sink.row(line, '', row);
  };

  return {
    push(chunk) {
      decoder ??= new TextDecoder(declaredEncoding(chunk));
      parser.write(decoder.decode(chunk, { stream: true }));
    },
    end() {
      if (decoder === null) return;
      const rest = decoder.decode();
      if (rest !== '') parser.write(rest);
      if (!sawLog) throw new AttestreamError('IMPORT_FORMAT', 'the file has no <log> element: this is not XES');
      if (depth > 0)
        sink.reject(parser.line + 1, '', 'IMPORT_ROW', 'the file ends inside of an element: it was cut off');
    },
  };
};

const declaredEncoding = (head: Buffer): string => {
  if (head[0] === 0xff && head[1] === 0xfe) return 'utf-16le';
  if (head[0] === 0xfe && head[1] === 0xff) return 'utf-16be';
  const declared =
    /^[^>]*?encoding=["']([A-Za-z0-9._-]{1,40})["']/.exec(head.toString('latin1', 0, 256))?.[1] ?? 'utf-8';
  try {
    return new TextDecoder(declared).encoding;
  } catch (cause) {
    throw new AttestreamError(
      'IMPORT_FORMAT',
      `the encoding ${declared} is not known; convert the file to UTF-8`,
      {},
      { cause },
    );
  }
};
