import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { AttestreamError } from '../../../schemas/errors.js';

/** Name of the folder, beside the topics, that keeps what groups know. */
export const STATE_FOLDER = '.state';
/** Ends of an output partition; its existence says that not every record in the files counts. */
export const ENDS_FILE = 'ENDS';
export const LOCK_FILE = 'LOCK';
export const COMMIT_FILE = 'COMMIT';
const TOPIC_FILE = 'topic.json';

const MAX_PARTITIONS = 100_000;
const DATA_FILE = /^(\d{20})\.avro$/;
const TOPIC = /^[A-Za-z0-9_-][A-Za-z0-9._-]{0,199}$/;

const absent = (error: unknown): boolean => {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'ENOENT' || code === 'ENOTDIR';
};

/** Throws USAGE for a name that could leave the folder or hide in it. */
export const checkTopicName = (topic: string): string => {
  if (!TOPIC.test(topic))
    throw new AttestreamError('USAGE', `"${topic}" cannot name a topic: letters, digits, . _ - only`);
  return topic;
};

/** A group's folder: any name, without a way out. */
const folderOfGroup = (group: string): string => {
  if (group === '') throw new AttestreamError('USAGE', 'a group needs a name');
  return encodeURIComponent(group).replace(/^\./, '%2E');
};

export const partitionFolder = (root: string, topic: string, partition: number): string =>
  join(root, checkTopicName(topic), String(partition));

export const stateFolder = (root: string, group: string, topic: string, partition: number): string =>
  join(root, STATE_FOLDER, folderOfGroup(group), checkTopicName(topic), String(partition));

export const dataFileName = (base: number): string => `${String(base).padStart(20, '0')}.avro`;

/** Names in a folder; empty where there is none. */
export const names = (folder: string): string[] => {
  try {
    return readdirSync(folder);
  } catch (error) {
    if (absent(error)) return [];
    throw error;
  }
};

export interface DataFile {
  readonly path: string;
  /** Offset of its first record. */
  readonly base: number;
}

/** A partition's data files in order of base. Other files are not ours to judge and are left out. */
export const dataFiles = (folder: string): DataFile[] =>
  names(folder)
    .flatMap((name) => {
      const base = Number(DATA_FILE.exec(name)?.[1] ?? Number.NaN);
      return Number.isSafeInteger(base) ? [{ path: join(folder, name), base }] : [];
    })
    .sort((a, b) => a.base - b.base);

export const exists = (path: string): boolean => {
  try {
    statSync(path);
    return true;
  } catch (error) {
    if (absent(error)) return false;
    throw error;
  }
};

export const topicFile = (root: string, topic: string): string => join(root, checkTopicName(topic), TOPIC_FILE);

/**
 * Partitions of a topic by its `topic.json` or, in a folder that was put together by hand, by its subfolders.
 * 0 if there is no such topic. Throws TRACE_CORRUPT.
 */
export const partitionsOf = (root: string, topic: string): number => {
  const path = topicFile(root, topic);
  let text: string;
  try {
    if (statSync(path).size > 65_536) throw corrupt(path);
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (!absent(error)) throw error;
    const numbers = names(join(root, topic)).filter((name) => /^(0|[1-9]\d{0,4})$/.test(name));
    const used = numbers.filter((name) => dataFiles(join(root, topic, name)).length > 0).map(Number);
    return used.length === 0 ? 0 : Math.max(...used) + 1;
  }
  try {
    const { partitions } = JSON.parse(text) as { partitions?: unknown };
    if (Number.isInteger(partitions) && Number(partitions) >= 1 && Number(partitions) <= MAX_PARTITIONS)
      return Number(partitions);
  } catch {
    // Reported as any other unusable content.
  }
  throw corrupt(path);
};

const corrupt = (path: string): AttestreamError =>
  new AttestreamError('TRACE_CORRUPT', `${path} does not name a number of partitions`, { path });

/** Topics of a folder, sorted. */
export const topicsOf = (root: string): string[] =>
  names(root)
    .filter((name) => TOPIC.test(name) && (exists(topicFile(root, name)) || partitionsOf(root, name) > 0))
    .sort();

/** Every group's commit file for this partition number. */
export const commitFiles = (root: string, partition: number): string[] => {
  const state = join(root, STATE_FOLDER);
  return names(state).flatMap((group) =>
    names(join(state, group)).map((topic) => join(state, group, topic, String(partition), COMMIT_FILE)),
  );
};
