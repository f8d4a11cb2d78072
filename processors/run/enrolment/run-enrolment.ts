import type { KeyObject } from 'node:crypto';
import type { EventLog } from '../../../infra/log/event-log.js';
import { typedRecords } from '../../../infra/log/typed-records.js';
import { encodeRecord } from '../../../schemas/codec.js';
import { type PinnedKeys, pinnedKeys, signRecord, verifierId } from '../../../schemas/signed.js';
import type { Anchors } from './chain.js';
import { ENROLMENT_RECORDS, type EnrolmentRecord, EnrolmentResponder, type Reply } from './responder.js';

const TOPIC = 'measurements';

/** Ticks that a host has to answer its challenge: a slow TPM takes seconds. */
const PATIENCE = 24;

export interface EnrolmentOptions {
  readonly log: EventLog;
  /** Ed25519 private key that signs challenges and enrolments; its ticks count their time. */
  readonly key: KeyObject;
  /** Operators' keys. */
  readonly operators: PinnedKeys;
  readonly anchors: Anchors;
  readonly stop: AbortSignal;
  readonly onNote: (note: string) => void;
}

/**
 * Answers what hosts ask to be enrolled, until `stop`. All that it knows stands in the log: it first reads what was said before,
 * then answers what is still open. At most one may run for a key.
 */
export const runEnrolment = async (options: EnrolmentOptions): Promise<void> => {
  const { log, key, stop, anchors, onNote } = options;
  const bounds = await log.bounds(TOPIC);
  const own = pinnedKeys([key]);
  const responder = new EnrolmentResponder({
    verifierId: verifierId(key),
    keys: new Map([...options.operators, ...own]),
    anchors,
    patience: PATIENCE,
    onNote,
  });
  const read = (partition: number, from: number, until: number | 'follow'): AsyncGenerator<EnrolmentRecord> =>
    typedRecords(log, { topic: TOPIC, partition }, ENROLMENT_RECORDS, from, until, stop);
  const say = async ({ partition, host, ...said }: Reply): Promise<void> => {
    const value = signed(said, key);
    await log.append({ topic: TOPIC, partition }, [
      { key: Buffer.from(host, 'utf8'), schema: log.schemas.current(said.name), value },
    ]);
  };
  for (const [partition, { first, end }] of bounds.entries())
    for await (const found of read(partition, first, end)) responder.note(found);
  // One record after the other, whatever partition it came from: answers depend on all that was said before.
  let turn: Promise<void> = Promise.resolve();
  const inTurn = (work: () => Promise<void>): Promise<void> => {
    turn = turn.then(work);
    return turn;
  };
  const weigh = async (): Promise<void> => {
    for (const reply of await responder.weigh()) await say(reply);
  };
  await inTurn(weigh);
  // Who was refused before was told before.
  responder.refusals();
  const follow = async (partition: number, from: number): Promise<void> => {
    for await (const found of read(partition, from, 'follow'))
      await inTurn(async () => {
        responder.note(found);
        if (found.name === 'EnrolRequest' || found.name === 'Approval' || found.name === 'Revoked') await weigh();
        if (found.name === 'EnrolAnswer') {
          const reply = await responder.answer(found);
          if (reply !== null) await say(reply);
        }
        for (const refusal of responder.refusals()) await say(refusal);
      });
  };
  await Promise.all(bounds.map(({ end }, partition) => follow(partition, end)));
};

const signed = (said: Pick<Reply, 'name' | 'record'>, key: KeyObject): Buffer => {
  const { name, record } = said as Reply;
  switch (name) {
    case 'Enrolled':
      return encodeRecord(name, signRecord(name, record, key));
    case 'EnrolChallenge':
      return encodeRecord(name, signRecord(name, record, key));
    case 'Request':
      return encodeRecord(name, signRecord(name, record, key));
  }
};
