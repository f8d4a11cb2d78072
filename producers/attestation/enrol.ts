import { randomBytes } from 'node:crypto';
import type { EventLog } from '../../infra/log/event-log.js';
import { typedRecords } from '../../infra/log/typed-records.js';
import { AttestreamError } from '../../schemas/errors.js';
import type { EnrolChallenge, Enrolled } from '../../schemas/records.js';
import { isSigned, type PinnedKeys } from '../../schemas/signed.js';
import { objectName } from '../../schemas/tpm/name.js';
import { parsePublic } from '../../schemas/tpm/public.js';
import type { EventStream } from '../stream/event-stream.js';
import type { AttestationKey } from './keys/attestation-key.js';
import { loadEk, type Platform, type PlatformOptions } from './platform.js';
import { activateCredential } from './tpm/activate-credential.js';
import { withScope } from './tpm/scope.js';

export interface EnrolOptions {
  readonly log: EventLog;
  /** The host's stream in `measurements`. */
  readonly events: EventStream;
  readonly platform: Platform & { readonly aik1: AttestationKey };
  readonly keys: PlatformOptions;
  /** Name that the operator shall know the host by. */
  readonly label: string;
  /** DER, the endorsement key's own first. */
  readonly ekCertificates: readonly Buffer[];
  readonly agentVersion: string;
  /** Verifiers whose challenges are answered. */
  readonly verifiers: PinnedKeys;
  /** Event time, µs. */
  readonly now: () => number;
  /** Ends the waiting. */
  readonly stop: AbortSignal;
  readonly onNote?: (note: string) => void;
}

const ANSWERS = ['EnrolChallenge', 'Enrolled', 'Request'] as const;

/** Kind of the request by which a verifier says no. */
const REFUSED = 'enrol-refused';

/**
 * Asks to be enrolled, proves that both keys are in this TPM, and waits until a verifier says so (startup.md §4, 2 to 9).
 * null if `stop` ended the waiting. Throws ENROL_REFUSED with the verifier's reason.
 */
export const enrol = async (options: EnrolOptions): Promise<Enrolled | null> => {
  const { log, events, platform, verifiers, stop, onNote } = options;
  const { host } = platform;
  const requestId = randomBytes(16);
  const at = { topic: events.topic, partition: events.partition };
  const { end } = (await log.bounds(at.topic))[at.partition]!;
  events.put('EnrolRequest', {
    at: options.now(),
    requestId,
    label: options.label,
    ekCertificates: options.ekCertificates,
    ekTemplate: platform.ekTemplate,
    ekPublic: platform.ekPublic,
    aik1Public: platform.aik1.public.bytes,
    agentVersion: options.agentVersion,
  });
  await events.flush();
  for await (const found of typedRecords(log, at, ANSWERS, end, 'follow', stop)) {
    const { record, name } = found;
    if (record.host !== host) continue;
    if (name === 'Request') {
      if (record.kind === REFUSED && isSigned('Request', record, verifiers))
        throw new AttestreamError('ENROL_REFUSED', `the verifier does not enrol this host: ${record.reason}`);
      continue;
    }
    if (!record.requestId.equals(requestId)) continue;
    if (name === 'EnrolChallenge') {
      if (!isSigned('EnrolChallenge', record, verifiers)) continue;
      const secret = await answer(options, record);
      events.put('EnrolAnswer', { at: options.now(), requestId, secret });
      await events.flush();
      onNote?.('a verifier asked for a proof; it was given');
    } else if (isSigned('Enrolled', record, verifiers)) {
      if (objectName(parsePublic(record.aik1Public)).equals(platform.aik1.name)) return record;
    }
  }
  return null;
};

/** The secret in a challenge that is for these keys. Throws ENROL_REFUSED for one that is for others, or that does not open. */
const answer = async ({ platform, keys }: EnrolOptions, challenge: EnrolChallenge): Promise<Buffer> => {
  const { nameEk, nameAik1, credentialBlob, encryptedSecret } = challenge;
  if (!nameEk.equals(platform.nameEk) || !nameAik1.equals(platform.aik1.name))
    throw new AttestreamError('ENROL_REFUSED', 'the verifier challenged other keys than those of this host');
  return withScope(keys.tpm, async (scope) => {
    const ek = await loadEk(keys, scope);
    const { handle } = ek;
    const authorisation = await ek.authorise();
    return activateCredential(keys.tpm, platform.aik1, { handle, authorisation }, { credentialBlob, encryptedSecret });
  });
};
