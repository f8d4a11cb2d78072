import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { EventLog } from '../../../infra/log/event-log.js';
import { memoryLog } from '../../../infra/log/memory-log.js';
import { type ImportOptions, type ImportSummary, importFile } from '../../../producers/import/import-file.js';
import { parseImportMap } from '../../../producers/import/import-map.js';
import type { Activation, DeadLetter } from '../../../schemas/records.js';

/** All records of a topic, partition by partition, decoded. */
export const recordsOf = async <T>(log: EventLog, topic: string): Promise<T[]> => {
  const found: T[] = [];
  for (const [partition, { first, end }] of (await log.bounds(topic)).entries()) {
    if (first === end) continue;
    for await (const batch of log.read({ topic, partition }, first, end))
      for (let i = 0; i < batch.length; i++)
        found.push(
          log.schemas
            .at(batch.schemas[i]!)
            .decode(Buffer.from(batch.bytes.subarray(batch.values[2 * i]!, batch.values[2 * i + 1]!))) as T,
        );
  }
  return found;
};

export interface Imported {
  readonly summary: ImportSummary;
  readonly log: EventLog;
  readonly activations: readonly Activation[];
  readonly deadLetters: readonly DeadLetter[];
}

let count = 0;

/** Imports a file of this content into a log of one partition. */
export const importText = async (
  folder: string,
  name: string,
  content: string | Buffer,
  map?: string,
  options: Partial<ImportOptions> = {},
): Promise<Imported> => {
  const file = join(folder, `${count++}-${name}`);
  writeFileSync(file, content);
  const log = options.log ?? memoryLog('imported');
  const summary = await importFile({
    file,
    log,
    partitions: 1,
    streamName: name,
    ...(map === undefined ? {} : { map: parseImportMap(Buffer.from(map), 'MAP.yaml') }),
    ...options,
  });
  return {
    summary,
    log,
    activations: await recordsOf<Activation>(log, 'memory'),
    deadLetters: await recordsOf<DeadLetter>(log, 'dead-letters'),
  };
};
