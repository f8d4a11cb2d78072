import type { KeyObject } from 'node:crypto';
import canonicalize from 'canonicalize';
import type { EventLog } from '../../infra/log/event-log.js';
import { recordsOf } from '../../infra/log/records.js';
import { encodeRecord } from '../../schemas/codec.js';
import { AttestreamError } from '../../schemas/errors.js';
import type { Assignment } from '../../schemas/records.js';
import { isSigned, type PinnedKeys, pinnedKeys, signRecord } from '../../schemas/signed.js';
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
  /** Keys of others whose versions of the assignment count. */
  readonly trusted?: PinnedKeys;
  readonly onNote?: (note: string) => void;
}

const TOPICS_JUDGED = ['measurements', 'memory'] as const;

interface Newest {
  /** Of the assignment, by keys that count; −1: none. */
  readonly version: number;
  /** That the key's holder has given; −1: none. */
  readonly number: number;
}

/** Whoever may write the log may write any number: what nobody known has signed moves none, and is told of where it may matter. */
const newestOf = async ({
  log,
  id,
  key,
  trusted = new Map(),
  onNote,
}: Pick<AssignmentRequest, 'log' | 'id' | 'key' | 'trusted' | 'onNote'>): Promise<Newest> => {
  const own = pinnedKeys([key]);
  let [version, number, strange] = [-1, -1, -1];
  for (const topic of TOPICS_JUDGED)
    for await (const { record } of recordsOf(log, topic, 'Assignment')) {
      const mine = isSigned('Assignment', record, own);
      if (mine) number = Math.max(number, record.number);
      if (record.id !== id) continue;
      if (mine || isSigned('Assignment', record, trusted)) version = Math.max(version, record.version);
      else strange = Math.max(strange, record.version);
    }
  if (strange > version)
    onNote?.(
      `the log holds version ${strange} of assignment ${id} by a key that is not known here and does not count; if it is a colleague's, name the key by --trust, or this version will be refused as an older one`,
    );
  return { version, number };
};

/** Says a signed assignment into every partition whose events it may judge. */
const say = async (
  log: EventLog,
  key: KeyObject,
  assignment: Pick<Assignment, 'id' | 'selector' | 'policy' | 'rebase' | 'version' | 'number'>,
) => {
  const record = signRecord('Assignment', { ...assignment, issued: Date.now() * 1000 }, key);
  const entry = { key: null, schema: log.schemas.current('Assignment'), value: encodeRecord('Assignment', record) };
  for (const topic of TOPICS_JUDGED)
    for (let partition = 0; partition < (await log.bounds(topic)).length; partition++)
      await log.append({ topic, partition }, [entry]);
  const { id, version, policy, selector, rebase, verifierId: verifier } = record;
  return { id, version, policy, selector, rebase, verifier: verifier.toString('hex') };
};

/**
 * Puts a policy into force from here on: first its document into `policies`, and once the log has it, a signed assignment into
 * every partition whose events it may judge. Throws TOPIC_MISSING.
 */
export const assignPolicy = async (request: AssignmentRequest) => {
  const { log, policy, key, id, selector, rebase } = request;
  const homes = (await log.bounds('policies')).length;
  if (homes === 0 || (await log.bounds('memory')).length === 0)
    throw new AttestreamError('TOPIC_MISSING', `${log.name} lacks the topics policies and memory`, { path: log.name });
  const newest = await newestOf(request);
  const document = canonicalize(policy.document)!;
  const blob = {
    key: Buffer.from(policy.digest),
    schema: log.schemas.current('Policy'),
    value: encodeRecord('Policy', { digest: policy.digest, document }),
  };
  await log.append({ topic: 'policies', partition: partitionOf(policy.digest, homes) }, [blob]);
  const [version, number] = [Math.max(1, newest.version + 1), newest.number + 1];
  return say(log, key, { id, selector, policy: policy.digest, version, rebase, number });
};

/** Takes an assignment out of force from here on. Throws USAGE for one that the log does not know. */
export const withdrawAssignment = async (
  request: Pick<AssignmentRequest, 'log' | 'key' | 'id' | 'trusted' | 'onNote'>,
) => {
  const { log, key, id } = request;
  const newest = await newestOf(request);
  if (newest.version < 0)
    throw new AttestreamError('USAGE', `${log.name} knows no assignment ${JSON.stringify(id)}`, { path: log.name });
  const [version, number] = [newest.version + 1, newest.number + 1];
  return say(log, key, { id, selector: '', policy: '', version, rebase: false, number });
};
