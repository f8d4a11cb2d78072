import type { Command } from 'commander';
import { connect, type Store } from '../infra/clickhouse/connect.js';
import { requiredSetting } from './configuration.js';
import { ioOf } from './io.js';

/** The ClickHouse that --clickhouse, the environment or the configuration file names. */
export const openStore = (command: Command): Promise<Store> => {
  const { env } = ioOf(command);
  return connect(requiredSetting(command, 'clickhouse'), { environment: env });
};
