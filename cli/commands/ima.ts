import { type Command, Option } from 'commander';
import { AttestreamError } from '../../schemas/errors.js';
import type { ListFormat } from '../../schemas/ima/list-reader.js';
import { gather } from '../arguments.js';
import { examples } from '../examples.js';
import { Findings } from '../exit.js';
import { expectedPcr } from '../ima-expectation.js';
import { replayImaList } from '../ima-replay.js';
import { imaReplayText, nearestText } from '../ima-text.js';
import { stopOf } from '../io.js';
import { outputOf } from '../output.js';

interface Options {
  readonly format: ListFormat;
  readonly expect?: readonly string[];
  readonly signatures?: readonly string[];
}

export const register = (program: Command): void => {
  const ima = program.command('ima').description('measurement lists of the kernel (IMA)');
  ima
    .command('replay')
    .description(
      'what a measurement list makes of the PCRs, in every bank, and which prefix of it explains given values',
    )
    .argument('<file>', 'the list, as the kernel writes it: binary or text, of any bank')
    .argument('[keys...]', 'further keys of --signatures')
    .addOption(new Option('--format <format>', 'form of the list').choices(['auto', 'binary', 'ascii']).default('auto'))
    .option(
      '--expect <value>',
      'sha256:10=HEX: a PCR value to be explained, with all others that are given (repeatable)',
      gather,
    )
    .option(
      '--signatures <file>',
      'check file signatures with this key: certificate or public key, DER or PEM (repeatable)',
      gather,
    )
    .addHelpText(
      'after',
      examples(
        ['ima replay /sys/kernel/security/ima/binary_runtime_measurements', 'values of the PCRs in all banks'],
        [
          'ima replay list.bin --expect sha256:10=$(cat /sys/class/tpm/tpm0/pcr-sha256/10)',
          'exit code 1, and how near it came, if no prefix of the list gives that value',
        ],
        ['ima replay list.bin --signatures /etc/keys/ima.der --output json', 'who signed what'],
      ),
    )
    .action(async (path: string, keys: readonly string[], options: Options, command: Command) => {
      const out = outputOf(command);
      const expected = (options.expect ?? []).map(expectedPcr);
      const { format } = options;
      if (keys.length > 0 && options.signatures === undefined)
        throw new AttestreamError('USAGE', `one list at a time: ${JSON.stringify(keys[0])} is one file too many`);
      const signatures = [...(options.signatures ?? []), ...keys];
      const answer = replayImaList({ path, format, expected, signatures, stop: stopOf(command) });
      if (out.format === 'table') await out.text(imaReplayText(answer));
      else await out.object(answer);
      if (expected.length > 0 && answer.prefix === null)
        throw new Findings(`attestream: unexplained: ${nearestText(answer)}`);
    });
};
