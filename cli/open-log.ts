import { readFileSync, statSync } from 'node:fs';
import type { Command } from 'commander';
import { parse } from 'yaml';
import type { EventLog } from '../infra/log/event-log.js';
import { AttestreamError } from '../schemas/errors.js';
import { configurationOf, textSetting } from './configuration.js';
import { outputOf } from './output.js';

export interface OpenLogOptions {
  /** Whose settings say where registry and credentials are. */
  readonly command: Command;
  /** For reading only: a folder must be a trace already. Default: a folder is made where none is. */
  readonly readOnly?: boolean;
}

const MAX_CONFIG_BYTES = 1024 * 1024;

/** A file of kafkajs client settings (`ssl`, `sasl`, …), JSON or YAML. Throws CONFIG_INVALID. */
const readClientConfig = (path: string): Record<string, unknown> => {
  try {
    if (statSync(path).size > MAX_CONFIG_BYTES) throw new Error(`larger than ${MAX_CONFIG_BYTES} bytes`);
    const config: unknown = parse(readFileSync(path, 'utf8'), { maxAliasCount: 16 });
    if (typeof config !== 'object' || config === null || Array.isArray(config)) throw new Error('not a mapping');
    return config as Record<string, unknown>;
  } catch (cause) {
    throw new AttestreamError(
      'CONFIG_INVALID',
      `the client configuration cannot be used: ${(cause as Error).message}`,
      { path },
      { cause },
    );
  }
};

const clientConfig = (command: Command): Record<string, unknown> => {
  const settings = configurationOf(command);
  const file = textSetting(command, 'clientConfig');
  const username = settings.kafkaUser?.value;
  const password = settings.kafkaPassword?.value;
  return {
    ...(file === undefined ? {} : readClientConfig(file)),
    ...(username === undefined || password === undefined
      ? {}
      : { sasl: { mechanism: settings.kafkaMechanism?.value ?? 'scram-sha-256', username, password } }),
  };
};

/**
 * Opens `kafka://HOST:PORT[,HOST:PORT]` or a folder as a log.
 * @throws LOG_UNSUPPORTED, TRACE_NOT_FOUND, and what the kind of log throws when it cannot be reached
 */
export const openLog = async (uri: string, { command, readOnly = false }: OpenLogOptions): Promise<EventLog> => {
  if (uri.startsWith('kafka://')) {
    const { openKafka } = await import('../infra/log/kafka/kafka-log.js');
    const registry = textSetting(command, 'registry');
    const prefix = textSetting(command, 'prefix');
    return openKafka(uri, {
      clientConfig: clientConfig(command),
      ...(registry === undefined ? {} : { registry }),
      ...(prefix === undefined ? {} : { prefix }),
    });
  }
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(uri)?.[1];
  if (scheme !== undefined && scheme !== 'file')
    throw new AttestreamError('LOG_UNSUPPORTED', `${scheme}:// is no kind of log that is known`, { path: uri });
  const { openTrace } = await import('../infra/log/trace/trace-log.js');
  return openTrace(scheme === 'file' ? decodeURIComponent(new URL(uri).pathname) : uri, {
    readOnly,
    onReport: ({ topic, partition, message }) =>
      outputOf(command).tell(`attestream: TRACE_TORN: ${uri} ${topic}/${partition}: ${message}`),
  });
};
