import { AttestreamError } from '../../schemas/errors.js';
import type { Damage, EventLog, Partition } from './event-log.js';

/** All that is needed to open a log anew, in another thread too: plain data. */
export interface LogAddress {
  /** `kafka://HOST:PORT[,HOST:PORT]`, `file:///…` or a folder. */
  readonly uri: string;
  readonly registry?: string;
  readonly prefix?: string;
  /** kafkajs client settings. */
  readonly clientConfig?: Readonly<Record<string, unknown>>;
}

export interface OpenOptions {
  /** A folder must be a trace already, and nothing is written. */
  readonly readOnly?: boolean;
  readonly onReport?: (damage: Damage & Partition) => void;
}

/** Opens what the address names. Throws LOG_UNSUPPORTED, TRACE_NOT_FOUND, and what the kind of log throws if it cannot be reached. */
export const openByUri = async (address: LogAddress, options: OpenOptions = {}): Promise<EventLog> => {
  const { uri, ...kafka } = address;
  if (uri.startsWith('kafka://')) {
    const { openKafka } = await import('./kafka/kafka-log.js');
    return openKafka(uri, kafka);
  }
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(uri)?.[1];
  if (scheme !== undefined && scheme !== 'file')
    throw new AttestreamError('LOG_UNSUPPORTED', `${scheme}:// is no kind of log that is known`, { path: uri });
  const { openTrace } = await import('./trace/trace-log.js');
  return openTrace(scheme === 'file' ? decodeURIComponent(new URL(uri).pathname) : uri, options);
};
