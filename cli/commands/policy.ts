import type { Command } from 'commander';
import { checkPolicy } from '../../schemas/policy/check.js';
import { examples } from '../examples.js';
import { Findings } from '../exit.js';
import { outputOf } from '../output.js';
import { readPolicy } from '../read-policy.js';

export const register = (program: Command): void => {
  const policy = program.command('policy').description('policies: what processes may do');
  policy
    .command('check')
    .description(
      'what a valid policy says and its writer hardly means: states nobody reaches, guards that decide nothing',
    )
    .argument('<file...>', 'policies (YAML or JSON)')
    .addHelpText(
      'after',
      examples(['policy check device.yaml', 'exit code 1 with findings, 2 if it is no valid policy']),
    )
    .action(async (files: string[], _options: object, command: Command) => {
      const out = outputOf(command);
      const checked = files.map((file) => {
        const read = readPolicy(file);
        return { file, id: read.id, digest: read.digest, findings: checkPolicy(read) };
      });
      if (out.format === 'table') {
        await out.rows(
          checked.flatMap(({ file, findings }) => findings.map((finding) => ({ file, ...finding }))),
          ['file', 'code', 'path', 'message'],
        );
        for (const { file, id, digest, findings } of checked)
          out.note(`${file}: ${id} ${digest}: ${findings.length} findings`);
      } else await out.rows(checked);
      const count = checked.reduce((sum, { findings }) => sum + findings.length, 0);
      if (count > 0) throw new Findings(`attestream: ${count} findings`);
    });
};
