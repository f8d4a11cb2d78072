import { execFile } from 'node:child_process';
import { cpSync, existsSync, mkdirSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** 30 M events are where Flink is warm; the best of the repetitions after the first counts. */
const EVENTS = 30_000_000;
const REPETITIONS = 2;

export type Peer = { readonly missing: string } | { readonly eventsPerCore: number };

/** The nearest folder above that holds the peers' sources: this file runs as it is and from dist/. */
const sources = (): string | null => {
  for (const up of ['.', '..', '../..']) {
    const folder = fileURLToPath(new URL(`${up}/bench/peers/flink`, import.meta.url));
    if (existsSync(folder)) return folder;
  }
  return null;
};

/** Fetches Flink through Maven at the first time, compiles the job and runs it. Says what is missing where it cannot. */
export const runFlink = async (): Promise<Peer> => {
  const source = sources();
  if (source === null) return { missing: 'bench/peers/flink is not part of this installation' };
  const folder = join(source, '../../../.cache/bench-peers/flink');
  try {
    mkdirSync(folder, { recursive: true });
    cpSync(source, folder, { recursive: true });
    if (!existsSync(join(folder, 'lib')))
      await run('mvn', ['-q', '-B', 'dependency:copy-dependencies', '-DoutputDirectory=lib'], {
        cwd: folder,
        timeout: 300_000,
      });
    await run('javac', ['-cp', 'lib/*', '-d', 'classes', 'src/StateMachineJob.java'], { cwd: folder, timeout: 60_000 });
  } catch (error) {
    const { code, message, stderr } = error as NodeJS.ErrnoException & { stderr?: string };
    if (code === 'ENOENT') return { missing: `no Maven or no JDK here (${message})` };
    return { missing: `Flink could not be fetched or compiled: ${(stderr || message).trim().split('\n')[0]}` };
  }
  try {
    const { stdout } = await run(
      'java',
      ['-cp', ['classes', 'lib/*'].join(delimiter), 'StateMachineJob', String(EVENTS), String(REPETITIONS)],
      { cwd: folder, timeout: 180_000 },
    );
    const measured = stdout
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line) as { events: number; cpu: number })
      .slice(1)
      .map(({ events, cpu }) => events / cpu);
    if (measured.length === 0) return { missing: 'its job printed no figure' };
    return { eventsPerCore: Math.max(...measured) };
  } catch (error) {
    return { missing: `its job failed: ${(error as Error).message.split('\n')[0]}` };
  }
};
