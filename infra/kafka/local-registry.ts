import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cacheFolder, freePort, run, startJava, untilReady } from './jvm.js';

const VERSION = '3.0.9';

/** A schema registry with the Confluent API on the loopback, its schemas in memory. */
export interface LocalRegistry {
  /** Address of the Confluent API. */
  readonly url: string;
  readonly pid: number;
  stop(): Promise<void>;
}

/** Folder with the unpacked registry, fetched by Maven at first use (109 MB). */
export const registryApplication = async (): Promise<string> => {
  const parent = cacheFolder(`apicurio-${VERSION}`);
  const application = join(parent, 'application');
  if (existsSync(application)) return application;
  mkdirSync(parent, { recursive: true });
  const work = mkdtempSync(join(parent, 'fetch-'));
  try {
    const artifact = `io.apicurio:apicurio-registry-app:${VERSION}:tar.gz:all`;
    await run('mvn', ['-q', '-B', 'dependency:copy', `-Dartifact=${artifact}`, '-DoutputDirectory=.'], work);
    mkdirSync(join(work, 'application'));
    await run('tar', ['-xzf', `apicurio-registry-app-${VERSION}-all.tar.gz`, '-C', 'application'], work);
    if (!existsSync(application)) renameSync(join(work, 'application'), application);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return application;
};

/** Starts a registry on a free port; nothing is kept after `stop`. Needs java 17, mvn and tar. Throws LOCAL_PART_FAILED. */
export const startLocalRegistry = async (): Promise<LocalRegistry> => {
  const application = await registryApplication();
  const folder = mkdtempSync(join(tmpdir(), 'attestream-registry-'));
  const port = await freePort();
  const logFile = join(folder, 'registry.log');
  const flags = ['-Xms128m', '-Xmx384m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1'];
  const service = startJava(
    [...flags, '-jar', join(application, `apicurio-registry-app-${VERSION}-runner.jar`)],
    folder,
    logFile,
    { QUARKUS_HTTP_HOST: '127.0.0.1', QUARKUS_HTTP_PORT: String(port) },
  );
  await untilReady('the local schema registry', service, logFile, 60_000, async () => {
    const response = await fetch(`http://127.0.0.1:${port}/health/ready`, { signal: AbortSignal.timeout(1000) });
    await response.arrayBuffer();
    return response.ok;
  });
  return {
    url: `http://127.0.0.1:${port}/apis/ccompat/v7`,
    pid: service.pid,
    async stop() {
      await service.kill();
      rmSync(folder, { recursive: true, force: true });
    },
  };
};
