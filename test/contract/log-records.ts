import { randomBytes } from 'node:crypto';
import type { Entry, EventLog, Header, Lease, Partition, Snapshot } from '../../infra/log/event-log.js';

/** A name that nobody else uses: brokers outlive a test run. */
export const fresh = (what: string): string => `${what}-${randomBytes(6).toString('hex')}`;

export const rawEntry = (value: string): Entry => ({ key: Buffer.from('k'), schema: -1, value: Buffer.from(value) });

/** A record taken out of its batch. */
export interface Seen {
  readonly offset: number;
  readonly timestamp: number;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  /** Our name of the record, the full name of a foreign schema, or null. */
  readonly schema: string | null;
  readonly headers: readonly Header[];
}

export const drain = async (log: EventLog, at: Partition, from: number, until: number): Promise<Seen[]> => {
  const seen: Seen[] = [];
  for await (const batch of log.read(at, from, until)) {
    const part = (spans: Int32Array, i: number): Buffer | null =>
      spans[2 * i]! < 0 ? null : Buffer.from(batch.bytes.subarray(spans[2 * i], spans[2 * i + 1]));
    for (let i = 0; i < batch.length; i++) {
      const schema = batch.schemas[i]! < 0 ? null : log.schemas.at(batch.schemas[i]!);
      seen.push({
        offset: batch.offsets[i]!,
        timestamp: batch.timestamps[i]!,
        key: part(batch.keys, i),
        value: part(batch.values, i),
        schema: schema === null ? null : (schema.record ?? schema.name),
        headers: batch.headers(i).map(({ key, value }) => ({ key, value: value === null ? null : Buffer.from(value) })),
      });
    }
  }
  return seen;
};

/** Values of all committed records as text. */
export const values = async (log: EventLog, at: Partition): Promise<string[]> => {
  const { first, end } = (await log.bounds(at.topic))[at.partition]!;
  return (await drain(log, at, first, end)).map(({ value }) => value?.toString() ?? 'null');
};

export const snapshotOf = (key: string, state: string | null): Snapshot => ({
  key: Buffer.from(key),
  fold: 'test@1',
  clock: 1_700_000_000_000_001,
  lastAt: 1_700_000_000_000_000,
  issued: -1,
  state: state === null ? null : Buffer.from(state),
  timers: [{ at: 5, id: 1, registered: 2 }],
  seen: [{ stream: Buffer.alloc(32, 7), seq: 9, head: Buffer.alloc(32, 8) }],
  told: [{ by: Buffer.alloc(32, 1), number: 4, signature: Buffer.alloc(64, 2) }],
  digest: Buffer.alloc(32, 3),
  conclusions: Buffer.alloc(0),
});

/** The next restored state of a lease: where to go on, and each key's state. */
export const restored = async (lease: Lease): Promise<{ next: number; states: Record<string, string> }> => {
  const { next, snapshots } = await lease.restore();
  const states: Record<string, string> = {};
  for await (const { key, state } of snapshots) states[key.toString()] = state?.toString() ?? 'null';
  return { next, states };
};

/** The first lease that a group gets; `done` ends the membership. */
export const owned = async (
  log: EventLog,
  group: string,
  topic: string,
): Promise<{ readonly lease: Lease; done(): Promise<void> }> => {
  const stop = new AbortController();
  const leases = log.own(group, topic, stop.signal)[Symbol.asyncIterator]();
  const { value, done: none } = await leases.next();
  if (none === true) throw new Error(`${group} got no partition of ${topic}`);
  const lease = value;
  return {
    lease,
    async done() {
      await lease.release();
      stop.abort();
      await leases.return?.();
    },
  };
};
