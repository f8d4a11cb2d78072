import kafkajs, { type Kafka, type KafkaConfig, type LogEntry } from 'kafkajs';
import { AttestreamError } from '../../../schemas/errors.js';

/** As pino has it. */
export interface KafkaLogger {
  debug(details: object, message: string): void;
  warn(details: object, message: string): void;
}

export interface ClientOptions {
  /** Passed to kafkajs as they are: `ssl`, `sasl`, `clientId`, timeouts. */
  readonly clientConfig?: Readonly<Record<string, unknown>>;
  readonly logger?: KafkaLogger;
}

/** Brokers of `kafka://HOST:PORT[,HOST:PORT]`. Throws USAGE. */
export const brokersOf = (uri: string): string[] => {
  const match = /^kafka:\/\/([^/?#]+)\/?$/.exec(uri);
  const brokers = (match?.[1] ?? '').split(',');
  for (const broker of brokers) {
    const port = Number(/^(?:[\w.-]+):(\d{1,5})$/.exec(broker)?.[1]);
    if (!(port > 0 && port < 65_536))
      throw new AttestreamError(
        'USAGE',
        `${uri} is no address of a Kafka cluster; it looks like kafka://HOST:9092,HOST:9092`,
      );
  }
  return brokers;
};

/**
 * The client under all connections. It is quick to give up, because what is worth repeating is repeated above it, where it is known
 * how long. Its own errors are mostly about repetitions: they are told as warnings.
 */
export const kafkaClient = (uri: string, { clientConfig = {}, logger }: ClientOptions): Kafka => {
  const { Kafka: Client, logLevel } = kafkajs;
  const level = logger === undefined ? logLevel.NOTHING : logLevel.WARN;
  const logCreator = () => (entry: LogEntry) => {
    const { message, timestamp: _, ...details } = entry.log;
    if (entry.level <= logLevel.ERROR) logger?.warn(details, `kafka: ${message}`);
    else logger?.debug(details, `kafka: ${message}`);
  };
  return new Client({
    clientId: 'attestream',
    connectionTimeout: 2000,
    authenticationTimeout: 5000,
    requestTimeout: 30_000,
    retry: { initialRetryTime: 50, maxRetryTime: 1000, retries: 4 },
    ...(clientConfig as Partial<KafkaConfig>),
    brokers: brokersOf(uri),
    logLevel: level,
    logCreator,
  });
};
