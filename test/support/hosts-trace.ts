import { openTrace } from '../../infra/log/trace/trace-log.js';
import { encodeRecord } from '../../schemas/codec.js';
import { partitionOf } from '../../schemas/topics.js';
import type { Placed } from './measured-host.js';

/** What an operator says of all hosts stands in every partition. */
const WIDE = new Set(['Tick', 'Approval']);

/** A host's records from one tick to the next. */
const beatsOf = (records: readonly Placed[]): Placed[][] => {
  const beats: Placed[][] = [[]];
  for (const record of records) {
    if (record.name === 'Tick') beats.push([]);
    beats.at(-1)!.push(record);
  }
  return beats;
};

/**
 * Writes lives of hosts that share a verifier's numbers into a trace, one beat after the other, each host's records in its
 * partition. The ticks are the same for all: those of the first host that has so many.
 */
export const writeHostsTrace = async (path: string, partitions: number, lives: readonly Placed[][]): Promise<void> => {
  const log = await openTrace(path);
  await log.createTopic('measurements', partitions);
  await log.createTopic('policies', 1);
  const beats = lives.map(beatsOf);
  const most = Math.max(...beats.map(({ length }) => length));
  for (let beat = 0; beat < most; beat++) {
    const all = beats.flatMap((parts) => parts[beat] ?? []);
    const wide = [
      ...all.filter(({ name }) => name === 'Tick').slice(0, 1),
      ...all.filter(({ name }) => name === 'Approval'),
    ];
    for (let partition = 0; partition < partitions; partition++) {
      const own = all.filter(({ name, host }) => !WIDE.has(name) && partitionOf(host, partitions) === partition);
      const entries = [...wide, ...own].map(({ host, name, record }) => ({
        key: host === '' ? null : Buffer.from(host),
        schema: log.schemas.current(name),
        value: encodeRecord(name, record),
      }));
      if (entries.length > 0) await log.append({ topic: 'measurements', partition }, entries);
    }
  }
  await log.close();
};
