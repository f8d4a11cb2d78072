import { type KeyObject, randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { EventLog } from '../../infra/log/event-log.js';
import { recordsOf } from '../../infra/log/records.js';
import { encodeRecord } from '../../schemas/codec.js';
import { type PinnedKeys, signRecord, verifierId } from '../../schemas/signed.js';
import type { Anchors } from './enrolment/chain.js';

export interface ControllerOptions {
  readonly log: EventLog;
  /** Ed25519 private key that signs. */
  readonly key: KeyObject;
  /** µs between ticks. */
  readonly interval: number;
  /** PCRs that agents are asked to quote, as `sha256:0,10,12`; empty: each agent's own choice. */
  readonly selection?: string;
  /** Answers hosts that ask to be enrolled; without it nobody is. */
  readonly enrolment?: Enrolment;
  readonly stop: AbortSignal;
}

export interface Enrolment {
  /** Whose approvals are believed. */
  readonly operators: PinnedKeys;
  readonly anchors: Anchors;
  readonly onNote: (note: string) => void;
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
export const runController = async (options: ControllerOptions): Promise<void> => {
  const { log, key, interval, stop, selection = '', enrolment } = options;
  const id = verifierId(key);
  const schema = log.schemas.current('Tick');
  for await (const lease of log.own(CONTROLLER_GROUP, 'memory', stop, { only: [0] })) {
    if (lease.partition !== 0) continue;
    let number = (await lastNumber(log, id)) + 1;
    const failed = new AbortController();
    const ended = AbortSignal.any([stop, lease.lost, failed.signal]);
    const enrolling = enrol(log, key, enrolment, ended).catch((error: unknown) => {
      failed.abort();
      throw error;
    });
    try {
      while (!ended.aborted) {
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
            selection,
            signature: Buffer.alloc(0),
          },
          key,
        );
        const value = encodeRecord('Tick', tick);
        for (const topic of TICKED)
          for (let partition = 0; partition < (await log.bounds(topic)).length; partition++)
            await log.append({ topic, partition }, [{ key: null, schema, value }]);
        await sleep(interval / 1000, undefined, { signal: ended }).catch(() => {});
      }
    } finally {
      failed.abort();
      await enrolling;
    }
  }
};

/** Certificates are read only where somebody may be enrolled: their library is large. */
const enrol = async (
  log: EventLog,
  key: KeyObject,
  enrolment: Enrolment | undefined,
  stop: AbortSignal,
): Promise<void> => {
  if (enrolment === undefined) return;
  const { runEnrolment } = await import('./enrolment/run-enrolment.js');
  await runEnrolment({ log, key, stop, ...enrolment });
};
