import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test } from '@jest/globals';
import { readCommit } from '../../infra/log/trace/commit-record.js';
import { type CommandRan, digestsOf, runCommand, succeed } from '../support/cli-run.js';
import { distProbe } from '../support/dist.js';
import { realPart } from '../support/real-part.js';
import { temporaryFolder } from '../support/tmp.js';
import { seededChoice, WORKLOAD_POLICY, writeWorkload } from '../support/workload.js';

const folder = temporaryFolder('kill');
const trace = join(folder, 'trace');
const policy = join(folder, 'policy.yaml');
const PARTITIONS = 3;

const replayInto = (state: string, ...more: string[]): string[] => [
  ...['replay', trace, '--policy', policy, '--output', 'ndjson', '--state', join(folder, state)],
  ...['--commit-every', '500', ...more],
];

/** How far the commits of all partitions have come. Taking a partition over moves nothing. */
const commits = (state: string): string =>
  Array.from(
    { length: PARTITIONS },
    (_, partition) => readCommit(join(folder, state, '.state/replay/memory', `${partition}`, 'COMMIT'))?.next ?? -1,
  ).join();

/** Runs until it has ended, killed `delay()` ms after each commit that is seen. Last run, and the number of kills. */
const runKilled = async (
  state: string,
  delay: () => number,
  ...more: string[]
): Promise<{ readonly ran: CommandRan; readonly kills: number }> => {
  for (let kills = 0; ; kills++) {
    const before = commits(state);
    let timer: NodeJS.Timeout | undefined;
    const ran = await runCommand(replayInto(state, ...more), {
      onStart: (child) => {
        timer = setInterval(() => {
          if (commits(state) === before) return;
          clearInterval(timer);
          setTimeout(() => child.kill('SIGKILL'), delay());
        }, 1);
      },
    });
    clearInterval(timer);
    if (ran.signal === null) return { ran, kills };
    expect(ran.signal).toBe('SIGKILL');
  }
};

type Delay = () => number;

const delays = (seed: number): Delay => {
  const choose = seededChoice(seed);
  return () => choose(40);
};

realPart('build', distProbe)('a replay that keeps its state', () => {
  let whole: CommandRan;
  beforeAll(async () => {
    const events = join(folder, 'calls.ndjson');
    writeWorkload(events, {
      seed: 8,
      events: 36_000,
      hosts: 9,
      processesPerHost: 4,
      perMille: { wrong: 3, late: 40, unknown: 10, pause: 1 },
    });
    writeFileSync(policy, WORKLOAD_POLICY);
    await succeed(['import', events, '--out', trace, '--partitions', `${PARTITIONS}`]);
    whole = await succeed(['replay', trace, '--policy', policy, '--output', 'ndjson'], [1]);
  }, 240_000);

  test('says the same as one that keeps nothing', async () => {
    const kept = await succeed(replayInto('kept'), [1]);
    expect(kept.stdout === whole.stdout).toBe(true);
    expect(digestsOf(kept)).toEqual(digestsOf(whole));
    // All is done: asked again it only tells.
    const again = await succeed(replayInto('kept'), [1]);
    expect(again.stdout === whole.stdout).toBe(true);
    expect(digestsOf(again)).toEqual(digestsOf(whole));
  });

  const ways: readonly (readonly [string, Delay, readonly string[]])[] = [
    ['at every commit', () => 0, []],
    ['some time after a commit', delays(3), []],
    ['among threads', delays(4), ['--workers', '2']],
  ];
  test.each(ways)(
    'says the same after having been killed %s',
    async (name, delay, more) => {
      const { ran, kills } = await runKilled(name.replaceAll(' ', '-'), delay, ...more);
      expect(kills).toBeGreaterThanOrEqual(more.length > 0 ? 4 : 10);
      expect(ran.code).toBe(1);
      expect(digestsOf(ran)).toEqual(digestsOf(whole));
      expect(ran.stdout === whole.stdout).toBe(true);
    },
    240_000,
  );

  test('is refused to another policy', async () => {
    const other = join(folder, 'other.yaml');
    writeFileSync(other, WORKLOAD_POLICY.replaceAll('<= 80', '<= 79'));
    const ran = await runCommand(['replay', trace, '--policy', other, '--state', join(folder, 'kept')]);
    expect(ran).toMatchObject({ code: 2, stdout: '' });
    expect(ran.stderr).toContain('STATE_MISMATCH');
  });
});
