import type { EventLog } from '../infra/log/event-log.js';
import type { Verdict } from '../schemas/records.js';
import { verdictJson } from '../schemas/verdict-json.js';

/** Verdicts straight from the log that they were written to, by partition and offset. */
export async function* logVerdicts(log: EventLog): AsyncGenerator<Record<string, unknown>> {
  for (const [partition, { first, end }] of (await log.bounds('verdicts')).entries())
    for await (const batch of log.read({ topic: 'verdicts', partition }, first, end))
      for (let i = 0; i < batch.length; i++) {
        const schema = batch.schemas[i]!;
        if (schema < 0 || log.schemas.at(schema).record !== 'Verdict') continue;
        yield verdictJson(
          log.schemas
            .at(schema)
            .decode(batch.bytes.subarray(batch.values[2 * i]!, batch.values[2 * i + 1]!)) as Verdict,
        );
      }
}
