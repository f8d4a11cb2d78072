import type { KeyObject } from 'node:crypto';
import type { EventLog } from '../../../infra/log/event-log.js';
import { recordsOf } from '../../../infra/log/records.js';
import { encodeRecord } from '../../../schemas/codec.js';
import { AttestreamError } from '../../../schemas/errors.js';
import { signRecord, verifierId } from '../../../schemas/signed.js';

const TOPICS_TOLD = ['measurements', 'memory'] as const;

/** One past the highest number that this key signed a record of this type with. */
const nextNumber = async (log: EventLog, name: 'Approval' | 'Revoked', id: Buffer): Promise<number> => {
  let next = 0;
  for (const topic of TOPICS_TOLD)
    for await (const { record } of recordsOf(log, topic, name))
      if (record.verifierId.equals(id)) next = Math.max(next, record.number + 1);
  return next;
};

const sayEverywhere = async (log: EventLog, name: 'Approval' | 'Revoked', value: Buffer): Promise<void> => {
  if ((await log.bounds('measurements')).length === 0)
    throw new AttestreamError('TOPIC_MISSING', `${log.name} lacks the topic measurements`, { path: log.name });
  const entry = { key: null, schema: log.schemas.current(name), value };
  for (const topic of TOPICS_TOLD)
    for (let partition = 0; partition < (await log.bounds(topic)).length; partition++)
      await log.append({ topic, partition }, [entry]);
};

/** What an operator lets be enrolled: one endorsement key under a name, or any key that leads to a set of roots. */
export type Approved = { readonly label: string; readonly ekSpki: Buffer } | { readonly rootSet: string };

/** Says in every partition, signed by the operator's key, who may be enrolled. Throws TOPIC_MISSING. */
export const approve = async (log: EventLog, key: KeyObject, approved: Approved): Promise<void> => {
  const record = signRecord(
    'Approval',
    {
      number: await nextNumber(log, 'Approval', verifierId(key)),
      issued: Date.now() * 1000,
      label: 'label' in approved ? approved.label : '',
      ekSpki: 'label' in approved ? approved.ekSpki : Buffer.alloc(0),
      rootSet: 'label' in approved ? '' : approved.rootSet,
    },
    key,
  );
  await sayEverywhere(log, 'Approval', encodeRecord('Approval', record));
};

/** Says in every partition, signed, that a host is not believed any more. Throws TOPIC_MISSING. */
export const revoke = async (log: EventLog, key: KeyObject, host: string, reason: string): Promise<void> => {
  const number = await nextNumber(log, 'Revoked', verifierId(key));
  const record = signRecord('Revoked', { number, issued: Date.now() * 1000, host, reason }, key);
  await sayEverywhere(log, 'Revoked', encodeRecord('Revoked', record));
};
