import { AttestreamError } from '../../../schemas/errors.js';
import type { Batch } from '../event-log.js';
import type { Cluster } from './cluster.js';
import { decodeFetched, nextOffset } from './decode-fetched.js';
import { type FetchAnswer, fetchPartition } from './fetch.js';
import { kafkaError, protocolError } from './kafka-errors.js';
import type { Registry } from './registry.js';

/** Where a read stands in Kafka's names. */
export interface ReadFrom {
  /** As Kafka knows it. */
  readonly kafkaTopic: string;
  /** As batches name it. */
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  /** Infinity follows. */
  readonly until: number;
}

/** How long a reader waits for a cluster that does not answer before it gives up, in ms. */
const PATIENCE = 60_000;

/** Settles with `work`, or with null once `stop` is aborted. */
const unlessStopped = async <T>(work: Promise<T>, stop: AbortSignal | undefined): Promise<T | null> => {
  if (stop === undefined) return await work;
  if (stop.aborted) {
    work.catch(() => null);
    return null;
  }
  let off = (): void => {};
  const stopped = new Promise<null>((resolve) => {
    const listener = (): void => resolve(null);
    stop.addEventListener('abort', listener, { once: true });
    off = () => stop.removeEventListener('abort', listener);
  });
  try {
    return await Promise.race([work, stopped]);
  } finally {
    off();
    work.catch(() => null);
  }
};

const fetchFrom = async (cluster: Cluster, from: ReadFrom, offset: number): Promise<FetchAnswer> => {
  const { kafkaTopic, partition } = from;
  try {
    return await cluster.leader(
      kafkaTopic,
      partition,
      async (broker) => await fetchPartition(broker, kafkaTopic, partition, offset),
      PATIENCE,
    );
  } catch (error) {
    const place = { path: `${from.topic}/${partition}@${offset}` };
    if (protocolError(error) === 'OFFSET_OUT_OF_RANGE')
      throw new AttestreamError(
        'LOG_RANGE',
        `offset ${offset} of ${from.topic}/${partition} lies outside of the log`,
        place,
        {
          cause: error,
        },
      );
    throw kafkaError(error, `reading ${from.topic}/${partition}`, place);
  }
};

/**
 * Committed records of one partition from an explicit offset, without a consumer group. The next fetch is under way while the
 * consumer works on this one: never more than one ahead.
 */
export const readPartition = async function* (
  cluster: Cluster,
  registry: Registry,
  from: ReadFrom,
  stop?: AbortSignal,
): AsyncGenerator<Batch> {
  const index = (id: number): number => registry.index(id);
  let position = from.offset;
  if (position >= from.until || stop?.aborted === true) return;
  let ahead = fetchFrom(cluster, from, position);
  try {
    for (;;) {
      const answer = await unlessStopped(ahead, stop);
      if (answer === null) return;
      const next = nextOffset(answer.records, position);
      const last = next >= from.until;
      if (!last) {
        ahead = fetchFrom(cluster, from, next);
        // Its failure is met when it is awaited, also if the consumer is still busy by then.
        ahead.catch(() => null);
      }
      for (const run of decodeFetched(answer, position, from.until)) {
        if (
          (await unlessStopped(
            registry.load(run.ids).then(() => true),
            stop,
          )) === null
        )
          return;
        yield run.batch(from.topic, from.partition, index);
      }
      position = next;
      if (last) return;
    }
  } finally {
    await ahead.catch(() => null);
  }
};
