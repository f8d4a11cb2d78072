import type { SchemaTable } from '../../schemas/codec.js';
import { isAttestreamError } from '../../schemas/errors.js';
import type { Assignment, RecordName, Tick } from '../../schemas/records.js';
import type { Entry } from './event-log.js';

/** A record that stands in every partition of its topic. */
export interface Barrier {
  readonly kind: 'Tick' | 'Assignment';
  /** Hex. */
  readonly verifier: string;
  /** Position in the verifier's own sequence of this kind. */
  readonly number: number;
}

/** Null for a record that stands in one partition only; also for one that does not decode, which goes by its key. */
export const barrierOf = (record: RecordName | null, entry: Entry, schemas: SchemaTable): Barrier | null => {
  if ((record !== 'Tick' && record !== 'Assignment') || entry.value === null) return null;
  try {
    const { verifierId, number } = schemas.at(entry.schema).decode(entry.value) as Tick | Assignment;
    return { kind: record, verifier: verifierId.toString('hex'), number };
  } catch (error) {
    if (isAttestreamError(error)) return null;
    throw error;
  }
};

const same = (a: Barrier, b: Barrier): boolean =>
  a.kind === b.kind && a.verifier === b.verifier && a.number === b.number;

/** Sequences rise: a barrier at or below the last one of its kind and verifier already stands everywhere. */
export class PassedBarriers {
  readonly #newest = new Map<string, number>();

  has({ kind, verifier, number }: Barrier): boolean {
    return number <= (this.#newest.get(kind + verifier) ?? Number.NEGATIVE_INFINITY);
  }

  add({ kind, verifier, number }: Barrier): void {
    this.#newest.set(kind + verifier, number);
  }
}

/**
 * Which barrier passes next, given the one at which each source partition waits. A partition may lack some (its range
 * begins later, its tail was lost), so the lowest of a sequence passes first. Where partitions disagree about the order
 * of two sequences, the one that more of them wait for passes.
 */
export const nextBarrier = (waiting: readonly Barrier[]): Barrier | null => {
  const lowest = waiting.filter(
    (barrier) =>
      !waiting.some(
        (other) => other.kind === barrier.kind && other.verifier === barrier.verifier && other.number < barrier.number,
      ),
  );
  let best: Barrier | null = null;
  let most = 0;
  for (const barrier of lowest) {
    const count = lowest.filter((other) => same(other, barrier)).length;
    if (count > most) {
      best = barrier;
      most = count;
    }
  }
  return best;
};
