import { SCHEMAS } from './codec.js';
import { AttestreamError } from './errors.js';
import type { RecordName, Records } from './records.js';
import { Words } from './words.js';

/**
 * Reads chosen fields of one Avro body into an object that is reused from call to call; everything else is skipped.
 * Arrays and the records in them are pooled too: copy what you keep. Throws RECORD_INVALID for bytes that are no such record.
 */
export type Projection<T> = (bytes: Buffer, start: number, end: number) => T;

type Schema = string | Schema[] | NamedSchema;
interface NamedSchema {
  readonly type: Schema;
  readonly name?: string;
  readonly size?: number;
  readonly symbols?: readonly string[];
  readonly items?: Schema;
  readonly values?: Schema;
  readonly fields?: readonly { readonly name: string; readonly type: Schema }[];
}

/**
 * Readers of what is longer than one byte: they take the cursor and leave in `q` where they ended, so that the cursor itself
 * stays a local of the projection.
 */
const PRIMITIVES = `
  let q = 0;
  const fail = (what) => { throw new Invalid(what); };
  const long = (b, p) => {
    let n = b[p++], lo = n & 127;
    if (n >= 128) { n = b[p++]; lo |= (n & 127) << 7;
      if (n >= 128) { n = b[p++]; lo |= (n & 127) << 14;
        if (n >= 128) { n = b[p++]; lo |= (n & 127) << 21; if (n >= 128) return wide(b, p, lo); } } }
    q = p;
    return (lo >>> 1) ^ -(lo & 1);
  };
  const wide = (b, p, lo) => {
    let n = b[p++], mid = n & 127;
    if (n >= 128) { n = b[p++]; mid |= (n & 127) << 7;
      if (n >= 128) { n = b[p++]; mid |= (n & 127) << 14;
        if (n >= 128) { n = b[p++]; mid |= (n & 127) << 21; } } }
    let half = (lo >>> 1) + mid * 134217728;
    if (n >= 128) {
      n = b[p++]; half += (n & 127) * 36028797018963968;
      if (n >= 128) { n = b[p++]; if (n > 1) fail('an integer of more than 64 bits'); half += n * 4611686018427387904; }
    }
    if (!(half <= 9007199254740991)) fail('an integer beyond 2^53 or a cut one');
    q = p;
    return lo & 1 ? -half - 1 : half;
  };
  const count = (b, p, end) => {
    let n = long(b, p);
    if (n < 0) { n = -n; long(b, q); }
    if (n > end - q) fail('more items than bytes');
    return n;
  };
  const span = (b, p, end) => {
    const n = long(b, p);
    if (n < 0 || n > end - q) fail('a length beyond the record');
    return n;
  };
`;

class Invalid extends Error {}

/** Writes the body of a reader for `name`, keeping only `fields` at the top level. */
class Generator {
  readonly #named = new Map<string, NamedSchema>();
  readonly #constants: unknown[] = [];
  readonly declarations: string[] = [];
  #unique = 0;

  constant(value: unknown): string {
    this.#constants.push(value);
    const name = `k${this.#constants.length - 1}`;
    this.declarations.push(`const ${name} = k[${this.#constants.length - 1}];`);
    return name;
  }

  get constants(): readonly unknown[] {
    return this.#constants;
  }

  fresh(prefix: string): string {
    return `${prefix}${this.#unique++}`;
  }

