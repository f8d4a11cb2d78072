import { cpSync, existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test } from '@jest/globals';
import { readCommit } from '../../infra/log/trace/commit-record.js';
import { runCommand, succeed } from '../support/cli-run.js';
import { distProbe } from '../support/dist.js';
import { realPart } from '../support/real-part.js';
import { temporaryFolder } from '../support/tmp.js';
import { seededChoice, WORKLOAD_POLICY, writeWorkload } from '../support/workload.js';

const KILLS = 30;
const PARTITIONS = 24;

const folder = temporaryFolder('process-kill');
const policy = join(folder, 'policy.yaml');
const quiet = { trace: join(folder, 'quiet'), database: join(folder, 'quiet-db') };
const killed = { trace: join(folder, 'killed'), database: join(folder, 'killed-db') };

const processOnce = ({ trace, database }: typeof quiet): string[] => [
  ...['process', '--log', trace, '--clickhouse', `embedded:${database}`, '--policy', policy, '--once'],
];

/** Every position that any processor has committed, as one word. */
const positions = (trace: string): string => {
  const state = join(trace, '.state');
  if (!existsSync(state)) return '';
  return readdirSync(state, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('COMMIT'))
    .sort()
    .map((file) => `${file}:${readCommit(join(state, file))?.next ?? -1}`)
    .join();
};

/** One run, killed some milliseconds after the first commit that it makes. False if it came to its end. */
const runAndKill = async (delay: number): Promise<boolean> => {
  const before = positions(killed.trace);
  let timer: NodeJS.Timeout | undefined;
  const ran = await runCommand(processOnce(killed), {
    onStart: (child) => {
      timer = setInterval(() => {
        if (positions(killed.trace) === before) return;
        clearInterval(timer);
        setTimeout(() => child.kill('SIGKILL'), delay);
      }, 1);
    },
  });
  clearInterval(timer);
  return ran.signal === 'SIGKILL';
};

const verdicts = async ({ database }: typeof quiet): Promise<string> => {
  const ran = await succeed(['verdicts', '--clickhouse', `embedded:${database}`, '--output', 'ndjson']);
  return ran.stdout.trimEnd().split('\n').sort().join('\n');
};

realPart('build', distProbe)('the processors', () => {
  beforeAll(async () => {
    const events = join(folder, 'calls.ndjson');
    writeWorkload(events, {
      seed: 21,
      events: 40_000,
      hosts: 60,
      processesPerHost: 2,
      perMille: { wrong: 5, late: 20, unknown: 5, pause: 1 },
    });
    writeFileSync(policy, WORKLOAD_POLICY);
    await succeed(['import', events, '--out', quiet.trace, '--partitions', `${PARTITIONS}`]);
    cpSync(quiet.trace, killed.trace, { recursive: true });
    await succeed(processOnce(quiet));
  }, 60_000);

  test(`bring each verdict into ClickHouse once, killed ${KILLS} times while they write`, async () => {
    const choose = seededChoice(5);
    let kills = 0;
    while (kills < KILLS && (await runAndKill(choose(20)))) kills++;
    expect(kills).toBe(KILLS);
    // The last run goes on to the end, while others read what is there.
    const last = runCommand(processOnce(killed));
    let over = false;
    let readers = 0;
    void last.then(() => {
      over = true;
    });
    while (!over) {
      const read = await runCommand(['verdicts', '--clickhouse', `embedded:${killed.database}`, '--limit', '5']);
      if (read.code === 0) readers++;
    }
    expect((await last).code).toBe(0);
    expect(readers).toBeGreaterThan(0);

    const audit = ['db', 'audit', '--clickhouse', `embedded:${killed.database}`, '--log', killed.trace];
    const { tables } = JSON.parse((await succeed([...audit, '--output', 'json'])).stdout) as {
      tables: Record<string, { rows: number; duplicates: number; holes: number }>;
    };
    expect(tables['verdicts']!.rows).toBeGreaterThan(1000);
    for (const { duplicates, holes } of Object.values(tables))
      expect({ duplicates, holes }).toEqual({ duplicates: 0, holes: 0 });
    expect((await verdicts(killed)) === (await verdicts(quiet))).toBe(true);
  }, 240_000);
});
