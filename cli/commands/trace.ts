import type { Command } from 'commander';
import { type CatRecord, catRecords } from '../../infra/log/trace/cat.js';
import { AttestreamError } from '../../schemas/errors.js';
import { didYouMean } from '../../schemas/suggest.js';
import { gather } from '../arguments.js';
import { examples } from '../examples.js';
import { stopOf } from '../io.js';
import { openLog } from '../open-log.js';
import { outputOf } from '../output.js';
import { parseRange, type Range, resolveRange, WHOLE } from '../range.js';

interface Options {
  readonly topic?: readonly string[];
  readonly range?: Range;
}

/** The record's type is a header; a table wants it in a column. */
const typeOf = ({ headers }: CatRecord): string | null => {
  for (let i = 0; i + 1 < headers.length; i += 2) if (headers[i] === 'type') return headers[i + 1]!;
  return null;
};

/** Of a host's 64 digits a table shows as many as tell hosts apart. */
const SHORT_KEY = 12;

/** A stream's 64 digits would fill the row. */
const withoutStream = (payload: unknown): unknown => {
  if (typeof payload !== 'object' || payload === null) return payload;
  const { stream: _, ...rest } = payload as Record<string, unknown>;
  return rest;
};

async function* tableRows(records: AsyncIterable<CatRecord>): AsyncGenerator<object> {
  for await (const record of records) {
    const { topic, partition, offset, key, payload, raw } = record;
    yield {
      topic,
      partition,
      offset,
      key: key === null ? null : key.slice(0, SHORT_KEY),
      type: typeOf(record),
      payload: raw === undefined ? withoutStream(payload) : `raw ${raw}`,
    };
  }
}

export const register = (program: Command): void => {
  const trace = program.command('trace').description('traces: logs that lie in a folder');
  trace
    .command('cat')
    .description('the decoded records of a trace or another log, partition by partition')
    .argument('<log>', 'a trace folder, or a log URI')
    .option('--topic <name>', 'only this topic (repeatable)', gather)
    .option('-o, --range <range>', "a part in kcat's notation: beginning, end, OFFSET, -N, s@MS, e@MS", parseRange)
    .option('--registry <url>', 'schema registry, for Kafka')
    .addHelpText(
      'after',
      examples(
        ['trace cat trace/ --topic memory --output ndjson', "one object a record, in the shape of kcat's -J"],
        ['trace cat trace/ -o -10', 'the last ten records of each partition'],
      ),
    )
    .action(async (uri: string, options: Options, command: Command) => {
      const out = outputOf(command);
      const log = await openLog(uri, { command, readOnly: true });
      try {
        const known = await log.topics();
        for (const topic of options.topic ?? [])
          if (!known.includes(topic))
            throw new AttestreamError(
              'TOPIC_MISSING',
              `there is no topic ${JSON.stringify(topic)}; ${didYouMean(topic, known)}`,
              { path: uri },
            );
        const range = options.range ?? WHOLE;
        const stop = stopOf(command);
        const records = catRecords(log, {
          stop,
          from: async (at) => (await resolveRange(log, at, range)).from,
          until: async (at) => (await resolveRange(log, at, range)).until,
          onDamage: ({ topic, partition }, from, to, message) =>
            out.tell(`attestream: TRACE_CORRUPT: ${topic}/${partition} offsets [${from}, ${to}): ${message}`),
          ...(options.topic === undefined ? {} : { topics: options.topic }),
        });
        if (out.format === 'table')
          await out.rows(tableRows(records), ['topic', 'partition', 'offset', 'key', 'type', 'payload']);
        else await out.rows(records);
        stop.throwIfAborted();
      } finally {
        await log.close();
      }
    });
};
