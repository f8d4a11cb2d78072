import { decodeRecord, encodeRecord } from '../../schemas/codec.js';
import { AttestreamError } from '../../schemas/errors.js';
import { type AssignmentRefusal, refuseAssignment } from '../../schemas/policy/assignments.js';
import type { Approval, Assignment, Records, Revoked, Tick } from '../../schemas/records.js';
import { isSigned, type PinnedKeys } from '../../schemas/signed.js';
import type { HostRecordName, Said, WideRecordName } from './fold.js';

/** Why a controller record is not acted on; `copy`: an equal one was taken already, which is no fault. */
export type Refusal = AssignmentRefusal;

/** Newest number and signature of one kind of record by one verifier. */
export interface Newest {
  readonly number: number;
  readonly signature: Buffer;
}

/** Ticks that are kept per verifier: what evidence may answer, and how old a session's certificate may be. */
const TICKS_KEPT = 64;

const fault = (message: string): Refusal => ({ refused: 'fault', code: 'RECORD_UNSIGNED', message });

/** Null where the number increases. */
const follows = (what: string, { number, signature }: Newest, last: Newest | undefined): Refusal | null => {
  if (last === undefined || number > last.number) return null;
  return number === last.number && signature.equals(last.signature)
    ? { refused: 'copy' }
    : fault(`${what} ${number} comes after ${what} ${last.number}`);
};

const WIDE: readonly WideRecordName[] = ['Assignment', 'Approval', 'Revoked', 'Tick'];

/** Each kind as base64 of Avro bodies, in the order in which they were said. */
type Remembered = Readonly<Record<WideRecordName, readonly string[]>>;

/**
 * What controllers and operators said to a whole partition: the newest ticks of each verifier, assignments in force, approvals,
 * revocations. Records that a pinned key did not sign, or whose number does not increase, are refused.
 */
export class Controller {
  readonly #keys: PinnedKeys;
  readonly #ticks = new Map<string, Tick[]>();
  readonly #assignments = new Map<string, Assignment>();
  readonly #approvals: Approval[] = [];
  readonly #revocations: Revoked[] = [];
  readonly #newest = new Map<string, Newest>();
  changed = false;

  constructor(keys: PinnedKeys) {
    this.#keys = keys;
  }

  /** Takes a record that speaks to every host. */
  take({ name, record }: Said<WideRecordName>): Refusal | null {
    if (!isSigned(name, record, this.#keys)) return fault(`${name} ${record.number} is not signed by a pinned key`);
    const verifier = record.verifierId.toString('hex');
    const refusal =
      name === 'Assignment'
        ? refuseAssignment(record as Assignment, this.#assignments.get((record as Assignment).id))
        : follows(name, record, this.#newest.get(name + verifier));
    if (refusal !== null) return refusal;
    this.#keep(name, record, verifier);
    this.changed = true;
    return null;
  }

  /** Judges a record that speaks to one host, given the newest of its kind and signer that the host was told. */
  judge({ name, record }: Said<HostRecordName>, last: Newest | undefined): Refusal | null {
    if (!isSigned(name, record, this.#keys)) return fault(`${name} ${record.number} is not signed by a pinned key`);
    return follows(name, record, last);
  }

  /** All that holds, as a fold that begins here must hear it. */
  *said(): Generator<Said<WideRecordName>> {
    for (const record of this.#assignments.values()) yield { name: 'Assignment', record };
    for (const record of this.#approvals) yield { name: 'Approval', record };
    for (const record of this.#revocations) yield { name: 'Revoked', record };
    for (const ticks of this.#ticks.values()) for (const record of ticks) yield { name: 'Tick', record };
  }

  /** Highest number of any verifier's tick; −1 before the first. */
  get newestTick(): number {
    let newest = -1;
    for (const ticks of this.#ticks.values()) newest = Math.max(newest, ticks.at(-1)?.number ?? -1);
    return newest;
  }

  encode(): Buffer {
    const remembered: Record<WideRecordName, string[]> = { Assignment: [], Approval: [], Revoked: [], Tick: [] };
    for (const { name, record } of this.said())
      remembered[name].push(encodeRecord(name, record as Records[typeof name]).toString('base64'));
    return Buffer.from(JSON.stringify(remembered));
  }

  /** Throws SNAPSHOT_FOREIGN. */
  restore(bytes: Buffer): void {
    const remembered = JSON.parse(bytes.toString('utf8')) as Remembered;
    for (const name of WIDE) {
      if (!Array.isArray(remembered[name]))
        throw new AttestreamError('SNAPSHOT_FOREIGN', `a snapshot of what controllers said holds no ${name}`);
      for (const body of remembered[name]) {
        const record = decodeRecord(name, Buffer.from(body, 'base64'));
        this.#keep(name, record, record.verifierId.toString('hex'));
      }
    }
  }

  #keep(name: WideRecordName, record: Records[WideRecordName], verifier: string): void {
    this.#newest.set(name + verifier, { number: record.number, signature: record.signature });
    switch (name) {
      case 'Tick': {
        const ticks = this.#ticks.get(verifier) ?? [];
        ticks.push(record as Tick);
        if (ticks.length > TICKS_KEPT) ticks.shift();
        this.#ticks.set(verifier, ticks);
        break;
      }
      case 'Assignment':
        this.#assignments.set((record as Assignment).id, record as Assignment);
        break;
      case 'Approval':
        this.#approvals.push(record as Approval);
        break;
      case 'Revoked':
        this.#revocations.push(record as Revoked);
        break;
    }
  }
}
