import { randomBytes } from 'node:crypto';
import { existsSync, writeFileSync } from 'node:fs';
import type { Command } from 'commander';
import { collectEvidence } from '../producers/attestation/collect.js';
import { FIRMWARE_LOG } from '../producers/measurement/firmware-log.js';
import { KERNEL_LIST } from '../producers/measurement/ima-list.js';
import { AttestreamError } from '../schemas/errors.js';
import { selectionFromText } from '../schemas/tpm/selection.js';
import { examples } from './examples.js';
import { outPath, outputOf } from './output.js';
import { DEFAULT_SELECTION } from './pcr-selection.js';
import { type TpmFlags, withTpm, withTpmOptions } from './tpm-options.js';

interface Flags extends TpmFlags {
  readonly nonce?: Buffer;
  readonly pcrs?: string;
  readonly imaList?: string;
  readonly firmwareLog?: string;
  readonly out?: string;
}

const nonceOf = (text: string): Buffer => {
  if (/^(?:[0-9a-f]{2}){1,64}$/i.test(text)) return Buffer.from(text, 'hex');
  throw new AttestreamError('USAGE', `--nonce is 1 to 64 bytes in hex, not ${JSON.stringify(text)}`);
};

/** A file that was named must be there; the kernel's own is left out where it is not. */
const named = (given: string | undefined, usual: string): string | null => given ?? (existsSync(usual) ? usual : null);

/** `evidence collect`, in the group of commands about evidence. */
export const registerCollect = (evidence: Command): void => {
  withTpmOptions(
    evidence
      .command('collect')
      .description('one bundle of evidence about this host, without a log: for `evidence verify`, here or elsewhere')
      .option(
        '--nonce <hex>',
        'what the signatures answer: the challenge of whoever will verify (default: drawn)',
        nonceOf,
      )
      .option('--pcrs <selection>', `registers that are quoted (default: ${DEFAULT_SELECTION})`)
      .option('--ima-list <file>', "binary measurement list (default: the kernel's own, if it is there)")
      .option('--firmware-log <file>', "firmware event log (default: the kernel's own, if it is there)")
      .option('--out <file>', 'file to write (default: stdout)', outPath),
  )
    .addHelpText(
      'after',
      examples([
        'evidence collect --nonce 00112233445566778899aabbccddeeff --out evidence.json',
        'then: attestream evidence verify evidence.json --enrolled host.json',
      ]),
    )
    .action(async (flags: Flags, command: Command) => {
      const bundle = await withTpm(command, flags, (keys) =>
        collectEvidence({
          keys,
          nonce: flags.nonce ?? randomBytes(32),
          selection: selectionFromText(flags.pcrs ?? DEFAULT_SELECTION),
          imaList: named(flags.imaList, KERNEL_LIST),
          firmwareLog: named(flags.firmwareLog, FIRMWARE_LOG),
        }),
      );
      const out = outputOf(command);
      const text = `${JSON.stringify(bundle, null, 2)}\n`;
      if (flags.out === undefined) return out.text(text);
      writeFileSync(flags.out, text, { mode: 0o600 });
      out.note(`attestream: evidence in ${flags.out}`);
    });
};
