import type { Command } from 'commander';
import type { RecordOptions } from '../../producers/memory/record/record.js';
import { AttestreamError } from '../../schemas/errors.js';
import { duration, perSecond, share, wholeNumber } from '../arguments.js';
import { requiredSetting } from '../configuration.js';
import { examples } from '../examples.js';
import { ioOf, stopOf } from '../io.js';
import { openLog } from '../open-log.js';
import { outPath, outputOf } from '../output.js';
import { progressOf } from '../progress.js';
import { readPolicy } from '../read-policy.js';
import { imageOf, namedTarget } from '../target-process.js';

interface Options {
  readonly pid?: string;
  readonly container?: string;
  readonly dockerHost?: string;
  readonly policy?: string;
  readonly survey?: boolean;
  readonly values?: boolean;
  readonly out?: string;
  readonly for?: number;
  readonly budget?: number;
  readonly cpu?: number;
  readonly partitions?: number;
}

export const register = (program: Command): void => {
  program
    .command('record')
    .description('live looks at processes into a trace')
    .argument('[program...]', 'behind --: start this program and record it from its first instruction on')
    .option('--pid <pid>', 'a running process and what it starts')
    .option('--container <name>', 'all processes of this container (name or unique id prefix)')
    .option('--docker-host <uri>', 'the container engine (default: DOCKER_HOST, DOCKER_CONTEXT, the usual socket)')
    .option('--policy <file>', 'names the functions whose parameters are read, and what of them may leave the host')
    .option(
      '--survey',
      'without a policy: names of functions; without --out, what was met how often, with which parameters',
    )
    .option('--values', 'with --survey: show what parameters hold (which may be secrets), not only how many values')
    .option('--out <folder>', 'the trace to write', outPath)
    .option('--log <uri>', 'or the log to write to')
    .option('--registry <url>', 'schema registry, for Kafka')
    .option('--for <duration>', 'how long (default: until the processes end)', duration('--for'))
    .option('--budget <rate>', 'looks per second (default: 200/s)', perSecond('--budget'))
    .option('--cpu <share>', 'of one CPU at most for looks, such as 0.02', share('--cpu'))
    .option('--partitions <n>', 'partitions of the topic, if it is created', wholeNumber('--partitions', 1, 10_000))
    .addHelpText(
      'after',
      examples(
        ['record --pid 4711 --policy device.yaml --out trace/ --for 10s', 'ten seconds of a running process'],
        ['record --container pump --survey --for 30s', 'what a program does, to choose from for a policy'],
        ['record --policy device.yaml --out trace/ -- ./device --fast', 'a program from its beginning to its end'],
      ),
    )
    .action(async (words: string[], options: Options, command: Command) => {
      const out = outputOf(command);
      if ((options.policy === undefined) === (options.survey !== true))
        throw new AttestreamError('USAGE', 'give either --policy FILE or --survey');
      const names = [options.pid, options.container, words[0]].filter((name) => name !== undefined).length;
      if (names !== 1)
        throw new AttestreamError('USAGE', 'name one of --pid PID, --container NAME, or -- PROGRAM ARGUMENTS');
      const kept = options.out !== undefined || command.getOptionValue('log') !== undefined;
      if (options.values === true && (options.survey !== true || kept))
        throw new AttestreamError('USAGE', '--values goes with --survey, and never into a trace');
      if (options.survey === true && !kept) {
        if (words.length > 0)
          throw new AttestreamError(
            'USAGE',
            'a survey looks at what runs already: name --pid PID or --container NAME, or give --out TRACE/',
          );
        const { surveyProcess } = await import('../survey-process.js');
        return surveyProcess(options, command);
      }
      const policy = options.policy === undefined ? null : readPolicy(options.policy);
      const { env } = ioOf(command);
      const named = words.length > 0 ? null : await namedTarget(options, env);
      const image = named !== null && 'container' in named ? await imageOf(named.container, options, env) : '';
      const log = await openLog(options.out ?? requiredSetting(command, 'log', '--out TRACE/'), { command });
      // Loaded only now: it needs foreign functions, which not every platform has.
      const { record, recordCommand } = await import('../../producers/memory/record/record.js');
      const progress = progressOf(command, 'record');
      let looks = 0;
      const how: RecordOptions = {
        policy,
        log,
        stop: stopOf(command),
        onLook: () => progress.update(0, 0, ++looks),
        onTrouble: (message) => out.tell(`attestream: ${message}`),
        ...(options.for === undefined ? {} : { for: options.for }),
        ...(options.budget === undefined ? {} : { budget: options.budget }),
        ...(options.cpu === undefined ? {} : { cpu: options.cpu }),
        ...(options.partitions === undefined ? {} : { partitions: options.partitions }),
      };
      try {
        const recorded =
          named === null
            ? // Its output is its own affair, but stdout is ours.
              await recordCommand(words[0]!, words.slice(1), { ...how, stdio: ['ignore', 2, 2] })
            : await record({ ...how, ...named, image });
        progress.end();
        await out.object(recorded);
      } finally {
        progress.end();
        await log.close();
      }
    });
};
