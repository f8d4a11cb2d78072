import type { KeyObject } from 'node:crypto';
import canonicalize from 'canonicalize';
import type { EventLog } from '../../infra/log/event-log.js';
import { recordsOf } from '../../infra/log/records.js';
import { encodeRecord } from '../../schemas/codec.js';
import { AttestreamError } from '../../schemas/errors.js';
import { signRecord, verifierId } from '../../schemas/signed.js';
import { partitionOf } from '../../schemas/topics.js';

export interface AssignmentRequest {
  readonly log: EventLog;
  /** A policy of either kind. */
  readonly policy: { readonly digest: string; readonly document: unknown };
  /** Ed25519 private key. */
  readonly key: KeyObject;
  /** Name of the assignment; a later version under it replaces the earlier. */
  readonly id: string;
  readonly selector: string;
  readonly rebase: boolean;
}

const TOPICS_JUDGED = ['measurements', 'memory'] as const;

/**
 * Puts a policy into force from here on: first its document into `policies`, and once the log has it, a signed assignment into
 * every partition whose events it may judge. Throws TOPIC_MISSING.
 */
export const assignPolicy = async ({ log, policy, key, id, selector, rebase }: AssignmentRequest) => {
  const homes = (await log.bounds('policies')).length;
  if (homes === 0 || (await log.bounds('memory')).length === 0)
    throw new AttestreamError('TOPIC_MISSING', `${log.name} lacks the topics policies and memory`, { path: log.name });
  let version = 1;
  let number = 0;
  for (const topic of TOPICS_JUDGED)
    for await (const { record } of recordsOf(log, topic, 'Assignment')) {
      if (record.id === id) version = Math.max(version, record.version + 1);
      if (record.verifierId.equals(verifierId(key))) number = Math.max(number, record.number + 1);
    }
  const document = canonicalize(policy.document)!;
  const blob = {
    key: Buffer.from(policy.digest),
    schema: log.schemas.current('Policy'),
    value: encodeRecord('Policy', { digest: policy.digest, document }),
  };
  await log.append({ topic: 'policies', partition: partitionOf(policy.digest, homes) }, [blob]);
  const assignment = signRecord(
    'Assignment',
    {
      verifierId: verifierId(key),
      number,
      id,
      selector,
      policy: policy.digest,
      version,
      rebase,
      issued: Date.now() * 1000,
      signature: Buffer.alloc(0),
    },
    key,
  );
  const entry = { key: null, schema: log.schemas.current('Assignment'), value: encodeRecord('Assignment', assignment) };
  for (const topic of TOPICS_JUDGED)
    for (let partition = 0; partition < (await log.bounds(topic)).length; partition++)
      await log.append({ topic, partition }, [entry]);
  return { id, version, policy: policy.digest, selector, rebase, verifier: verifierId(key).toString('hex') };
};
