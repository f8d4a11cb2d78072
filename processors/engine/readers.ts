import type { SchemaTable, WriterSchema } from '../../schemas/codec.js';
import { SCHEMAS } from '../../schemas/codec.js';
import { projection } from '../../schemas/projection.js';
import type { RecordName } from '../../schemas/records.js';
import { isSignedName } from '../../schemas/signed.js';
import { TOPICS } from '../../schemas/topics.js';
import { Words } from '../../schemas/words.js';
import type { Fold, HostRecordName, WideRecordName } from './fold.js';

/** What the engine itself needs of every event. */
export interface Envelope {
  readonly seq: number;
  readonly at: number;
  readonly notBefore: number;
}

/**
 * How records of one writer schema are read.
 * `events` carry a host's identity and time; the controller's records stand in every partition; `foreign` ones do not belong here.
 */
export type Reader =
  | {
      readonly is: 'event';
      readonly type: RecordName;
      /** The fold wants it; otherwise only its seq and its time count. */
      readonly wanted: boolean;
      /** CRC-64-AVRO of the writer schema. */
      readonly fingerprint: Buffer;
      /** The body begins with the 32 bytes of the stream: no need to decode them. */
      readonly streamInPlace: boolean;
      read(bytes: Buffer, start: number, end: number): Envelope & { readonly stream?: Buffer };
    }
  | { readonly is: 'controller'; readonly type: WideRecordName | HostRecordName; readonly schema: WriterSchema }
  | { readonly is: 'foreign'; readonly message: string };

/** Records with arrays in arrays or records in unions, which a projection does not pool: they are decoded whole. */
const WHOLE: ReadonlySet<RecordName> = new Set(['Look', 'Evidence']);

const fieldNames = (record: RecordName): readonly string[] =>
  (JSON.parse(SCHEMAS[record]) as { fields: { name: string }[] }).fields.map((field) => field.name);

/** Readers per index of a log's schema table, made at the first record of each. */
export class Readers<Types extends RecordName, State> {
  readonly #readers: (Reader | undefined)[] = [];
  readonly #words = new Words();
  readonly #schemas: SchemaTable;
  readonly #fold: Fold<Types, State>;
  readonly #topic: string;

  constructor(schemas: SchemaTable, fold: Fold<Types, State>) {
    this.#schemas = schemas;
    this.#fold = fold;
    this.#topic = fold.topic;
  }

  at(index: number): Reader {
    this.#readers[index] ??= this.#make(this.#schemas.at(index));
    return this.#readers[index];
  }

  #make(schema: WriterSchema): Reader {
    const { record } = schema;
    const topic = TOPICS.find(({ name }) => name === this.#topic);
    if (record === null || (topic !== undefined && !topic.records.includes(record)))
      return { is: 'foreign', message: `a ${schema.name} does not belong into ${this.#topic}` };
    if (isSignedName(record) && record !== 'Receipt') return { is: 'controller', type: record, schema };
    const names = fieldNames(record);
    if (names[0] !== 'stream' || names[1] !== 'seq')
      return { is: 'foreign', message: `a ${record} has no stream and seq` };
    const wanted = Object.hasOwn(this.#fold.fields, record);
    const read = schema.current
      ? this.#current(record, names, wanted ? (this.#fold.fields[record as unknown as Types] as readonly string[]) : [])
      : (bytes: Buffer, start: number, end: number) => {
          const event = schema.decode(bytes.subarray(start, end)) as Envelope & { stream: Buffer };
          return event.notBefore === undefined ? { ...event, notBefore: event.at } : event;
        };
    const { fingerprint, current } = schema;
    return { is: 'event', type: record, wanted, fingerprint, streamInPlace: current, read };
  }

  #current(
    record: RecordName,
    names: readonly string[],
    fields: readonly string[],
  ): (bytes: Buffer, start: number, end: number) => Envelope {
    const hasInterval = names.includes('notBefore');
    if (WHOLE.has(record) && fields.length > 0) {
      const schema = this.#schemas.at(this.#schemas.current(record));
      return (bytes, start, end) => {
        const event = schema.decode(bytes.subarray(start, end)) as Envelope;
        return hasInterval ? event : { ...event, notBefore: event.at };
      };
    }
    const wanted = new Set<string>([...fields, 'seq', 'at', ...(hasInterval ? ['notBefore'] : [])]);
    const read = projection(record, [...wanted] as never[], this.#words) as unknown as (
      bytes: Buffer,
      start: number,
      end: number,
    ) => { seq: number; at: number; notBefore: number };
    if (hasInterval) return read;
    return (bytes, start, end) => {
      const event = read(bytes, start, end);
      event.notBefore = event.at;
      return event;
    };
  }
}
