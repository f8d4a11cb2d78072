import { copyFileSync, existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import kafkajs from 'kafkajs';
import { cacheFolder, freePort, run, type Service, startJava, untilReady } from './jvm.js';

const { Kafka, logLevel } = kafkajs;
const VERSION = '4.3.1';
const parts = new URL('./broker/', import.meta.url);

/** One Kafka node (broker and controller) on the loopback, for tests and trials: no security, one replica. */
export interface LocalBroker {
  /** kafka://127.0.0.1:PORT */
  readonly uri: string;
  readonly port: number;
  readonly pid: number;
  stop(): Promise<void>;
  /** Ends it as a power cut would; `start` brings it back with its data. */
  kill(): Promise<void>;
  start(): Promise<void>;
}

/** Folder with Kafka's jars, fetched by Maven at first use (28 MB). */
export const brokerLibraries = async (): Promise<string> => {
  const libs = cacheFolder(`kafka-${VERSION}`, 'libs');
  if (existsSync(libs)) return libs;
  mkdirSync(cacheFolder(`kafka-${VERSION}`), { recursive: true });
  const work = mkdtempSync(cacheFolder(`kafka-${VERSION}`, 'fetch-'));
  try {
    copyFileSync(new URL('pom.xml', parts), join(work, 'pom.xml'));
    await run(
      'mvn',
      ['-q', '-B', 'dependency:copy-dependencies', '-DincludeScope=runtime', '-DoutputDirectory=libs'],
      work,
    );
    // Whoever comes second finds the folder in place.
    if (!existsSync(libs)) renameSync(join(work, 'libs'), libs);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return libs;
};

/** Short timeouts let a killed broker come back within seconds; single partitions of internal topics make the start fast. */
const properties = (port: number, controller: number, data: string): string =>
  Object.entries({
    'process.roles': 'broker,controller',
    'node.id': 1,
    'controller.quorum.bootstrap.servers': `127.0.0.1:${controller}`,
    listeners: `PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controller}`,
    'advertised.listeners': `PLAINTEXT://127.0.0.1:${port}`,
    'inter.broker.listener.name': 'PLAINTEXT',
    'controller.listener.names': 'CONTROLLER',
    'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT',
    'log.dirs': data,
    'auto.create.topics.enable': false,
    'num.partitions': 1,
    'num.network.threads': 2,
    'num.io.threads': 2,
    'group.initial.rebalance.delay.ms': 0,
    'offsets.topic.num.partitions': 1,
    'offsets.topic.replication.factor': 1,
    'transaction.state.log.num.partitions': 1,
    'transaction.state.log.replication.factor': 1,
    'transaction.state.log.min.isr': 1,
    'share.coordinator.state.topic.replication.factor': 1,
    'share.coordinator.state.topic.min.isr': 1,
    'broker.session.timeout.ms': 1000,
    'broker.heartbeat.interval.ms': 200,
    'controller.quorum.election.timeout.ms': 200,
    'controller.quorum.election.backoff.max.ms': 200,
    'controller.quorum.fetch.timeout.ms': 500,
    // The cleaner's default buffer does not fit into a small heap.
    'log.cleaner.dedupe.buffer.size': 8 * 1024 * 1024,
  })
    .map(([key, value]) => `${key}=${value}`)
    .join('\n');

const answers = async (port: number): Promise<boolean> => {
  const admin = new Kafka({
    brokers: [`127.0.0.1:${port}`],
    connectionTimeout: 300,
    retry: { retries: 0 },
    logLevel: logLevel.NOTHING,
  }).admin();
  try {
    await admin.connect();
    const { brokers, controller } = await admin.describeCluster();
    return brokers.length > 0 && controller !== null && controller >= 0;
  } finally {
    await admin.disconnect();
  }
};

/** Starts a broker on free ports with data in a folder of its own, removed by `stop`. Needs java 17 and mvn. Throws LOCAL_PART_FAILED. */
export const startLocalBroker = async (): Promise<LocalBroker> => {
  const libs = await brokerLibraries();
  const folder = mkdtempSync(join(tmpdir(), 'attestream-kafka-'));
  const [port, controller] = [await freePort(), await freePort()];
  const file = join(folder, 'server.properties');
  const logFile = join(folder, 'server.log');
  writeFileSync(file, properties(port, controller, join(folder, 'data')));
  const jvm = ['-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC', '-cp', `${libs}/*`];
  const log4j = `-Dlog4j2.configurationFile=${new URL('log4j2.properties', parts).pathname}`;
  let service: Service | undefined;
  const start = async (): Promise<void> => {
    service = startJava(
      ['-Xms128m', '-Xmx256m', '-XX:+UseSerialGC', '-cp', `${libs}/*`, log4j, 'kafka.Kafka', file],
      folder,
      logFile,
    );
    await untilReady('the local Kafka broker', service, logFile, 60_000, () => answers(port));
  };
  try {
    const format = ['format', '--standalone', '-t', 'AAAAAAAAAAAAAAAAAAAAAQ', '-c', file];
    await run('java', ['-Xmx128m', ...jvm, log4j, 'kafka.tools.StorageTool', ...format], folder);
    await start();
  } catch (error) {
    rmSync(folder, { recursive: true, force: true });
    throw error;
  }
  return {
    uri: `kafka://127.0.0.1:${port}`,
    port,
    get pid() {
      return service?.pid ?? -1;
    },
    start,
    async kill() {
      await service?.kill();
    },
    async stop() {
      await service?.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
};
