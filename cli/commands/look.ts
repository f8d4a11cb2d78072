import { type Command, Option } from 'commander';
import { duration, gather, wholeNumber } from '../arguments.js';
import { examples } from '../examples.js';
import type { LookOptions } from '../look-process.js';

export const register = (program: Command): void => {
  program
    .command('look')
    .description('what the threads of a running process are in, and with which parameters, without stopping it')
    .argument('[pid]', 'process id')
    .option('--container <name>', 'every process of this container instead (name or unique id prefix)')
    .option('--docker-host <uri>', 'the container engine (default: DOCKER_HOST, DOCKER_CONTEXT, the usual socket)')
    .option('--function <name>', 'read the parameters of this function only (repeatable)', gather)
    .option('--count <n>', 'looks', wholeNumber('--count', 1), 1)
    .addOption(
      new Option('--interval <duration>', 'time between looks')
        .argParser(duration('--interval'))
        .default(100_000, '100ms'),
    )
    .option('--global <name>', 'also read this global or static variable (repeatable)', gather)
    .option('--stop', 'the process may be stopped for a moment where a look is not clear otherwise')
    .option('--save <dir>', 'keep the raw evidence of each look in this new folder')
    .option('--no-files', 'with --save: leave out the program and its libraries')
    .option('--from <dir>', 'decode what --save kept, instead of a process; also of another machine')
    .addHelpText(
      'after',
      examples(
        ['look 4711', 'the stack of each thread, once'],
        ['look 4711 --save evidence', 'the same, with everything kept that it was read from'],
        ['look --from evidence', 'what was kept, decoded again'],
        ['look --container pump --function actuate --count 100 --interval 10ms --output json', 'a look a line'],
      ),
    )
    .action(async (pid: string | undefined, options: LookOptions, command: Command) => {
      // Loaded only now: it needs foreign functions, which not every platform has.
      const { lookAtProcess } = await import('../look-process.js');
      await lookAtProcess(pid, options, command);
    });
};
