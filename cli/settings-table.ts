/** One setting that flags, environment and configuration file share. */
export interface Setting {
  readonly describes: string;
  readonly type: 'string' | 'integer' | 'list';
  readonly secret?: true;
}

/** All settings. `log` is ATTESTREAM_LOG in the environment, `kafkaPassword` is ATTESTREAM_KAFKA_PASSWORD or …_FILE. */
export const SETTINGS = {
  log: { describes: 'the event log: kafka://HOST:PORT[,HOST:PORT] or a folder', type: 'string' },
  registry: { describes: 'URL of the schema registry, for Kafka', type: 'string' },
  prefix: { describes: 'prefix of topic names in Kafka', type: 'string' },
  partitions: { describes: 'partitions of topics that are created', type: 'integer' },
  kafkaUser: { describes: 'SASL user at the broker', type: 'string' },
  kafkaPassword: { describes: 'SASL password at the broker', type: 'string', secret: true },
  kafkaMechanism: { describes: 'SASL mechanism at the broker (default: scram-sha-256)', type: 'string' },
  clientConfig: { describes: 'file of further kafkajs client settings, JSON or YAML', type: 'string' },
  clickhouse: { describes: 'ClickHouse: embedded:DIR or http(s)://HOST:PORT/DATABASE', type: 'string' },
  clickhousePassword: { describes: 'password at ClickHouse', type: 'string', secret: true },
  policy: { describes: 'policy files', type: 'list' },
  tpm: { describes: 'the TPM: device:/dev/tpmrm0, unix:PATH or swtpm:HOST:PORT', type: 'string' },
  roots: { describes: 'folder of the certificates that makers of TPMs are known by', type: 'string' },
} as const satisfies Readonly<Record<string, Setting>>;

export type SettingName = keyof typeof SETTINGS;
export const SETTING_NAMES = Object.keys(SETTINGS) as SettingName[];

/** `kafkaPassword` → ATTESTREAM_KAFKA_PASSWORD */
export const variableOf = (name: SettingName): string =>
  `ATTESTREAM_${name.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`;
