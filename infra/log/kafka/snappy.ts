const MAGIC = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00]);

/** One raw Snappy block, appended to `parts`; its announced length counts against `room`. Returns the room that is left. */
const block = (input: Buffer, parts: Buffer[], room: number): number => {
  let at = 0;
  let length = 0;
  for (let shift = 0; ; shift += 7) {
    if (at >= input.length || shift > 28) throw new Error('the length is not a varint');
    const byte = input[at++]!;
    length += (byte & 0x7f) * 2 ** shift;
    if (byte < 0x80) break;
  }
  // Three bytes of input make at most 64 of output: what a short input announces beyond that is a lie, and not allocated.
  if (length > room || length > input.length * 64) throw new Error(`it announces ${length} bytes`);
  const out = Buffer.allocUnsafe(length);
  let to = 0;
  while (at < input.length) {
    const tag = input[at++]!;
    let size: number;
    if ((tag & 3) === 0) {
      size = tag >>> 2;
      if (size >= 60) {
        const width = size - 59;
        if (at + width > input.length) throw new Error('a literal is cut off');
        size = input.readUIntLE(at, width);
        at += width;
      }
      size++;
      if (at + size > input.length || to + size > length) throw new Error('a literal leaves its bounds');
      input.copy(out, to, at, at + size);
      at += size;
      to += size;
      continue;
    }
    const width = (tag & 3) === 1 ? 1 : (tag & 3) === 2 ? 2 : 4;
    if (at + width > input.length) throw new Error('a copy is cut off');
    let distance = input.readUIntLE(at, width);
    at += width;
    if (width === 1) {
      size = 4 + ((tag >>> 2) & 7);
      distance += (tag >>> 5) << 8;
    } else size = (tag >>> 2) + 1;
    if (distance === 0 || distance > to || to + size > length) throw new Error('a copy leaves its bounds');
    // Source and target may overlap: that is how runs are written.
    for (const end = to + size; to < end; to++) out[to] = out[to - distance]!;
  }
  if (to !== length) throw new Error(`${to} bytes came of ${length}`);
  parts.push(out);
  return room - length;
};

/** Snappy as Kafka producers write it: a raw block, or the framing of snappy-java. Throws an Error on damage or beyond `limit` bytes. */
export const inflateSnappy = (input: Buffer, limit: number): Buffer => {
  const parts: Buffer[] = [];
  if (input.length < 16 || !input.subarray(0, 8).equals(MAGIC)) {
    block(input, parts, limit);
    return parts[0]!;
  }
  let room = limit;
  for (let at = 16; at < input.length; ) {
    if (at + 4 > input.length) throw new Error('a frame is cut off');
    const size = input.readInt32BE(at);
    at += 4;
    if (size < 0 || at + size > input.length) throw new Error('a frame leaves its bounds');
    room = block(input.subarray(at, at + size), parts, room);
    at += size;
  }
  return Buffer.concat(parts);
};
