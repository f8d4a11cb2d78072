import { type Command, Option } from 'commander';
import type { EventLog } from '../../infra/log/event-log.js';
import { type RegisteredHost, readRegistry } from '../../processors/run/enrolment/registry.js';
import { approve, revoke } from '../../processors/run/enrolment/say.js';
import { enrol } from '../../producers/attestation/enrol.js';
import { certificatesFromFile } from '../../producers/attestation/keys/ek-certificate.js';
import { ekCertificates, makePlatform } from '../../producers/attestation/platform.js';
import { boottimeMicros } from '../../producers/identity/boottime.js';
import { beginStream, hostIdentity } from '../../producers/identity/host.js';
import { EventStream } from '../../producers/stream/event-stream.js';
import { AttestreamError } from '../../schemas/errors.js';
import { pinnedKeys } from '../../schemas/signed.js';
import { duration, gather } from '../arguments.js';
import { requiredSetting } from '../configuration.js';
import { examples } from '../examples.js';
import { stopOf } from '../io.js';
import { openLog } from '../open-log.js';
import { outputOf } from '../output.js';
import { readPrivateKey, readPublicKey } from '../pinned-keys.js';
import { anchorsOf } from '../roots-folder.js';
import { type TpmFlags, withTpm, withTpmOptions } from '../tpm-options.js';
import { version } from '../version.js';

interface EnrolFlags extends TpmFlags {
  readonly trust: readonly string[];
  readonly label?: string;
  readonly ekCertificate?: string;
  readonly wait: number;
}
interface ApproveFlags {
  readonly key: string;
  readonly label?: string;
  readonly trustRoots?: boolean;
}
interface RevokeFlags {
  readonly key: string;
  readonly reason: string;
}
interface ListFlags {
  readonly trust?: readonly string[];
}

const withLog = async <T>(command: Command, readOnly: boolean, use: (log: EventLog) => Promise<T>): Promise<T> => {
  const log = await openLog(requiredSetting(command, 'log'), { command, readOnly });
  try {
    return await use(log);
  } finally {
    await log.close();
  }
};

/** The hosts of a log; with `--trust`, those that a pinned key speaks for. */
const registry = async (command: Command, { trust }: ListFlags): Promise<readonly RegisteredHost[]> => {
  if (trust === undefined)
    outputOf(command).note('attestream: no --trust: signatures are not checked, anybody may have written this');
  const keys = trust === undefined ? null : pinnedKeys(trust.map(readPublicKey));
  return withLog(command, true, async (log) => [...(await readRegistry(log, keys)).values()]);
};

/** The host that a whole id or its beginning names. Throws HOST_UNKNOWN, USAGE. */
const hostNamed = (hosts: readonly RegisteredHost[], name: string): RegisteredHost => {
  const found = hosts.filter(({ host, ek, label }) => host.startsWith(name) || ek === name || label === name);
  if (found.length > 1)
    throw new AttestreamError('USAGE', `${JSON.stringify(name)} names ${found.length} hosts; write more of the id`);
  if (found[0] === undefined) throw new AttestreamError('HOST_UNKNOWN', `no host is called ${JSON.stringify(name)}`);
  return found[0];
};

const iso = (micros: number): string => new Date(micros / 1000).toISOString();

const row = ({ host, state, label, ek, enrolment }: RegisteredHost) => ({
  host,
  state,
  label,
  basis: enrolment?.basis ?? '',
  enrolled: enrolment === null ? '' : iso(enrolment.issued),
  ek,
});

const details = (found: RegisteredHost) => ({
  ...row(found),
  reason: found.reason,
  verifier: found.verifier,
  anchors: found.enrolment?.anchors ?? [],
  notChecked: found.enrolment?.notChecked ?? [],
  nameAik1: found.enrolment?.nameAik1.toString('hex') ?? '',
  ekPublic: found.enrolment?.ekPublic.toString('base64') ?? '',
  aik1Public: found.enrolment?.aik1Public.toString('base64') ?? '',
});

