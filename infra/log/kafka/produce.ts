import type { Broker } from './cluster.js';
import { ProtocolError, RequestWriter, ResponseReader } from './wire.js';

const PRODUCE = 0;
const ALL_REPLICAS = -1;
/** How long the leader waits for its replicas, in ms. */
const TIMEOUT = 20_000;

export interface PartitionBatch {
  readonly topic: string;
  readonly partition: number;
  readonly batch: Buffer;
  /** How many records are in it. */
  readonly records: number;
}

/** Offset of the first record of each batch, in the order given: at most one batch per partition, one leader for all. Throws the first ProtocolError. */
export const produce = async (
  broker: Broker,
  transactionalId: string | null,
  batches: readonly PartitionBatch[],
): Promise<readonly number[]> => {
  const read = (raw: Buffer): readonly number[] => {
    const response = new ResponseReader(raw);
    const offsets = new Map<string, number>();
    const topics = response.i32();
    for (let i = 0; i < topics; i++) {
      const topic = response.string();
      const partitions = response.i32();
      for (let j = 0; j < partitions; j++) {
        const partition = response.i32();
        const code = response.i16();
        const offset = Number(response.i64());
        response.i64();
        response.i64();
        if (code !== 0) throw new ProtocolError(code);
        offsets.set(`${topic}/${partition}`, offset);
      }
    }
    return batches.map(({ topic, partition }) => offsets.get(`${topic}/${partition}`) ?? -1);
  };
  return await broker.connectionPool.send({
    request: {
      apiKey: PRODUCE,
      apiVersion: 7,
      apiName: 'Produce',
      encode: async () => {
        const request = new RequestWriter().string(transactionalId).i16(ALL_REPLICAS).i32(TIMEOUT);
        const byTopic = new Map<string, PartitionBatch[]>();
        for (const batch of batches) byTopic.set(batch.topic, [...(byTopic.get(batch.topic) ?? []), batch]);
        request.i32(byTopic.size);
        for (const [topic, list] of byTopic) {
          request.string(topic).i32(list.length);
          for (const { partition, batch } of list) request.i32(partition).bytes(batch);
        }
        return request.done();
      },
    },
    response: { decode: async (raw) => read(raw), parse: async (offsets) => offsets },
  });
};
