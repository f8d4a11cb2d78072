import avro from 'avsc';

/** Position behind a value that begins at `at`; throws where it would end behind `end`. */
type Pass = (bytes: Buffer, at: number, end: number) => number;

/** Nested records of one body: ours have three levels, and a foreign schema may refer to itself. */
const MAX_DEPTH = 64;

const cut = (): never => {
  throw new Error('it ends within a value');
};

/** Where the last long was read up to; its value is what `long` gives. */
let behind = 0;

/** A zigzag integer; beyond 2^53 it is as good as infinite. */
const long = (bytes: Buffer, at: number, end: number): number => {
  let value = 0;
  let scale = 1;
  for (let i = at; i < end && i < at + 10; i++) {
    const byte = bytes[i]!;
    value += (byte & 127) * scale;
    scale *= 128;
    if (byte < 128) {
      behind = i + 1;
      return value % 2 === 1 ? -(value + 1) / 2 : value / 2;
    }
  }
  return cut();
};

const fixed =
  (size: number): Pass =>
  (_bytes, at, end) =>
    at + size <= end ? at + size : cut();

const varint: Pass = (bytes, at, end) => {
  long(bytes, at, end);
  return behind;
};

const sized: Pass = (bytes, at, end) => {
  const size = long(bytes, at, end);
  return size >= 0 && size <= end - behind ? behind + size : cut();
};

/** Blocks of items, each of which takes a byte at least: more items than bytes are a lie. */
const blocks =
  (item: Pass): Pass =>
  (bytes, at, end) => {
    for (;;) {
      let count = long(bytes, at, end);
      at = behind;
      if (count === 0) return at;
      if (count < 0) {
        count = -count;
        long(bytes, at, end);
        at = behind;
      }
      if (count > end - at) cut();
      for (; count > 0; count--) at = item(bytes, at, end);
    }
  };

class Passes {
  readonly #known = new Map<avro.Type, Pass>();
  /** Some value of the type may hold a list whose length the bytes say. */
  grows = false;
  #depth = 0;

  of(type: avro.Type): Pass {
    let known = this.#known.get(type);
    if (known === undefined) {
      // A type that refers to itself finds this, which looks its meaning up when it is met.
      this.#known.set(type, (bytes, at, end) => this.#known.get(type)!(bytes, at, end));
      known = this.#make(type);
      this.#known.set(type, known);
    }
    return known;
  }

  #make(type: avro.Type): Pass {
    if (avro.Type.isType(type, 'logical')) return this.of((type as avro.types.LogicalType).underlyingType);
    if (avro.Type.isType(type, 'null')) return (_bytes, at) => at;
    if (avro.Type.isType(type, 'boolean')) return fixed(1);
    if (avro.Type.isType(type, 'float')) return fixed(4);
    if (avro.Type.isType(type, 'double')) return fixed(8);
    if (avro.Type.isType(type, 'fixed')) return fixed((type as avro.types.FixedType).size);
    if (avro.Type.isType(type, 'bytes', 'string')) return sized;
    if (avro.Type.isType(type, 'array')) {
      this.grows = true;
      return blocks(this.of((type as avro.types.ArrayType).itemsType));
    }
    if (avro.Type.isType(type, 'map')) {
      this.grows = true;
      const value = this.of((type as avro.types.MapType).valuesType);
      return blocks((bytes, at, end) => value(bytes, sized(bytes, at, end), end));
    }
    if (avro.Type.isType(type, 'union')) {
      const branches = (type as avro.types.UnwrappedUnionType).types.map((branch) => this.of(branch));
      return (bytes, at, end) => {
        const branch = branches[long(bytes, at, end)] ?? cut();
        return branch(bytes, behind, end);
      };
    }
    if (avro.Type.isType(type, 'record')) {
      const fields = (type as avro.types.RecordType).fields.map((field) => this.of(field.type));
      return (bytes, at, end) => {
        if (++this.#depth > MAX_DEPTH) cut();
        for (const field of fields) at = field(bytes, at, end);
        this.#depth--;
        return at;
      };
    }
    return varint; // int, long, enum
  }

  run(pass: Pass, body: Buffer): void {
    this.#depth = 0;
    pass(body, 0, body.length);
  }
}

/**
 * A check of bodies of a type, before they are decoded: that no list in them says to have more items than there are bytes. The
 * decoder itself goes on reading behind the end as long as a count tells it to. null where the type has no lists.
 */
export const boundsCheck = (type: avro.Type): ((body: Buffer) => void) | null => {
  const passes = new Passes();
  const pass = passes.of(type);
  return passes.grows ? (body) => passes.run(pass, body) : null;
};
