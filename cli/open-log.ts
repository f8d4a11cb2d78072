import { readFileSync, statSync } from 'node:fs';
import type { Command } from 'commander';
import { parse } from 'yaml';
import type { EventLog } from '../infra/log/event-log.js';
import { type LogAddress, openByUri } from '../infra/log/open-by-uri.js';
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

/** What a log's URI and the settings around it come to: plain data, so that a worker thread can open the log too. */
export const logAddress = (uri: string, command: Command): LogAddress => {
  if (!uri.startsWith('kafka://')) return { uri };
  const registry = textSetting(command, 'registry');
  const prefix = textSetting(command, 'prefix');
  return {
    uri,
    clientConfig: clientConfig(command),
    ...(registry === undefined ? {} : { registry }),
    ...(prefix === undefined ? {} : { prefix }),
  };
};

/**
 * Opens `kafka://HOST:PORT[,HOST:PORT]` or a folder as a log.
 * @throws LOG_UNSUPPORTED, TRACE_NOT_FOUND, and what the kind of log throws when it cannot be reached
 */
export const openLog = (uri: string, { command, readOnly = false }: OpenLogOptions): Promise<EventLog> =>
  openByUri(logAddress(uri, command), {
    readOnly,
    onReport: ({ topic, partition, message }) =>
      outputOf(command).tell(`attestream: TRACE_TORN: ${uri} ${topic}/${partition}: ${message}`),
  });
