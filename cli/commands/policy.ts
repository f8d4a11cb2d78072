import type { Command } from 'commander';
import { assignPolicy, withdrawAssignment } from '../../processors/run/assign-policy.js';
import { checkPolicy } from '../../schemas/policy/check.js';
import { parseSelector } from '../../schemas/policy/selector.js';
import { pinnedKeys } from '../../schemas/signed.js';
import { gather } from '../arguments.js';
import { requiredSetting } from '../configuration.js';
import { examples } from '../examples.js';
import { Findings } from '../exit.js';
import { openLog } from '../open-log.js';
import { outputOf } from '../output.js';
import { readPrivateKey, readPublicKey } from '../pinned-keys.js';
import { registerExportKeylime, registerImportKeylime } from '../policy-keylime.js';
import { registerShow } from '../policy-show.js';
import { isOfHosts, readAnyPolicy } from '../read-policy.js';

interface AssignOptions {
  readonly key: string;
  readonly trust?: readonly string[];
  readonly selector: string;
  readonly id?: string;
  readonly rebase?: boolean;
}

/** Whose assignments count besides one's own, and where it is told of others. */
const others = ({ trust = [] }: Pick<AssignOptions, 'trust'>, command: Command) => ({
  trusted: pinnedKeys(trust.map(readPublicKey)),
  onNote: (note: string) => outputOf(command).tell(`attestream: ${note}`),
});

export const register = (program: Command): void => {
  const policy = program.command('policy').description('policies: what processes may do, and what hosts must be');
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
        const read = readAnyPolicy(file);
        return { file, id: read.id, digest: read.digest, findings: isOfHosts(read) ? [] : checkPolicy(read) };
      });
      if (out.format === 'table') {
        await out.rows(
          checked.flatMap(({ file, findings }) => findings.map((finding) => ({ file, ...finding }))),
          ['file', 'code', 'path', 'message'],
        );
        for (const { file, id, digest, findings } of checked)
          out.note(`${file}: ${id} ${digest}: ${findings.length === 1 ? '1 finding' : `${findings.length} findings`}`);
      } else await out.rows(checked);
      const count = checked.reduce((sum, { findings }) => sum + findings.length, 0);
      if (count > 0) throw new Findings(`attestream: ${count} ${count === 1 ? 'finding' : 'findings'}`);
    });

  policy
    .command('assign')
    .description('put a policy into force for whom a selector names, by a signed record in every partition')
    .argument('<file>', 'the policy')
    .option('--log <uri>', 'kafka://HOST:PORT[,HOST:PORT] or a folder')
    .option('--registry <url>', 'schema registry, for Kafka')
    .requiredOption('--key <file>', 'private key (PEM, Ed25519) whose public half the processors trust')
    .option('--trust <file>', 'public key of a colleague who assigns policies too; may be given several times', gather)
    .option('--selector <selector>', 'host=…,image=…,binary=…,container=… globs; default: every process', '')
    .option('--id <name>', "name of the assignment; a new one of that name replaces it (default: the policy's id)")
    .option('--rebase', 'running processes go over to it too, from an unknown state')
    .addHelpText(
      'after',
      examples(
        [
          'policy assign device.yaml --log kafka://localhost:9092 --key operator.pem',
          'a key is made by: openssl genpkey -algorithm ed25519',
        ],
        ['policy assign strict.yaml --log trace/ --key operator.pem --selector host=3f*', 'for some hosts only'],
      ),
    )
    .action(async (file: string, options: AssignOptions, command: Command) => {
      const policy = readAnyPolicy(file);
      parseSelector(options.selector);
      const key = readPrivateKey(options.key);
      const log = await openLog(requiredSetting(command, 'log'), { command });
      try {
        const { selector, rebase = false } = options;
        await outputOf(command).object(
          await assignPolicy({
            log,
            policy,
            key,
            selector,
            rebase,
            id: options.id ?? policy.id,
            ...others(options, command),
          }),
        );
      } finally {
        await log.close();
      }
    });

  policy
    .command('withdraw')
    .description('take an assignment out of force, by a signed record in every partition')
    .argument('<id>', 'name of the assignment')
    .option('--log <uri>', 'kafka://HOST:PORT[,HOST:PORT] or a folder')
    .option('--registry <url>', 'schema registry, for Kafka')
    .requiredOption('--key <file>', 'private key (PEM, Ed25519) whose public half the processors trust')
    .option('--trust <file>', 'public key of a colleague who assigns policies too; may be given several times', gather)
    .addHelpText(
      'after',
      examples([
        'policy withdraw device --log kafka://localhost:9092 --key operator.pem',
        'running processes keep it to their end, unless it was assigned with --rebase',
      ]),
    )
    .action(async (id: string, options: Pick<AssignOptions, 'key' | 'trust'>, command: Command) => {
      const key = readPrivateKey(options.key);
      const log = await openLog(requiredSetting(command, 'log'), { command });
      try {
        await outputOf(command).object(await withdrawAssignment({ log, key, id, ...others(options, command) }));
      } finally {
        await log.close();
      }
    });

  registerShow(policy);
  registerImportKeylime(policy);
  registerExportKeylime(policy);
};
