import type { Command } from 'commander';
import { copyLog } from '../../infra/log/copy.js';
import type { EventLog } from '../../infra/log/event-log.js';
import { TOPICS } from '../../schemas/topics.js';
import { gather, perSecond, wholeNumber } from '../arguments.js';
import { examples } from '../examples.js';
import { stopOf } from '../io.js';
import { openLog } from '../open-log.js';
import { outputOf } from '../output.js';
import { progressOf } from '../progress.js';
import { parseRange, type Range, resolveRange, WHOLE } from '../range.js';

interface Options {
  readonly topic?: readonly string[];
  readonly range?: Range;
  readonly rate?: number;
  readonly partitions?: number;
}

/** What hosts and operators said. What processors made of it belongs to them: copied, it would pass for their own state. */
const DERIVED: ReadonlySet<string> = new Set(['state', 'verdicts', 'predictions', 'journal']);

const topicsToCopy = async (from: EventLog): Promise<readonly string[]> =>
  (await from.topics()).filter((topic) => TOPICS.some(({ name }) => name === topic) && !DERIVED.has(topic));

export const register = (program: Command): void => {
  program
    .command('copy')
    .description('records of one log into another: identities and order of each host are kept, offsets are not')
    .argument('<from>', 'a trace folder, or a log URI')
    .argument('<to>', 'a trace folder, or a log URI')
    .option('--topic <name>', 'only this topic (repeatable; default: all but what processors write)', gather)
    .option('-o, --range <range>', "a part in kcat's notation: beginning, end, OFFSET, -N, s@MS, e@MS", parseRange)
    .option('--rate <rate>', 'records per second', perSecond('--rate'))
    .option(
      '--partitions <n>',
      'partitions of topics that are created (default: as in FROM)',
      wholeNumber('--partitions', 1, 10_000),
    )
    .option('--registry <url>', 'schema registry, for Kafka')
    .addHelpText(
      'after',
      examples(
        ['copy trace/ kafka://localhost:9092 --registry http://localhost:8081', 'a trace into Kafka'],
        [
          'copy kafka://localhost:9092 last-hour/ -o s@1700000000000 --registry http://localhost:8081',
          'and back, from a time on',
        ],
      ),
    )
    .action(async (fromUri: string, toUri: string, options: Options, command: Command) => {
      const out = outputOf(command);
      const stop = stopOf(command);
      const from = await openLog(fromUri, { command, readOnly: true });
      const progress = progressOf(command, 'copy');
      try {
        const to = await openLog(toUri, { command });
        try {
          const topics = options.topic ?? (await topicsToCopy(from));
          if (options.partitions !== undefined)
            for (const topic of topics)
              if ((await to.bounds(topic)).length === 0) await to.createTopic(topic, options.partitions);
          const { range } = options;
          const copied = await copyLog(from, to, {
            topics,
            stop,
            onProgress: (records) => progress.update(0, 0, records),
            onDamage: ({ topic, partition }, damage) =>
              out.tell(
                `attestream: ${damage.code}: ${topic}/${partition} offsets [${damage.from}, ${damage.to}): ${damage.message}`,
              ),
            ...(range === undefined || range === WHOLE ? {} : { range: (at) => resolveRange(from, at, range) }),
            ...(options.rate === undefined ? {} : { rate: options.rate }),
          });
          progress.end();
          stop.throwIfAborted();
          await out.object(copied);
        } finally {
          await to.close();
        }
      } finally {
        progress.end();
        await from.close();
      }
    });
};