const LOG = ['--log <uri>', 'kafka://HOST:PORT[,HOST:PORT] or a folder'] as const;
const REGISTRY = ['--registry <url>', 'schema registry, for Kafka'] as const;
const OPERATOR = [
  '--key <file>',
  "the operator's private key (PEM, Ed25519), whose public half the processors trust",
] as const;
const TRUST = [
  '--trust <file>',
  'public key (PEM, Ed25519) whose word is believed; may be given several times',
  gather,
] as const;

export const register = (program: Command): void => {
  const host = program.command('host').description('hosts with a TPM: who they are, and which of them are known');
  withTpmOptions(
    host
      .command('enrol')
      .description('on the host, once: prove to a verifier that its attestation key is in its TPM')
      .option(...LOG)
      .option(...REGISTRY)
      .requiredOption('--trust <file>', "verifier's public key (PEM, Ed25519); may be given several times", gather)
      .option('--label <name>', 'name that the operator shall know the host by (default: its host name)')
      .option('--ek-certificate <file>', 'certificate of the endorsement key (PEM or DER), where the TPM holds none')
      .addOption(
        new Option('--wait <duration>', 'how long to wait for the verifier')
          .argParser(duration('--wait'))
          .default(300_000_000, '5m'),
      ),
  )
    .addHelpText(
      'after',
      examples([
        'host enrol --log kafka://localhost:9092 --registry http://localhost:8081 --trust verifier.pub',
        'prints the digest that an operator has to approve',
      ]),
    )
    .action(async (flags: EnrolFlags, command: Command) => {
      const verifiers = pinnedKeys(flags.trust.map(readPublicKey));
      await withTpm(command, flags, (keys) =>
        withLog(command, false, async (log) => {
          const out = outputOf(command);
          const platform = await makePlatform(keys);
          const label = flags.label ?? (await import('node:os')).hostname();
          const { parsePublic } = await import('../../schemas/tpm/public.js');
          const { ekDigest } = await import('../../processors/run/enrolment/endorsement-key.js');
          const ek = ekDigest(parsePublic(platform.ekPublic));
          out.tell(`attestream: host ${platform.host} with the endorsement key ${ek} asks to be enrolled as ${label}`);
          out.note(
            `attestream: approve it by: attestream host approve ${ek} --label ${JSON.stringify(label)} --key … --log …`,
          );
          const { boot } = hostIdentity();
          const { stream, offset, start } = beginStream({ host: platform.host, from: 'machine-id', boot });
          const events = await EventStream.open({ log, topic: 'measurements', stream, host: platform.host });
          const agent = `attestream ${version()}`;
          events.put('StreamOpened', { at: start + offset, kind: 'agent', boot, offset, agent, previous: [] });
          const enrolled = await enrol({
            log,
            events,
            platform,
            keys,
            label,
            ekCertificates:
              flags.ekCertificate === undefined
                ? await ekCertificates(keys)
                : await certificatesFromFile(flags.ekCertificate),
            agentVersion: agent,
            verifiers,
            now: () => boottimeMicros() + offset,
            stop: AbortSignal.any([stopOf(command), AbortSignal.timeout(Math.ceil(flags.wait / 1000))]),
            onNote: (note) => out.note(`attestream: ${note}`),
          });
          stopOf(command).throwIfAborted();
          if (enrolled === null)
            throw new AttestreamError(
              'ENROL_TIMEOUT',
              `no verifier enrolled this host: is a controller running, with the key given here, and was ${ek} approved?`,
            );
          await out.object({
            host: platform.host,
            label: enrolled.label,
            basis: enrolled.basis,
            ek,
            anchors: enrolled.anchors,
            notChecked: enrolled.notChecked,
            verifier: enrolled.verifierId.toString('hex'),
          });
        }),
      );
    });

  host
    .command('approve')
    .description(
      'by an operator: let an endorsement key be enrolled under a name, or any key that leads to the trusted roots',
    )
    .argument('[ek]', 'digest of the endorsement key, as `host enrol` prints it')
    .option(...LOG)
    .option(...REGISTRY)
    .requiredOption(...OPERATOR)
    .option('--label <name>', 'name of the host')
    .option(
      '--trust-roots',
      'instead of a digest: any TPM of a maker in `roots list`, under a name that nobody verified',
    )
    .option('--roots <folder>', 'where the roots are kept')
    .addHelpText(
      'after',
      examples(
        ['host approve 3f2a… --label pump-7 --key operator.pem --log trace/', 'this machine, under this name'],
        ['host approve --trust-roots --key operator.pem --log trace/', 'some genuine TPM, label unverified'],
      ),
    )
    .action(async (ek: string | undefined, flags: ApproveFlags, command: Command) => {
      const key = readPrivateKey(flags.key);
      if ((ek === undefined) === (flags.trustRoots !== true))
        throw new AttestreamError('USAGE', 'approve either the digest of an endorsement key or --trust-roots');
      if (ek !== undefined && !/^[0-9a-f]{64}$/.test(ek))
        throw new AttestreamError(
          'USAGE',
          `${JSON.stringify(ek)} is no digest: host enrol and host list print 64 hex digits`,
        );
      if (ek !== undefined && flags.label === undefined)
        throw new AttestreamError('USAGE', '--label is missing: the name that the host is to be known by');
      const { rootSetDigest } = await import('../../processors/run/enrolment/root-set.js');
      const { roots } = ek === undefined ? await anchorsOf(command, false) : { roots: [] };
      if (ek === undefined && roots.length === 0)
        throw new AttestreamError('USAGE', 'no roots are trusted here: attestream roots add FILE');
      const approved =
        ek === undefined
          ? { rootSet: rootSetDigest(roots) }
          : { label: flags.label ?? '', ekSpki: Buffer.from(ek, 'hex') };
      await withLog(command, false, (log) => approve(log, key, approved));
      await outputOf(command).object('rootSet' in approved ? approved : { label: approved.label, ek });
    });

  host
    .command('revoke')
    .description('by an operator: do not believe a host any more')
    .argument('<host>', 'its id or the beginning of it, its label, or the digest of its endorsement key')
    .option(...LOG)
    .option(...REGISTRY)
    .requiredOption(...OPERATOR)
    .option('--reason <text>', 'why', '')
    .addHelpText(
      'after',
      examples(['host revoke pump-7 --reason stolen --key operator.pem --log trace/', 'at once, everywhere']),
    )
    .action(async (name: string, flags: RevokeFlags, command: Command) => {
      const key = readPrivateKey(flags.key);
      const revoked = await withLog(command, false, async (log) => {
        const { host: id } = hostNamed([...(await readRegistry(log, null)).values()], name);
        await revoke(log, key, id, flags.reason);
        return { host: id, reason: flags.reason };
      });
      await outputOf(command).object(revoked);
    });

  host
    .command('list')
    .description('the hosts that the log knows, and those that wait to be enrolled')
    .option(...LOG)
    .option(...REGISTRY)
    .option(...TRUST)
    .addHelpText(
      'after',
      examples(['host list --log trace/ --trust verifier.pub --trust operator.pub', 'as the signed records tell']),
    )
    .action(async (flags: ListFlags, command: Command) => {
      await outputOf(command).rows((await registry(command, flags)).map(row), [
        'host',
        'state',
        'label',
        'basis',
        'enrolled',
        'ek',
      ]);
    });

  host
    .command('show')
    .description('one host: its keys, what its enrolment rests on, and what was not checked')
    .argument('<host>', 'its id or the beginning of it, its label, or the digest of its endorsement key')
    .option(...LOG)
    .option(...REGISTRY)
    .option(...TRUST)
    .addHelpText('after', examples(['host show pump-7 --log trace/ --trust verifier.pub', 'with its public keys']))
    .action(async (name: string, flags: ListFlags, command: Command) => {
      await outputOf(command).object(details(hostNamed(await registry(command, flags), name)));
    });
};
