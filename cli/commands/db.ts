import type { Command } from 'commander';
import { audit, auditPassed } from '../../infra/clickhouse/audit.js';
import { migrate } from '../../infra/clickhouse/migrate.js';
import { sinkMarks } from '../../processors/sink/marks.js';
import { wholeNumber } from '../arguments.js';
import { textSetting } from '../configuration.js';
import { examples } from '../examples.js';
import { Findings } from '../exit.js';
import { openLog } from '../open-log.js';
import { openStore } from '../open-store.js';
import { outputOf } from '../output.js';

export const register = (program: Command): void => {
  const db = program.command('db').description('the ClickHouse database');
  const where = 'embedded:DIR or http(s)://USER@HOST:PORT/DATABASE';

  db.command('migrate')
    .description("bring the database to this version's tables")
    .option('--clickhouse <url>', where)
    .option('--keep-days <n>', 'days that rows are kept after their arrival', wholeNumber('--keep-days', 1, 36_500))
    .addHelpText(
      'after',
      examples(['db migrate --clickhouse embedded:db', 'may be repeated: what was applied is not applied again']),
    )
    .action(async ({ keepDays }: { keepDays?: number }, command: Command) => {
      const store = await openStore(command);
      try {
        const applied = await migrate(store, keepDays === undefined ? {} : { keepDays });
        await outputOf(command).object({ database: store.name, applied });
      } finally {
        await store.close();
      }
    });

  db.command('audit')
    .description('is every row there once? exit code 1 if not')
    .option('--clickhouse <url>', where)
    .option(
      '--log <uri>',
      'the log that the rows came from: then the newest rows are checked too (no sink may be running)',
    )
    .option('--registry <url>', 'schema registry, for Kafka')
    .addHelpText(
      'after',
      examples([
        'db audit --clickhouse embedded:db --log trace/ --output json',
        'rows, duplicates and holes per table',
      ]),
    )
    .action(async (_options: object, command: Command) => {
      const out = outputOf(command);
      const uri = textSetting(command, 'log');
      const store = await openStore(command);
      try {
        const log = uri === undefined ? null : await openLog(uri, { command });
        let report: Awaited<ReturnType<typeof audit>>;
        try {
          report = await audit(store, log === null ? [] : await sinkMarks(log));
        } finally {
          await log?.close();
        }
        if (out.format === 'table')
          await out.rows(Object.entries(report.tables).map(([table, counts]) => ({ table, ...counts })));
        else await out.object(report);
        if (!auditPassed(report))
          throw new Findings('the audit found rows that are missing, double or unaccounted for');
      } finally {
        await store.close();
      }
    });
};
