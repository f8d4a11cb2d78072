import { hostname } from 'node:os';
import { type Command, Option } from 'commander';
import { type AgentPart, runAgent } from '../../producers/agent.js';
import { certificatesFromFile } from '../../producers/attestation/keys/ek-certificate.js';
import { dockerAddress } from '../../producers/container/docker-address.js';
import { type PinnedKeys, pinnedKeys } from '../../schemas/signed.js';
import { selectionFromText } from '../../schemas/tpm/selection.js';
import { duration, gather, perSecond, share, wholeNumber } from '../arguments.js';
import { requiredSetting } from '../configuration.js';
import { examples } from '../examples.js';
import { isInterrupt } from '../exit.js';
import { ioOf, stopOf } from '../io.js';
import { openLog } from '../open-log.js';
import { outputOf } from '../output.js';
import { DEFAULT_SELECTION } from '../pcr-selection.js';
import { readPublicKey } from '../pinned-keys.js';
import { type TpmFlags, withTpm, withTpmOptions } from '../tpm-options.js';
import { version } from '../version.js';

interface Flags extends TpmFlags {
  readonly trust: readonly string[];
  readonly label?: string;
  readonly imaList?: string;
  readonly firmwareLog?: string;
  readonly state?: string;
  readonly ekCertificate?: string;
  readonly pcrs?: string;
  readonly minInterval: number;
  readonly partitions?: number;
  /** False: --no-looks. */
  readonly looks: boolean;
  readonly dockerHost?: string;
  readonly budget: number;
  readonly cpu: number;
}

/** Of each container: enough to see calls of some ten milliseconds now and then, and for many containers on a small gateway. */
const DEFAULT_BUDGET = 50;
const DEFAULT_CPU = 0.02;

/** The part that looks at processes of containers as assigned policies say. */
const looks = async (flags: Flags, trusted: PinnedKeys, command: Command): Promise<AgentPart> => {
  const choice = { host: flags.dockerHost, env: ioOf(command).env };
  const [{ memoryAgent }, { AssignedPolicies }, { runningContainers }] = await Promise.all([
    import('../../producers/memory/agent.js'),
    import('../../producers/memory/assigned/assigned-policies.js'),
    import('../../producers/container/docker.js'),
  ]);
  const out = outputOf(command);
  const onNote = (note: string): void => out.note(`attestream: ${note}`);
  return memoryAgent({
    containers: () => runningContainers(choice),
    policies: new AssignedPolicies({ keys: trusted, onNote }),
    budget: { looks: flags.budget, cpu: flags.cpu },
    agent: `attestream ${version()}`,
    onNote,
    ...(flags.partitions === undefined ? {} : { partitions: flags.partitions }),
  });
};

export const register = (program: Command): void => {
  withTpmOptions(
    program
      .command('agent')
      .description(
        "the host's producers: tells what firmware and kernel measured, answers verifiers with evidence, and looks at processes of containers as assigned policies say",
      )
      .option('--log <uri>', 'kafka://HOST:PORT[,HOST:PORT] or a folder')
      .option('--registry <url>', 'schema registry, for Kafka')
      .requiredOption(
        '--trust <file>',
        'public key (PEM, Ed25519) of a verifier, or of an operator who assigns policies; may be given several times',
        gather,
      )
      .option('--label <name>', 'name that the operator knows the host by (default: its host name)')
      .option('--ima-list <file>', "binary measurement list (default: the kernel's own)")
      .option('--firmware-log <file>', "firmware event log (default: the kernel's own)")
      .option('--ek-certificate <file>', 'certificate of the endorsement key (PEM or DER), where the TPM holds none')
      .option('--state <folder>', 'where it remembers what it told in this boot (default: /run/attestream)')
      .option(
        '--pcrs <selection>',
        `registers that are quoted where a verifier does not say (default: ${DEFAULT_SELECTION})`,
      )
      .addOption(
        new Option('--min-interval <duration>', 'time between two quotes at least')
          .argParser(duration('--min-interval'))
          .default(1_000_000, '1s'),
      )
      .option('--docker-host <uri>', 'the container engine (default: DOCKER_HOST, DOCKER_CONTEXT, the usual socket)')
      .addOption(
        new Option('--budget <rate>', 'looks per second at each container, at most')
          .argParser(perSecond('--budget'))
          .default(DEFAULT_BUDGET, `${DEFAULT_BUDGET}/s`),
      )
      .addOption(
        new Option('--cpu <share>', 'of one CPU for looks at each container, at most')
          .argParser(share('--cpu'))
          .default(DEFAULT_CPU),
      )
      .option('--no-looks', 'attest only: no process is looked at')
      .option('--partitions <n>', 'partitions of topics that are created', wholeNumber('--partitions', 1, 10_000)),
  )
    .addHelpText(
      'after',
      examples([
        'agent --log kafka://localhost:9092 --registry http://localhost:8081 --trust verifier.pub',
        'on a host that was enrolled: attestream host enrol',
      ]),
    )
    .action(async (flags: Flags, command: Command) => {
      const out = outputOf(command);
      // An address that can never be one is the user's to mend now; an engine that is away is waited for.
      if (flags.looks) dockerAddress({ host: flags.dockerHost, env: ioOf(command).env });
      const verifiers = pinnedKeys(flags.trust.map(readPublicKey));
      const selection = selectionFromText(flags.pcrs ?? DEFAULT_SELECTION);
      const certificates = flags.ekCertificate === undefined ? null : await certificatesFromFile(flags.ekCertificate);
      try {
        await withTpm(command, flags, async (keys) => {
          const log = await openLog(requiredSetting(command, 'log'), { command });
          try {
            await runAgent({
              log,
              keys,
              verifiers,
              selection,
              label: flags.label ?? hostname(),
              agent: `attestream ${version()}`,
              minInterval: flags.minInterval / 1000,
              ...(flags.imaList === undefined ? {} : { imaList: flags.imaList }),
              ...(flags.firmwareLog === undefined ? {} : { firmwareLog: flags.firmwareLog }),
              ...(flags.state === undefined ? {} : { stateFolder: flags.state }),
              ...(flags.partitions === undefined ? {} : { partitions: flags.partitions }),
              ...(certificates === null ? {} : { ekCertificates: certificates }),
              ...(flags.looks ? { parts: [await looks(flags, verifiers, command)] } : {}),
              stop: stopOf(command),
              onReady: (host) => out.tell(`attestream: ready: host ${host} on ${log.name}`),
              onNote: (note) => out.note(`attestream: ${note}`),
            });
          } finally {
            await log.close();
          }
        });
      } catch (error) {
        // A service that was asked to end has done what it was asked.
        if (!(stopOf(command).aborted && isInterrupt(error))) throw error;
      }
    });
};
