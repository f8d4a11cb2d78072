import { uptime } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Store } from '../../infra/clickhouse/connect.js';
import { asAttestreamError, failureOf } from '../../infra/clickhouse/failure.js';
import { insertRows, type RowInsert } from '../../infra/clickhouse/insert-rows.js';
import type { AttestreamError } from '../../schemas/errors.js';

/** Seconds after which an owner must prove its lease again before it sends: the rows' token may be forgotten one day. */
const SEND_DEADLINE = 20;
const FIRST_WAIT = 100;
const LONGEST_WAIT = 5_000;
/** Seconds since boot, sleep included: the wall clock may jump, and a suspended process must notice that it slept. */
export const secondsAwake = (): number => uptime();

export interface Insertion {
  readonly store: Store;
  readonly rows: RowInsert;
  /** When the lease was last proved, in `secondsAwake`. */
  readonly provedAt: () => number;
  /** Proves the lease again. Throws LEASE_LOST. */
  readonly prove: () => Promise<void>;
  readonly stop: AbortSignal;
  /** Refusals that are believed. A connection that breaks can look like rows that end too early, so one may be too few. */
  readonly refusals: number;
  /** A failure that is waited out; null when it is over. */
  readonly trouble: (error: AttestreamError | null) => void;
}

/**
 * Inserts until it is done. `refused`: ClickHouse does not take these rows as data; `stopped`: the outcome is not known.
 * Throws what no waiting mends (login, rights, tables), and LEASE_LOST.
 */
export const insert = async (insertion: Insertion): Promise<'inserted' | 'refused' | 'stopped'> => {
  const { store, rows, stop, trouble } = insertion;
  let refusals = 0;
  let troubled = false;
  for (let wait = FIRST_WAIT; ; wait = Math.min(wait * 2, LONGEST_WAIT)) {
    if (secondsAwake() - insertion.provedAt() > SEND_DEADLINE) await insertion.prove();
    try {
      await store.requireDisk();
      const sent = await store.attempt(async (client) => {
        // Opening an embedded server again may have taken that long.
        if (secondsAwake() - insertion.provedAt() > SEND_DEADLINE) return false;
        await insertRows(client, rows);
        return true;
      });
      if (sent) {
        if (troubled) trouble(null);
        return 'inserted';
      }
    } catch (error) {
      const failure = failureOf(error);
      if (failure === 'refused') throw asAttestreamError(error, store.name);
      if (failure === 'data' && ++refusals >= insertion.refusals) return 'refused';
      if (failure !== 'data') {
        troubled = true;
        trouble(asAttestreamError(error, store.name));
      }
    }
    if (stop.aborted) return 'stopped';
    await sleep(wait, undefined, { signal: stop }).catch(() => {});
    if (stop.aborted) return 'stopped';
  }
};
