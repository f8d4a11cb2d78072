import type { EventLog } from '../infra/log/event-log.js';
import { recordsOf } from '../infra/log/records.js';
import { verdictJson } from '../schemas/verdict-json.js';

/** Verdicts straight from the log that they were written to, by partition and offset. */
export async function* logVerdicts(log: EventLog): AsyncGenerator<Record<string, unknown>> {
  for await (const { record } of recordsOf(log, 'verdicts', 'Verdict')) yield verdictJson(record);
}
