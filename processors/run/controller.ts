import { type KeyObject, randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { EventLog } from '../../infra/log/event-log.js';
import { recordsOf } from '../../infra/log/records.js';
import { encodeRecord } from '../../schemas/codec.js';
import { signRecord, verifierId } from '../../schemas/signed.js';

export interface ControllerOptions {
  readonly log: EventLog;
  /** Ed25519 private key that signs. */
  readonly key: KeyObject;
  /** µs between ticks. */
  readonly interval: number;
  readonly stop: AbortSignal;
}

const CONTROLLER_GROUP = 'controller';
const TICKED = ['measurements', 'memory'] as const;

/** Travel time that an event is given before a tick's time counts for its host. */
const GRACE_INTERVALS = 2;

/** Newest number that this key signed; −1 if none. */
const lastNumber = async (log: EventLog, id: Buffer): Promise<number> => {
  let last = -1;
  for await (const { record } of recordsOf(log, 'memory', 'Tick'))
    if (record.verifierId.equals(id)) last = Math.max(last, record.number);
  return last;
};

/**
 * Writes a numbered, signed tick into every partition of `measurements` and `memory`, while this process owns partition 0
 * of `memory` for the controller. Numbers go on where the newest one in the log stopped.
 */
export const runController = async ({ log, key, interval, stop }: ControllerOptions): Promise<void> => {
  const id = verifierId(key);
  const schema = log.schemas.current('Tick');
  for await (const lease of log.own(CONTROLLER_GROUP, 'memory', stop, { only: [0] })) {
    if (lease.partition !== 0) continue;
    let number = (await lastNumber(log, id)) + 1;
    while (!stop.aborted && !lease.lost.aborted) {
      const tick = signRecord(
        'Tick',
        {
          verifierId: id,
          number: number++,
          nonce: randomBytes(32),
          issued: Date.now() * 1000,
          interval,
          grace: GRACE_INTERVALS * interval,
          k: 1,
          selection: '',
          signature: Buffer.alloc(0),
        },
        key,
      );
      const value = encodeRecord('Tick', tick);
      for (const topic of TICKED)
        for (let partition = 0; partition < (await log.bounds(topic)).length; partition++)
          await log.append({ topic, partition }, [{ key: null, schema, value }]);
      await sleep(interval / 1000, undefined, { signal: AbortSignal.any([stop, lease.lost]) }).catch(() => {});
    }
  }
};
