import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { EventLog } from '../infra/log/event-log.js';
import { type AttestreamError, isAttestreamError } from '../schemas/errors.js';
import type { ChainHead } from '../schemas/records.js';
import type { PinnedKeys } from '../schemas/signed.js';
import type { PcrSelection } from '../schemas/tpm/selection.js';
import { runAttestation } from './attestation/attestation-part.js';
import { enrol } from './attestation/enrol.js';
import { type Bindings, EvidenceProducer, NO_BINDINGS } from './attestation/evidence.js';
import { ekCertificates, makePlatform, type PlatformOptions } from './attestation/platform.js';
import { boottimeMicros } from './identity/boottime.js';
import { beginStream, hostIdentity } from './identity/host.js';
import { Measurements } from './measurement/measurements.js';
import { PublishedFile } from './measurement/published.js';
import { EventStream } from './stream/event-stream.js';
import { isLogAway } from './stream/keep-trying.js';
import { together } from './stream/together.js';

export interface AgentOptions {
  readonly log: EventLog;
  readonly keys: PlatformOptions;
  /** Verifiers whose ticks are answered and whose requests are followed. */
  readonly verifiers: PinnedKeys;
  /** Name that the operator knows the host by. */
  readonly label: string;
  /** Name and version of the program. */
  readonly agent: string;
  /** Registers that are quoted where a verifier does not say. */
  readonly selection: PcrSelection;
  /** Binary measurement list and firmware log; the kernel's own if absent, none if null. */
  readonly imaList?: string | null;
  readonly firmwareLog?: string | null;
  /** Where the agent remembers, for this boot, what it told. */
  readonly stateFolder?: string;
  /** Id of this boot; the kernel's own if absent. */
  readonly boot?: string;
  /** DER, instead of those in the TPM. */
  readonly ekCertificates?: readonly Buffer[];
  /** ms between two quotes at least. */
  readonly minInterval?: number;
  /** Partitions of topics that must be created. */
  readonly partitions?: number;
  readonly bindings?: Bindings;
  /** What else this host's agent does, on the same stream. */
  readonly parts?: readonly AgentPart[];
  readonly stop: AbortSignal;
  /** Once the agent follows the log. */
  readonly onReady?: (host: string) => void;
  readonly onNote?: (note: string) => void;
}

/** What the parts of an agent share. */
export interface AgentContext {
  readonly log: EventLog;
  /** hex */
  readonly host: string;
  readonly boot: string;
  /** 32 bytes: of every topic that this agent writes to. */
  readonly stream: Buffer;
  /** Event time, µs. */
  readonly now: () => number;
  readonly stop: AbortSignal;
}

/** Another producer of the agent, such as the looks at processes. Rejecting ends the agent. */
export interface AgentPart {
  /** Head of the part's own event chain, for evidence; null before its first record. */
  head(): ChainHead | null;
  /** Until the context's `stop`. */
  run(context: AgentContext): Promise<void>;
}

const MIN_INTERVAL = 1000;
const RETRY_MS = 5000;

/**
 * The agent of one host, until `stop`: tells what firmware and kernel measured, and answers verifiers with evidence. A TPM or
 * a log that is away for a while is met again. Throws what cannot be mended by waiting.
 */
export const runAgent = async (options: AgentOptions): Promise<void> => {
  const { log, keys, verifiers, stop, parts = [], bindings = NO_BINDINGS } = options;
  const onNote = options.onNote ?? (() => {});
  const platform = await makePlatform(keys);
  const { host } = platform;
  const boot = options.boot ?? hostIdentity().boot;
  const { stream, offset, start } = beginStream({ host, from: 'machine-id', boot });
  const now = (): number => boottimeMicros() + offset;
  const events = await EventStream.open({
    log,
    topic: 'measurements',
    stream,
    host,
    stop,
    onTrouble: onNote,
    ...(options.partitions === undefined ? {} : { partitions: options.partitions }),
  });
  const file = new PublishedFile(options.stateFolder);
  const published = file.read(boot, log.name);
  events.put('StreamOpened', {
    at: start + offset,
    kind: 'agent',
    boot,
    offset,
    agent: options.agent,
    previous: published.heads.map(({ topic, seq, head }) => ({ topic, seq, head: Buffer.from(head, 'hex') })),
  });
  const { imaList, firmwareLog } = options;
  const measurements = Measurements.open({
    events,
    now,
    published,
    ...(imaList === undefined ? {} : { imaList }),
    ...(firmwareLog === undefined ? {} : { firmwareLog }),
  });
  const otherHeads = (): readonly ChainHead[] => parts.map((part) => part.head()).filter((head) => head !== null);
  const remember = (): void => {
    const heads = [events.head, ...otherHeads()].filter((head) => head !== null);
    file.write({
      boot,
      log: log.name,
      list: measurements.count,
      firmware: measurements.firmwareTold,
      heads: heads.map(({ topic, seq, head }) => ({ topic, seq, head: head.toString('hex') })),
    });
  };
  if (!measurements.hasList) onNote('this host has no measurement list: nothing says what its kernel started');
  const producer = new EvidenceProducer({
    keys,
    platform,
    events,
    measurements,
    bindings,
    heads: otherHeads,
    bootNonce: randomBytes(32),
    selection: options.selection,
    now,
  });
  const attest = async (stop: AbortSignal): Promise<void> => {
    while (!stop.aborted)
      try {
        await runAttestation({
          log,
          events,
          host,
          verifiers,
          measurements,
          producer,
          minInterval: options.minInterval ?? MIN_INTERVAL,
          reEnrol: async () => {
            const certificates = options.ekCertificates ?? (await ekCertificates(keys));
            await enrol({
              log,
              events,
              platform,
              keys,
              label: options.label,
              ekCertificates: certificates,
              agentVersion: options.agent,
              verifiers,
              now,
              stop: AbortSignal.any([stop, AbortSignal.timeout(RE_ENROL_MS)]),
              onNote,
            });
          },
          onTold: remember,
          stop,
          onNote,
        });
      } catch (error) {
        if (stop.aborted) return;
        if (!isPassing(error)) throw error;
        onNote(`${(error as AttestreamError).message}; it is tried again`);
        await producer.renew();
        await delay(RETRY_MS, undefined, { signal: stop }).catch(() => {});
      }
  };
  try {
    await measurements.catchUp();
    measurements.firmware();
    await events.flush();
    remember();
    options.onReady?.(host);
    const context = { log, host, boot, stream, now };
    await together(stop, attest, ...parts.map((part) => (halt: AbortSignal) => part.run({ ...context, stop: halt })));
  } finally {
    await producer.renew().catch(() => undefined);
    measurements.close();
  }
};

/** A verifier that asks for another enrolment has its controller at hand; a longer wait would keep ticks waiting. */
const RE_ENROL_MS = 60_000;

const isPassing = (error: unknown): boolean =>
  isAttestreamError(error, 'TPM_UNREACHABLE') || isAttestreamError(error, 'TPM_COMMAND_FAILED') || isLogAway(error);
