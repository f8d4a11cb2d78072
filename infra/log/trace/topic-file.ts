import { linkSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { AttestreamError } from '../../../schemas/errors.js';
import { makeFolder } from '../../make-folder.js';
import { partitionsOf, topicFile } from './layout.js';
import { syncFolder } from './two-slot-file.js';

/** Creates a topic's folder and description, whole or not at all. Throws TOPIC_REPARTITIONED. */
export const createTopicFile = (root: string, topic: string, partitions: number, id: string): void => {
  if (!Number.isInteger(partitions) || partitions < 1)
    throw new AttestreamError('USAGE', `a topic has at least one partition, not ${partitions}`);
  const path = topicFile(root, topic);
  const known = partitionsOf(root, topic);
  if (known === partitions) return;
  if (known > 0)
    throw new AttestreamError('TOPIC_REPARTITIONED', `topic ${topic} has ${known} partitions, not ${partitions}`, {
      path,
    });
  makeFolder(dirname(path));
  const draft = `${path}.${id}`;
  writeFileSync(draft, `${JSON.stringify({ partitions, generation: 1 })}\n`, { flush: true });
  let raced = false;
  try {
    linkSync(draft, path);
    syncFolder(dirname(path));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    raced = true;
  } finally {
    rmSync(draft, { force: true });
  }
  // Another process was faster: its number counts, if it is the same.
  if (raced) createTopicFile(root, topic, partitions, id);
};
