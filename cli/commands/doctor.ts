import type { Command } from 'commander';
import { checkMachine } from '../checks.js';
import { examples } from '../examples.js';
import { Findings } from '../exit.js';
import { outputOf } from '../output.js';

export const register = (program: Command): void => {
  program
    .command('doctor')
    .description('what this machine has of what attestream needs')
    .argument('[folder]', 'where logs or data are to lie', '.')
    .addHelpText(
      'after',
      examples(
        ['doctor', 'exit code 1 if something is missing without which nothing works'],
        ['doctor /var/lib/attestream --output json', 'the same for a folder, for programs'],
      ),
    )
    .action(async (folder: string, _options: object, command: Command) => {
      const checks = await checkMachine(folder);
      await outputOf(command).rows(checks, ['check', 'state', 'detail', 'advice']);
      const failed = checks.filter(({ state }) => state === 'fail');
      if (failed.length > 0)
        throw new Findings(`attestream: not usable as it is: ${failed.map(({ check }) => check).join(', ')}`);
    });
};
