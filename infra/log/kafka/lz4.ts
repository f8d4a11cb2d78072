/** What grows while an LZ4 frame is read: later blocks may refer to earlier ones, so that one buffer holds all. */
interface Output {
  bytes: Buffer;
  length: number;
}

const reserve = (out: Output, more: number, limit: number): void => {
  const needed = out.length + more;
  if (needed > limit) throw new Error(`more than ${limit} bytes`);
  if (needed <= out.bytes.length) return;
  const grown = Buffer.allocUnsafe(Math.min(limit, Math.max(needed, out.bytes.length * 2)));
  out.bytes.copy(grown, 0, 0, out.length);
  out.bytes = grown;
};

const block = (input: Buffer, out: Output, start: number, limit: number): void => {
  let at = 0;
  const more = (first: number): number => {
    let length = first;
    if (first !== 15) return length;
    for (;;) {
      if (at >= input.length) throw new Error('a length is cut off');
      const byte = input[at++]!;
      length += byte;
      if (byte !== 255) return length;
    }
  };
  while (at < input.length) {
    const token = input[at++]!;
    const literal = more(token >>> 4);
    if (at + literal > input.length) throw new Error('a literal leaves its bounds');
    reserve(out, literal, limit);
    input.copy(out.bytes, out.length, at, at + literal);
    at += literal;
    out.length += literal;
    if (at === input.length) return;
    if (at + 2 > input.length) throw new Error('a match is cut off');
    const distance = input.readUInt16LE(at);
    at += 2;
    const size = more(token & 15) + 4;
    if (distance === 0 || out.length - distance < start) throw new Error('a match leaves its bounds');
    reserve(out, size, limit);
    const bytes = out.bytes;
    for (let to = out.length, end = to + size; to < end; to++) bytes[to] = bytes[to - distance]!;
    out.length += size;
  }
};

/** An LZ4 frame, its checksums not looked at (the record batch has its own). Throws an Error on damage or beyond `limit` bytes. */
export const inflateLz4 = (input: Buffer, limit: number): Buffer => {
  if (input.length < 7 || input.readUInt32LE(0) !== 0x184d2204) throw new Error('not an LZ4 frame');
  const flags = input[4]!;
  if (flags >>> 6 !== 1) throw new Error(`frame version ${flags >>> 6} is not known`);
  const independent = (flags & 0x20) !== 0;
  let at = 6 + ((flags & 0x08) !== 0 ? 8 : 0) + ((flags & 0x01) !== 0 ? 4 : 0) + 1;
  const out: Output = { bytes: Buffer.allocUnsafe(Math.min(limit, input.length * 4)), length: 0 };
  for (;;) {
    if (at + 4 > input.length) throw new Error('a block is cut off');
    const header = input.readUInt32LE(at);
    at += 4;
    if (header === 0) return out.bytes.subarray(0, out.length);
    const size = header & 0x7fffffff;
    if (at + size > input.length) throw new Error('a block leaves its bounds');
    const body = input.subarray(at, at + size);
    if (header >= 0x80000000) {
      reserve(out, size, limit);
      body.copy(out.bytes, out.length);
      out.length += size;
    } else block(body, out, independent ? out.length : 0, limit);
    at += size + ((flags & 0x10) !== 0 ? 4 : 0);
  }
};
