import type { Command } from 'commander';
import { checkTopics, createTopics } from '../../infra/kafka/topics.js';
import type { EventLog } from '../../infra/log/event-log.js';
import { DEFAULT_PARTITIONS, TOPICS } from '../../schemas/topics.js';
import { wholeNumber } from '../arguments.js';
import { requiredSetting, setting } from '../configuration.js';
import { examples } from '../examples.js';
import { Findings } from '../exit.js';
import { openLog } from '../open-log.js';
import { outputOf } from '../output.js';

const withLog = async (command: Command, readOnly: boolean, use: (log: EventLog) => Promise<void>): Promise<void> => {
  const log = await openLog(requiredSetting(command, 'log'), { command, readOnly });
  try {
    await use(log);
  } finally {
    await log.close();
  }
};

const partitionsOf = (command: Command): number | undefined => setting(command, 'partitions') as number | undefined;

export const register = (program: Command): void => {
  const topics = program.command('topics').description('the topics of a log');
  const sub = (name: string, description: string): Command =>
    topics
      .command(name)
      .description(description)
      .option('--log <uri>', 'kafka://HOST:PORT[,HOST:PORT] or a folder')
      .option('--registry <url>', 'schema registry, for Kafka')
      .option('--partitions <n>', 'partitions of each topic', wholeNumber('--partitions', 1, 10_000));

  sub('create', 'create the topics that do not exist yet')
    .addHelpText(
      'after',
      examples([
        'topics create --log kafka://localhost:9092 --registry http://localhost:8081',
        `${DEFAULT_PARTITIONS} partitions each, fixed from then on`,
      ]),
    )
    .action(async (_options: object, command: Command) => {
      const partitions = partitionsOf(command) ?? DEFAULT_PARTITIONS;
      await withLog(command, false, async (log) => {
        const before = new Set(await log.topics());
        await createTopics(log, partitions);
        await outputOf(command).rows(
          TOPICS.map(({ name, cleanup }) => ({ topic: name, partitions, cleanup, created: !before.has(name) })),
        );
      });
    });

  sub('check', 'what would go wrong with the topics as they are')
    .addHelpText(
      'after',
      examples([
        'topics check --log kafka://localhost:9092 --registry http://localhost:8081',
        'exit code 1 with findings',
      ]),
    )
    .action(async (_options: object, command: Command) => {
      await withLog(command, true, async (log) => {
        const findings = await checkTopics(log, partitionsOf(command));
        await outputOf(command).rows(findings, ['topic', 'finding']);
        if (findings.length > 0)
          throw new Findings(`attestream: ${findings.length} ${findings.length === 1 ? 'finding' : 'findings'}`);
      });
    });
};
