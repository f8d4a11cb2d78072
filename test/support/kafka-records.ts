import type { Batch, Damage, Entry, EventLog, Lease, Snapshot } from '../../infra/log/event-log.js';
import { encodeRecord } from '../../schemas/codec.js';

/** A small record of ours that carries a number. */
export const gap = (log: EventLog, seq: number, host = 'host'): Entry => ({
  key: Buffer.from(host),
  schema: log.schemas.current('Gap'),
  value: encodeRecord('Gap', {
    stream: Buffer.alloc(32, 1),
    seq,
    at: 1_700_000_000_000_000 + seq,
    notBefore: 0,
    process: '1:1',
    reason: 'test',
    lost: seq,
  }),
});

export const snapshot = (key: string, state: string | null): Snapshot => ({
  key: Buffer.from(key),
  fold: 'test@1',
  clock: 1,
  lastAt: 0,
  issued: -1,
  state: state === null ? null : Buffer.from(state),
  timers: [],
  seen: [],
  told: [],
  digest: Buffer.alloc(0),
  conclusions: Buffer.alloc(0),
});

export interface Collected {
  /** Numbers of the `gap` records, in order. */
  readonly numbers: number[];
  readonly damage: Damage[];
}

export const collect = async (log: EventLog, batches: AsyncIterable<Batch>): Promise<Collected> => {
  const numbers: number[] = [];
  const damage: Damage[] = [];
  for await (const batch of batches) {
    damage.push(...batch.damage);
    for (let i = 0; i < batch.length; i++) {
      const body = batch.bytes.subarray(batch.values[2 * i], batch.values[2 * i + 1]);
      numbers.push((log.schemas.at(batch.schemas[i]!).decode(body) as { seq: number }).seq);
    }
  }
  return { numbers, damage };
};

/** What the lease would go on with: the offset, and each key's state. */
export const restored = async (lease: Lease): Promise<{ next: number; states: Record<string, string> }> => {
  const { next, snapshots } = await lease.restore();
  const states: Record<string, string> = {};
  for await (const { key, state } of snapshots) states[key.toString()] = state!.toString();
  return { next, states };
};

/** The leases that `own` yields, one after the other, without ending the ownership as leaving a loop would. */
export const leasesOf = (
  log: EventLog,
  group: string,
  topic: string,
): { next(): Promise<Lease>; stop(): Promise<void> } => {
  const stop = new AbortController();
  const leases = log.own(group, topic, stop.signal)[Symbol.asyncIterator]();
  const taken: Lease[] = [];
  return {
    async next() {
      const { value, done } = await leases.next();
      if (done === true) throw new Error('the ownership has ended');
      taken.push(value);
      return value;
    },
    async stop() {
      stop.abort();
      await Promise.all(taken.map((lease) => lease.release()));
      await leases.return?.();
    },
  };
};
