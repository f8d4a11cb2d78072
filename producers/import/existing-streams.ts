import type { EventLog } from '../../infra/log/event-log.js';

const STREAM_BYTES = 32;

/**
 * The streams whose activations `memory` holds, as latin1 text of their 32 bytes. Reads the whole topic; a record is not
 * decoded for it, since its stream is the first field.
 */
export const existingStreams = async (log: EventLog, stop?: AbortSignal): Promise<ReadonlySet<string>> => {
  const activation = log.schemas.current('Activation');
  const found = new Set<string>();
  for (const [partition, { first, end }] of (await log.bounds('memory')).entries()) {
    if (first === end) continue;
    for await (const batch of log.read({ topic: 'memory', partition }, first, end, stop))
      for (let i = 0; i < batch.length; i++) {
        const start = batch.values[2 * i]!;
        if (batch.schemas[i] !== activation || start < 0 || batch.values[2 * i + 1]! - start < STREAM_BYTES) continue;
        found.add(batch.bytes.toString('latin1', start, start + STREAM_BYTES));
      }
  }
  return found;
};
