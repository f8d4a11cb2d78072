import type { Broker } from './cluster.js';
import type { Fetched } from './decode-fetched.js';
import { ProtocolError, RequestWriter, ResponseReader } from './wire.js';

const FETCH = 1;
const READ_COMMITTED = 1;

/** Bytes that one fetch asks for; a single larger record comes nevertheless. */
export const FETCH_BYTES = 2 * 1024 * 1024;
/** How long the broker waits for the first byte, in ms: what a reader that is stopped waits at most. */
const WAIT = 200;

export interface FetchAnswer extends Fetched {
  /** Beginning of the log; -1 if not told. */
  readonly first: number;
  /** One past the last committed record. */
  readonly stable: number;
}

const read = (raw: Buffer): FetchAnswer => {
  const response = new ResponseReader(raw);
  response.i32();
  const failed = response.i16();
  if (failed !== 0) throw new ProtocolError(failed);
  response.i32();
  if (response.i32() !== 1) throw new RangeError('the answer is not about the one topic asked for');
  response.string();
  if (response.i32() !== 1) throw new RangeError('the answer is not about the one partition asked for');
  response.i32();
  const code = response.i16();
  response.i64();
  const stable = Number(response.i64());
  const first = Number(response.i64());
  const count = response.i32();
  const aborted = [];
  for (let i = 0; i < count; i++) aborted.push({ producerId: response.i64(), firstOffset: Number(response.i64()) });
  response.i32();
  if (code !== 0) throw new ProtocolError(code);
  return { records: response.bytes(), aborted, first, stable };
};

/** One long poll of one partition at an offset, committed records only, outside of any session or group. */
export const fetchPartition = async (
  broker: Broker,
  topic: string,
  partition: number,
  offset: number,
): Promise<FetchAnswer> =>
  await broker.connectionPool.send({
    request: {
      apiKey: FETCH,
      apiVersion: 11,
      apiName: 'Fetch',
      encode: async () =>
        new RequestWriter()
          .i32(-1)
          .i32(WAIT)
          .i32(1)
          .i32(FETCH_BYTES)
          .i8(READ_COMMITTED)
          .i32(0)
          .i32(-1)
          .i32(1)
          .string(topic)
          .i32(1)
          .i32(partition)
          .i32(-1)
          .i64(offset)
          .i64(-1)
          .i32(FETCH_BYTES)
          .i32(0)
          .string('')
          .done(),
    },
    response: { decode: async (raw) => read(raw), parse: async (answer) => answer },
  });
