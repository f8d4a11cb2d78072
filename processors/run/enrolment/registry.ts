import type { EventLog } from '../../../infra/log/event-log.js';
import { typedRecords } from '../../../infra/log/typed-records.js';
import { hostId } from '../../../schemas/evidence/enrolment.js';
import type { Enrolled } from '../../../schemas/records.js';
import { isSigned, type PinnedKeys } from '../../../schemas/signed.js';
import { objectName } from '../../../schemas/tpm/name.js';
import { parsePublic } from '../../../schemas/tpm/public.js';
import { ekDigest } from './endorsement-key.js';

/** A host as the signed records of a log tell of it. */
export interface RegisteredHost {
  /** hex */
  readonly host: string;
  /** waiting: asked to be enrolled and was not yet. */
  readonly state: 'waiting' | 'enrolled' | 'revoked';
  readonly label: string;
  /** hex SHA-256 of the endorsement key's SPKI: what an operator approves; '' where the log does not hold the key. */
  readonly ek: string;
  readonly enrolment: Enrolled | null;
  /** Why it was revoked. */
  readonly reason: string;
  /** hex, of who enrolled it. */
  readonly verifier: string;
}

const NAMES = ['EnrolRequest', 'Enrolled', 'Revoked'] as const;

/** Hosts that wait are told by themselves alone: more than so many are not kept. */
const MAX_WAITING = 10_000;

/** Replays the log into the hosts that it knows, by host. Records that none of `keys` signed are passed over; null: any signer. */
export const readRegistry = async (
  log: EventLog,
  keys: PinnedKeys | null,
): Promise<ReadonlyMap<string, RegisteredHost>> => {
  const hosts = new Map<string, RegisteredHost>();
  const revoked = new Map<string, string>();
  for (const [partition, { first, end }] of (await log.bounds('measurements')).entries())
    for await (const found of typedRecords(log, { topic: 'measurements', partition }, NAMES, first, end)) {
      if (found.name === 'Revoked') {
        if (keys === null || isSigned('Revoked', found.record, keys))
          revoked.set(found.record.host, found.record.reason);
      } else if (found.name === 'Enrolled') {
        const { record } = found;
        if (keys !== null && !isSigned('Enrolled', record, keys)) continue;
        hosts.set(record.host, {
          host: record.host,
          state: 'enrolled',
          label: record.label,
          ek: digestOf(record.ekPublic),
          enrolment: record,
          reason: '',
          verifier: record.verifierId.toString('hex'),
        });
      } else if (!hosts.has(found.key) && hosts.size < MAX_WAITING && isOwn(found.key, found.record.ekPublic)) {
        const { label, ekPublic } = found.record;
        const ek = digestOf(ekPublic);
        hosts.set(found.key, {
          host: found.key,
          state: 'waiting',
          label,
          ek,
          enrolment: null,
          reason: '',
          verifier: '',
        });
      }
    }
  for (const [host, reason] of revoked) {
    const known = hosts.get(host);
    if (known !== undefined) hosts.set(host, { ...known, state: 'revoked', reason });
    else hosts.set(host, { host, state: 'revoked', label: '', ek: '', enrolment: null, reason, verifier: '' });
  }
  return hosts;
};

const isOwn = (host: string, ekPublic: Buffer): boolean => {
  try {
    return hostId(objectName(parsePublic(ekPublic))) === host;
  } catch {
    return false;
  }
};

const digestOf = (ekPublic: Buffer): string => {
  try {
    return ekDigest(parsePublic(ekPublic));
  } catch {
    return '';
  }
};