  #resolve(schema: Schema): Schema {
    if (typeof schema === 'string') return this.#named.get(schema) ?? schema;
    if (Array.isArray(schema)) return schema;
    if (schema.name !== undefined) this.#named.set(schema.name, schema);
    return schema;
  }

  /** Statements that move the cursor past a value. */
  skip(schema: Schema): string {
    const type = this.#resolve(schema);
    if (Array.isArray(type)) {
      const branches = type.map((branch, i) => `case ${i}: ${this.skip(branch)} break;`).join(' ');
      return `{ const u = long(b, p); p = q; switch (u) { ${branches} default: fail('no such branch'); } }`;
    }
    const kind = typeof type === 'string' ? type : type.type;
    if (typeof kind !== 'string') return this.skip(kind);
    const node = type as NamedSchema;
    switch (kind) {
      case 'null':
        return '';
      case 'boolean':
        return 'p++;';
      case 'int':
      case 'long':
      case 'enum':
        return 'while (b[p++] >= 128);';
      case 'float':
        return 'p += 4;';
      case 'double':
        return 'p += 8;';
      case 'fixed':
        return `p += ${node.size};`;
      case 'bytes':
      case 'string':
        return '{ const n = span(b, p, end); p = q + n; }';
      case 'array':
      case 'map': {
        const n = this.fresh('n');
        const key = kind === 'map' ? this.skip('string') : '';
        const item = this.skip((kind === 'map' ? node.values : node.items)!);
        return `{ ${this.#blocks(n, `${key} ${item}`)} }`;
      }
      case 'record':
        return node.fields!.map((field) => this.skip(field.type)).join(' ');
      default:
        throw new Error(`no reader for ${kind}`);
    }
  }

  /** Statements that read a value into `target`. */
  read(schema: Schema, target: string): string {
    const type = this.#resolve(schema);
    if (Array.isArray(type)) {
      if (type.length !== 2 || type[0] !== 'null') throw new Error('unions are [null, T] only');
      return `{ const u = long(b, p); p = q; if (u === 1) { ${this.read(type[1]!, target)} } else if (u === 0) ${target} = null; else fail('no such branch'); }`;
    }
    const kind = typeof type === 'string' ? type : type.type;
    if (typeof kind !== 'string') return this.read(kind, target);
    const node = type as NamedSchema;
    switch (kind) {
      case 'boolean':
        return `${target} = b[p++] === 1;`;
      case 'int':
      case 'long':
        return `${target} = long(b, p); p = q;`;
      case 'double':
        return `if (p + 8 > end) fail('cut'); ${target} = b.readDoubleLE(p); p += 8;`;
      case 'enum': {
        const symbols = this.constant(node.symbols);
        return `{ const s = ${symbols}[long(b, p)]; p = q; if (s === undefined) fail('no such symbol'); ${target} = s; }`;
      }
      case 'fixed':
        return `${target} = b.subarray(p, p += ${node.size});`;
      case 'bytes':
        return `{ const n = span(b, p, end); p = q + n; ${target} = b.subarray(p - n, p); }`;
      case 'string':
        return `{ const n = span(b, p, end); p = q + n; ${target} = words.of(b, p - n, p); }`;
      case 'array': {
        const [list, pool, size, n, item] = ['a', 'q', 'z', 'n', 'i'].map((prefix) => this.fresh(prefix));
        const inner = this.#resolve(node.items!);
        const record = !Array.isArray(inner) && typeof inner !== 'string' && inner.type === 'record';
        const body = record
          ? `const ${item} = ${pool}[${size}] ??= ${this.blank(inner)}; ${inner.fields!.map((field) => this.read(field.type, `${item}.${field.name}`)).join(' ')} ${list}[${size}++] = ${item};`
          : `let ${item}; ${this.read(inner, item!)} ${list}[${size}++] = ${item};`;
        this.declarations.push(`const ${pool} = [];`);
        // A list is cut only where it became shorter: emptying it first would throw its memory away each time.
        return `{ const ${list} = ${target}; let ${size} = 0; ${this.#blocks(n!, body)} if (${list}.length !== ${size}) ${list}.length = ${size}; }`;
      }
      default:
        throw new Error(`no reader for ${kind}`);
    }
  }

  /** Items of an array or map, block by block. */
  #blocks(n: string, item: string): string {
    return `let ${n} = count(b, p, end); p = q; while (${n} !== 0) { for (; ${n} > 0; ${n}--) { ${item} if (p > end) fail('cut'); } ${n} = count(b, p, end); p = q; }`;
  }

  /** A literal with every field present, so that the object's shape never changes. Nested arrays are not pooled: one level is the rule. */
  blank(schema: Schema, only?: ReadonlySet<string>): string {
    const node = this.#resolve(schema) as NamedSchema;
    const fields = node.fields!.filter((field) => only === undefined || only.has(field.name));
    return `{ ${fields.map((field) => `${field.name}: ${this.#empty(field.type)}`).join(', ')} }`;
  }

  /** A value of the kind that the field will have: a time that began as null would be a new heap object at every record. */
  #empty(schema: Schema): string {
    const type = this.#resolve(schema);
    if (typeof type === 'string') return type === 'long' || type === 'int' ? '0' : 'null';
    if (Array.isArray(type)) return 'null';
    if (type.type === 'array') return '[]';
    return type.type === 'long' ? '0.5' : 'null';
  }
}

/**
 * Compiles a projection for the current version of one of our own records (never for a foreign schema: the source is generated).
 * Only arrays at the record's top level are pooled; a record with arrays inside arrays is refused: decode it whole.
 */
export const projection = <N extends RecordName, F extends keyof Records[N] & string>(
  name: N,
  fields: readonly F[],
  words = new Words(),
): Projection<Pick<Records[N], F>> => {
  const schema = JSON.parse(SCHEMAS[name]) as NamedSchema;
  const wanted = new Set<string>(fields);
  for (const field of wanted)
    if (!schema.fields!.some((known) => known.name === field)) throw new Error(`${name} has no field ${field}`);
  const generator = new Generator();
  const body = schema
    .fields!.map((field) =>
      wanted.has(field.name) ? generator.read(field.type, `o.${field.name}`) : generator.skip(field.type),
    )
    .join('\n');
  const source = `'use strict'; ${PRIMITIVES} ${generator.declarations.join(' ')}
    const o = ${generator.blank(schema, wanted)};
    return (b, start, end) => { let p = start; ${body}
      if (p !== end) fail(p < end ? 'bytes after its end' : 'cut'); return o; };`;
  const read = new Function('Invalid', 'words', 'k', source)(Invalid, words, generator.constants) as Projection<
    Pick<Records[N], F>
  >;
  return (bytes, start, end) => {
    try {
      return read(bytes, start, end);
    } catch (cause) {
      throw new AttestreamError('RECORD_INVALID', `not a ${name}: ${(cause as Error).message}`, {}, { cause });
    }
  };
};
