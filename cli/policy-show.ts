import type { Command } from 'commander';
import { examples } from './examples.js';
import { outputOf } from './output.js';
import { hostSummary, processSummary } from './policy-summary.js';
import { policyInWords } from './policy-words.js';
import { printable } from './printable.js';
import { isOfHosts, readAnyPolicy } from './read-policy.js';

/** `policy show`, in the group of commands about policies. */
export const registerShow = (policy: Command): void => {
  policy
    .command('show')
    .description('what a policy of either kind says, in words, and its digest')
    .argument('<file>', 'the policy (YAML or JSON)')
    .addHelpText('after', examples(['policy show hosts.yaml', 'and so for policies of processes']))
    .action(async (file: string, _options: object, command: Command) => {
      const read = readAnyPolicy(file);
      const summary = isOfHosts(read) ? hostSummary(read) : processSummary(read);
      const out = outputOf(command);
      if (out.format === 'table') await out.text(`${policyInWords(summary).map(printable).join('\n')}\n`);
      else await out.object(summary);
    });
};
