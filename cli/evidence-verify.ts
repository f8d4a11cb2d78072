import { dirname, isAbsolute, normalize, resolve } from 'node:path';
import type { Command } from 'commander';
import { readRegistry } from '../processors/run/enrolment/registry.js';
import {
  type BundleAnswer,
  DEFAULT_REQUIREMENTS,
  REQUIREMENTS,
  type Requirement,
  verifyBundle,
} from '../processors/startup/bundle/verify-bundle.js';
import { AttestreamError } from '../schemas/errors.js';
import { type BundleLog, type EnrolledKeys, parseBundle, parseEnrolled } from '../schemas/evidence/bundle.js';
import { pinnedKeys } from '../schemas/signed.js';
import { didYouMean } from '../schemas/suggest.js';
import { gather } from './arguments.js';
import { requiredSetting } from './configuration.js';
import { examples } from './examples.js';
import { Findings } from './exit.js';
import { openLog } from './open-log.js';
import { outputOf } from './output.js';
import { readPublicKey } from './pinned-keys.js';
import { printable } from './printable.js';
import { readBounded } from './read-bounded.js';
import { readHostPolicy } from './read-policy.js';

interface Flags {
  readonly enrolled?: string;
  readonly anchor?: string;
  readonly selfContained?: boolean;
  readonly require: readonly Requirement[];
  readonly policy?: string;
  readonly trust?: readonly string[];
}

const requirements = (text: string): readonly Requirement[] =>
  text
    .split(',')
    .map((word) => word.trim())
    .filter((word) => word !== '')
    .map((word) => {
      const found = REQUIREMENTS.find((requirement) => requirement === word);
      if (found !== undefined) return found;
      throw new AttestreamError(
        'USAGE',
        `--require takes ${REQUIREMENTS.join(', ')}, not ${JSON.stringify(word)}; ${didYouMean(word, REQUIREMENTS)}`,
      );
    });

/** A log beside the bundle. Its path is the bundle's to say, so it may not lead out of the bundle's folder. */
const logData = (bundle: string, { data, path }: BundleLog): Buffer => {
  if (data !== null) return data;
  const relative = normalize(path ?? '');
  if (isAbsolute(relative) || relative.split('/').includes('..'))
    throw new AttestreamError('EVIDENCE_INVALID', `${bundle}: the path of a log leads out of its folder`, {
      path: path ?? '',
    });
  return readBounded(resolve(dirname(bundle), relative), 'a log of the bundle');
};

/** The keys of the host that a log's registry knows by this id or label. */
const anchorNamed = async (command: Command, name: string, trust: readonly string[]): Promise<EnrolledKeys> => {
  const log = await openLog(requiredSetting(command, 'log'), { command, readOnly: true });
  try {
    const keys = trust.length === 0 ? null : pinnedKeys(trust.map(readPublicKey));
    if (keys === null)
      outputOf(command).note(
        'attestream: no --trust: signatures of the registry are not checked, anybody may have written it',
      );
    const hosts = [...(await readRegistry(log, keys)).values()];
    const found = hosts.filter(({ host, label }) => host.startsWith(name) || label === name);
    if (found.length > 1) throw new AttestreamError('USAGE', `${JSON.stringify(name)} names ${found.length} hosts`);
    if (found[0] === undefined) throw new AttestreamError('HOST_UNKNOWN', `no host is called ${JSON.stringify(name)}`);
    if (found[0].state !== 'enrolled' || found[0].enrolment === null)
      throw new AttestreamError('HOST_UNKNOWN', `host ${JSON.stringify(name)} is ${found[0].state}, not enrolled`);
    const { ekPublic, nameAik1 } = found[0].enrolment;
    return { ekPublic, aik1Name: nameAik1 };
  } finally {
    await log.close();
  }
};

const shown = ({ result, anchored, reasons, passed, notChecked }: BundleAnswer): string =>
  [
    `${result}${anchored ? '' : ', not anchored'}`,
    ...reasons.map(({ code, at, message }) => `  ${code} (${printable(at)}): ${printable(message)}`),
    `passed: ${passed.join(' ')}`,
    `not checked: ${notChecked.map(printable).join(' ')}`,
    '',
  ].join('\n');

/** `evidence verify`, in the group of commands about evidence. */
export const registerVerify = (evidence: Command): void => {
  evidence
    .command('verify')
    .description('judge evidence that stands alone: signatures, freshness of what is said, registers, lists')
    .argument('<file>', 'a bundle (JSON)')
    .option('--enrolled <file>', 'keys that the host is known by: {"ekPublic": base64, "aik1Name": hex}')
    .option('--anchor <name>', 'the host of that id or label in the registry of --log')
    .option('--self-contained', "take the bundle's own `enrolled` for it: its maker says who it is")
    .option(
      '--require <list>',
      `what must be there for an affirmation, of ${REQUIREMENTS.join(',')} (default: ${DEFAULT_REQUIREMENTS.join(',')})`,
      requirements,
      DEFAULT_REQUIREMENTS,
    )
    .option('--policy <file>', 'policy of hosts with reference values')
    .option('--log <uri>', 'with --anchor: kafka://HOST:PORT[,HOST:PORT] or a folder')
    .option('--registry <url>', 'schema registry, for Kafka')
    .option(
      '--trust <file>',
      'with --anchor: public key (PEM, Ed25519) whose enrolments are believed; may be given several times',
      gather,
    )
    .addHelpText(
      'after',
      examples(
        ['evidence verify bundle.json --enrolled host.json', 'exit code 0 only if it is affirmed'],
        ['evidence verify bundle.json --self-contained --output json', "other people's evidence, test vectors"],
      ),
    )
    .action(async (file: string, flags: Flags, command: Command) => {
      const ways = [flags.enrolled, flags.anchor, flags.selfContained].filter((way) => way !== undefined);
      if (ways.length > 1)
        throw new AttestreamError('USAGE', 'one of --enrolled, --anchor and --self-contained says who the host is');
      const policy = flags.policy === undefined ? null : readHostPolicy(flags.policy);
      const bundle = parseBundle(readBounded(file, 'the bundle').toString('utf8'), file);
      const anchor =
        flags.enrolled !== undefined
          ? parseEnrolled(readBounded(flags.enrolled, 'the file of --enrolled').toString('utf8'), flags.enrolled)
          : flags.anchor !== undefined
            ? await anchorNamed(command, flags.anchor, flags.trust ?? [])
            : flags.selfContained === true
              ? bundle.enrolled
              : null;
      const answer = verifyBundle(bundle, {
        anchor,
        require: flags.require,
        policy,
        logs: bundle.logs.map((log) => logData(file, log)),
        now: Date.now() * 1000,
      });
      const out = outputOf(command);
      if (out.format === 'table') await out.text(shown(answer));
      else await out.object(answer);
      if (answer.result !== 'affirming')
        throw new Findings(`attestream: the evidence is not affirmed: ${answer.result}`);
    });
};
