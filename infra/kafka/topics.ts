import { isAttestreamError } from '../../schemas/errors.js';
import { TOPICS } from '../../schemas/topics.js';
import type { EventLog } from '../log/event-log.js';
import { topicSettings } from '../log/kafka/topic-admin.js';

/** A log that can tell how its topics are configured; null if there is no such topic. Kafka can, a folder has nothing to tell. */
export interface ConfiguredLog extends EventLog {
  settings(topic: string): Promise<ReadonlyMap<string, string> | null>;
}

export interface TopicFinding {
  readonly topic: string;
  /** What is wrong and what follows from it. */
  readonly finding: string;
}

const configured = (log: EventLog): log is ConfiguredLog => 'settings' in log;

/** Creates every topic that is absent. Throws TOPIC_REPARTITIONED for one with another number of partitions. */
export const createTopics = async (log: EventLog, partitions: number): Promise<void> => {
  for (const { name } of TOPICS) await log.createTopic(name, partitions);
};

/** What would go wrong with the topics as they are; empty if all is well. `partitions`: the number expected, if one is. */
export const checkTopics = async (log: EventLog, partitions?: number): Promise<readonly TopicFinding[]> => {
  const findings: TopicFinding[] = [];
  let expected = partitions;
  for (const { name: topic } of TOPICS) {
    const count = await log.bounds(topic).then(
      (bounds) => bounds.length,
      (error: unknown) => {
        if (isAttestreamError(error, 'TOPIC_MISSING')) return 0;
        throw error;
      },
    );
    if (count === 0) {
      findings.push({ topic, finding: 'does not exist; `attestream topics create` makes it' });
      continue;
    }
    expected ??= count;
    if (count !== expected)
      findings.push({
        topic,
        finding: `has ${count} partitions instead of ${expected}: a host's records would not stand in one order`,
      });
    if (configured(log)) findings.push(...(await settingFindings(log, topic)));
  }
  return findings;
};

const settingFindings = async (log: ConfiguredLog, topic: string): Promise<readonly TopicFinding[]> => {
  const settings = await log.settings(topic);
  if (settings === null) return [];
  const findings: TopicFinding[] = [];
  const add = (finding: string): void => void findings.push({ topic, finding });
  const wanted = topicSettings(topic);
  const stamp = settings.get('message.timestamp.type');
  if (stamp !== 'LogAppendTime')
    add(
      `message.timestamp.type is ${stamp}: retention would delete a replayed old trace by its own times; set LogAppendTime`,
    );
  const cleanup = settings.get('cleanup.policy');
  if (cleanup !== wanted['cleanup.policy'])
    add(
      wanted['cleanup.policy'] === 'compact'
        ? `cleanup.policy is ${cleanup}: the newest record of a key could be deleted, and with it a processor's state; set compact`
        : `cleanup.policy is ${cleanup}: only the newest record of each host would be kept; set delete`,
    );
  const largest = Number(settings.get('max.message.bytes'));
  if (largest < Number(wanted['max.message.bytes']))
    add(`max.message.bytes is ${largest}: records of up to ${wanted['max.message.bytes']} bytes would be refused`);
  return findings;
};
