import type { SchemaTable, WriterSchema } from '../../schemas/codec.js';
import { SCHEMAS } from '../../schemas/codec.js';
import { projection } from '../../schemas/projection.js';
import type { RecordName } from '../../schemas/records.js';
import { TOPICS } from '../../schemas/topics.js';
import { Words } from '../../schemas/words.js';
import type { Fold } from './fold.js';

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
      /** The body begins with the 32 bytes of the stream: no need to decode them. */
      readonly streamInPlace: boolean;
      read(bytes: Buffer, start: number, end: number): Envelope & { readonly stream?: Buffer };
    }
  | { readonly is: 'controller'; readonly type: 'Tick' | 'Assignment'; readonly schema: WriterSchema }
  | { readonly is: 'foreign'; readonly message: string };

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
    if (record === 'Tick' || record === 'Assignment') return { is: 'controller', type: record, schema };
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
    return { is: 'event', type: record, wanted, streamInPlace: schema.current, read };
  }

  #current(
    record: RecordName,
    names: readonly string[],
    fields: readonly string[],
  ): (bytes: Buffer, start: number, end: number) => Envelope {
    const hasInterval = names.includes('notBefore');
    // A look nests arrays in arrays, which a projection does not pool: it is decoded whole.
    if (record === 'Look' && fields.length > 0) {
      const schema = this.#schemas.at(this.#schemas.current(record));
      return (bytes, start, end) => schema.decode(bytes.subarray(start, end)) as Envelope;
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
