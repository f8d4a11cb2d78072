import { writeFileSync } from 'node:fs';
import { basename } from 'node:path';
import type { Command } from 'commander';
import { readExcludeFile } from '../schemas/keylime/flat-allowlist.js';
import { runtimePolicyOf } from '../schemas/keylime/from-host-policy.js';
import { readRuntimePolicy } from '../schemas/keylime/read-runtime-policy.js';
import { Remarks } from '../schemas/keylime/remark.js';
import { hostDocumentOf } from '../schemas/keylime/to-host-policy.js';
import { hostPolicyFromDocument } from '../schemas/policy/host/parse.js';
import { examples } from './examples.js';
import { Findings } from './exit.js';
import { outPath, outputOf } from './output.js';
import { printable } from './printable.js';
import { readBounded } from './read-bounded.js';
import { readHostPolicy } from './read-policy.js';

/** Policies of whole distributions have some 20 MB. */
const MAX_BYTES = 64 << 20;

/** Tells what is not as it was, then writes the document: to a file with a summary on stdout, or to stdout. */
const tell = async (
  command: Command,
  document: object,
  { all }: Remarks,
  file: string | undefined,
  summary: object,
): Promise<void> => {
  const out = outputOf(command);
  for (const { level, at, message } of all) {
    const line = `attestream: ${level === 'lost' ? 'not carried over' : 'note'}: ${printable(at)}: ${printable(message)}`;
    if (level === 'lost') out.tell(line);
    else out.note(line);
  }
  const text = `${JSON.stringify(document, null, 2)}\n`;
  if (file === undefined) await out.text(text);
  else {
    writeFileSync(file, text);
    await out.object({ file, ...summary, ...(out.format === 'table' ? {} : { remarks: all }) });
  }
  const lost = all.filter(({ level }) => level === 'lost').length;
  if (lost > 0) throw new Findings(`attestream: ${lost} ${lost === 1 ? 'thing was' : 'things were'} not carried over`);
};

interface ImportFlags {
  readonly out?: string;
  readonly id?: string;
  readonly excludes?: string;
}

/** `policy import keylime`, in the group of commands about policies. */
export const registerImportKeylime = (policy: Command): void => {
  policy
    .command('import')
    .description('policies of other verifiers as policies of hosts')
    .command('keylime')
    .description('a runtime policy or an allowlist of Keylime as a policy of hosts')
    .argument('<file>', 'runtime policy (JSON), or an older allowlist (JSON or text)')
    .option('--out <file>', 'file to write (default: stdout)', outPath)
    .option('--id <name>', "name of the policy (default: the file's)")
    .option('--excludes <file>', 'exclude list that older versions keep beside an allowlist: an expression a line')
    .addHelpText(
      'after',
      examples(['policy import keylime runtime-policy.json --out hosts.json', 'exit code 1 if something is lost']),
    )
    .action(async (file: string, flags: ImportFlags, command: Command) => {
      const remarks = new Remarks();
      const { form, policy: read } = readRuntimePolicy(
        readBounded(file, 'the policy', MAX_BYTES).toString('utf8'),
        file,
        remarks,
      );
      const more =
        flags.excludes === undefined
          ? []
          : readExcludeFile(readBounded(flags.excludes, 'the exclude list', MAX_BYTES).toString('utf8'));
      const whole = { ...read, excludes: [...read.excludes, ...more] };
      const id = flags.id ?? (basename(file).replace(/\.[^.]*$/, '') || 'keylime');
      const document = hostDocumentOf(whole, id, remarks);
      const { digest, files, exclude, signers } = hostPolicyFromDocument(document, file);
      await tell(command, document, remarks, flags.out, {
        form,
        id,
        digest,
        digests: [...(files?.values() ?? [])].reduce((sum, { length }) => sum + length, 0),
        excludes: exclude.length,
        signers: signers.length,
      });
    });
};

/** `policy export keylime`, in the group of commands about policies. */
export const registerExportKeylime = (policy: Command): void => {
  policy
    .command('export')
    .description('policies of hosts as policies of other verifiers')
    .command('keylime')
    .description('a policy of hosts as a runtime policy of Keylime')
    .argument('<file>', 'policy of hosts (YAML or JSON)')
    .option('--out <file>', 'file to write (default: stdout)', outPath)
    .addHelpText(
      'after',
      examples(['policy export keylime hosts.yaml --out runtime-policy.json', 'exit code 1 if something is lost']),
    )
    .action(async (file: string, flags: { readonly out?: string }, command: Command) => {
      const remarks = new Remarks();
      const read = readHostPolicy(file);
      const document = runtimePolicyOf(read, remarks);
      const count = (key: string): number => Object.keys(document[key] as object).length;
      await tell(command, document, remarks, flags.out, {
        id: read.id,
        digest: read.digest,
        paths: count('digests'),
        keyrings: count('keyrings'),
        excludes: count('excludes'),
      });
    });
};
