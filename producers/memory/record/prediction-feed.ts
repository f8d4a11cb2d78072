import { setTimeout as delay } from 'node:timers/promises';
import type { EventLog } from '../../../infra/log/event-log.js';
import type { Prediction } from '../../../schemas/records.js';
import { partitionOf } from '../../../schemas/topics.js';

const TOPIC = 'predictions';
/** Records before the newest that are still read at the start: what was predicted a moment ago may still hold. */
const BACK = 1000;
/** ms between questions whether there are predictions at all. */
const PATIENCE = 1000;

/**
 * Gives every prediction for a host that a log holds or gets, until `stop` aborts. A log without such a topic may get one later.
 * What cannot be read is passed over: looks go on at blind instants. Throws the log's errors.
 */
export const followPredictions = async (
  log: EventLog,
  host: string,
  take: (prediction: Prediction) => void,
  stop: AbortSignal,
): Promise<void> => {
  let bounds = await log.bounds(TOPIC);
  while (bounds.length === 0) {
    await delay(PATIENCE, undefined, { signal: stop, ref: false }).catch(() => {});
    if (stop.aborted) return;
    bounds = await log.bounds(TOPIC);
  }
  const partition = partitionOf(host, bounds.length);
  const { first, end } = bounds[partition]!;
  for await (const batch of log.read({ topic: TOPIC, partition }, Math.max(first, end - BACK), 'follow', stop))
    for (let i = 0; i < batch.length; i++) {
      const [index, from, to] = [batch.schemas[i]!, batch.values[2 * i]!, batch.values[2 * i + 1]!];
      if (index < 0 || from < 0 || log.schemas.at(index).record !== 'Prediction') continue;
      let prediction: Prediction;
      try {
        prediction = log.schemas.at(index).decode(Buffer.from(batch.bytes.subarray(from, to))) as Prediction;
      } catch {
        continue;
      }
      if (prediction.host === host) take(prediction);
    }
};
