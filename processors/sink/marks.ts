import type { SinkMark } from '../../infra/clickhouse/audit.js';
import type { EventLog } from '../../infra/log/event-log.js';
import { findPosition, SINK_GROUP } from './position.js';
import { SINK_TABLES, SINK_TOPICS } from './sink.js';

/**
 * How far the sink has come, as the log's own commits say. Takes each partition for a moment, so no sink may be running.
 * @param patience ms to wait for a partition that another process holds; then LOG_LOCKED (folders)
 */
export const sinkMarks = async (log: EventLog, patience = 2_000): Promise<SinkMark[]> => {
  const marks: SinkMark[] = [];
  for (const topic of SINK_TOPICS) {
    let left = (await log.bounds(topic)).length;
    const over = new AbortController();
    if (left === 0) continue;
    for await (const lease of log.own(SINK_GROUP, topic, over.signal, { patience })) {
      const { snapshots } = await lease.restore();
      const table = SINK_TABLES[topic]!;
      const position = await findPosition(table, snapshots);
      await lease.release();
      if (position?.intent)
        marks.push({
          table,
          topic,
          partition: lease.partition,
          rows: position.row,
          intended: Math.max(position.row, position.intent.firstRow + position.intent.rows),
          ingestedAt: position.intent.ingestedAt,
        });
      if (--left === 0) over.abort();
    }
  }
  return marks;
};
