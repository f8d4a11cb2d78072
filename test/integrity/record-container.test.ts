import { execFileSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { EventLog } from '../../infra/log/event-log.js';
import { memoryLog } from '../../infra/log/memory-log.js';
import { assignPolicy, withdrawAssignment } from '../../processors/run/assign-policy.js';
import { boottimeMicros } from '../../producers/identity/boottime.js';
import { memoryAgent, type WatchedContainer } from '../../producers/memory/agent.js';
import { AssignedPolicies } from '../../producers/memory/assigned/assigned-policies.js';
import { record } from '../../producers/memory/record/record.js';
import { decodeRecord } from '../../schemas/codec.js';
import { parsePolicy } from '../../schemas/policy/parse.js';
import type { Gap, Look, ProcessEvent, RecordName, StreamOpened } from '../../schemas/records.js';
import { pinnedKeys } from '../../schemas/signed.js';
import { noCompiler } from '../support/device.js';
import { type DockerEngine, dockerProbe, layRoot, startDocker } from '../support/docker.js';
import { realPart } from '../support/real-part.js';
import { cli } from '../support/run-cli.js';
import '../support/source-threads.js';
import { temporaryFolder } from '../support/tmp.js';

const folder = temporaryFolder('record-container');

/** Starts a worker each half second: it works for a while as itself, then as another program. */
const MAIN = `#include <sys/wait.h>
#include <unistd.h>
void supervise(int round) { usleep(500000); (void)round; }
void prepare(int id) { usleep(400000); (void)id; }
int main(void) { for (int i = 0;; i++) { if (fork() == 0) { prepare(i); execl("/helper", "helper", (char *)0); _exit(1); } supervise(i); while (waitpid(-1, 0, WNOHANG) > 0) ; } }`;
const HELPER = `#include <unistd.h>
void help(int times) { usleep(500000); (void)times; } int main(void) { help(3); return 0; }`;

type Told = { readonly name: RecordName; readonly value: ProcessEvent & Look & StreamOpened };

/** A log that shows what is written to it. */
const shown = (): { readonly log: EventLog; readonly told: Told[] } => {
  const log = memoryLog();
  const told: Told[] = [];
  const append = log.append.bind(log);
  log.append = (to, entries) => {
    for (const { schema, value } of entries) {
      const name = log.schemas.at(schema).record!;
      told.push({ name, value: decodeRecord(name, value!) as Told['value'] });
    }
    return append(to, entries);
  };
  return { log, told };
};

const policy = parsePolicy(
  `{ id: c, image: "supervisor*", functions: { supervise: { parameters: { round: clear } }, help: { parameters: { times: clear } } }, machine: { initial: a, states: { a: { on: { supervise: a, help: a } } } } }`,
  'c.yaml',
);

/** The agent's part at work, with the policy in force for every container. */
const watching = (log: EventLog, named: () => readonly WatchedContainer[], looks: number, stop: AbortSignal) => {
  const part = memoryAgent({
    containers: async () => named(),
    policies: {
      basis: '',
      rebase: '',
      follow: async (_context, ready) => ready(),
      of: () => ({ policies: [policy], ofBinary: false, waiting: false }),
    },
    budget: { looks, cpu: 0.2 },
    agent: 'test',
    partitions: 1,
  });
  const offset = Date.now() * 1000 - boottimeMicros();
  const identity = { host: 'h', boot: 'b', stream: Buffer.alloc(32, 7) };
  return { part, running: part.run({ log, ...identity, now: () => boottimeMicros() + offset, stop }) };
};

realPart('docker', () => (noCompiler === '' ? dockerProbe() : noCompiler))('recording containers', () => {
  let engine: DockerEngine;
  let first = '';
  let second = '';
  beforeAll(async () => {
    for (const [name, source] of [
      ['main', MAIN],
      ['helper', HELPER],
    ] as const) {
      writeFileSync(join(folder, `${name}.c`), source);
      execFileSync('gcc', ['-O0', '-g', '-o', join(folder, name), join(folder, `${name}.c`)]);
    }
    const root = join(folder, 'root');
    layRoot(root, { '/main': join(folder, 'main'), '/helper': join(folder, 'helper') });
    engine = await startDocker();
    engine.importImage('supervisor:1', root);
    first = engine.run('supervisor:1', { name: 'first' }, '/main');
    second = engine.run('supervisor:1', { name: 'second' }, '/main');
  }, 60_000);
  afterAll(() => engine?.stop(), 30_000);

  test('all processes of one container are recorded, with container and image, and nothing of another', async () => {
    const { log, told } = shown();
    const recorded = await record({
      container: first,
      image: 'supervisor:1',
      policy,
      log,
      for: 4_000_000,
      budget: 200,
    });
    expect(recorded.processes).toBeGreaterThanOrEqual(4);
    expect(recorded.ended).toBe(false);
    const events = told.filter(({ name }) => name === 'ProcessEvent').map(({ value }) => value);
    for (const event of events) expect(event).toMatchObject({ container: first, image: 'supervisor:1' });
    expect(events[0]).toMatchObject({ kind: 'found', binary: '/main', beginning: false });
    const forked = events.filter(({ kind }) => kind === 'fork');
    expect(forked.length).toBeGreaterThanOrEqual(3);
    for (const { parent } of forked) expect(parent).toBe(recorded.process);
    const whole = forked.find(({ process }) =>
      events.some((event) => event.process === process && event.kind === 'gone'),
    )!;
    expect(events.filter(({ process }) => process === whole.process).map(({ kind, binary }) => [kind, binary])).toEqual(
      [
        ['fork', '/main'],
        ['exec', '/helper'],
        ['gone', '/helper'],
      ],
    );
    const frames = told
      .filter(({ name }) => name === 'Look')
      .flatMap(({ value }) => value.threads.flatMap((thread) => thread.frames));
    for (const name of ['supervise', 'prepare', 'help'])
      expect(frames.some((frame) => frame.function === name)).toBe(true);
    expect(frames.find((frame) => frame.function === 'help')!.parameters).toMatchObject([{ name: 'times', int: 3 }]);
  });

  test('a policy for another image releases nothing', async () => {
    const { log, told } = shown();
    await record({ container: first, image: 'other:1', policy, log, for: 600_000, budget: 200 });
    const parameters = told.flatMap(({ value }) =>
      (value.threads ?? []).flatMap(({ frames }) => frames.flatMap((frame) => frame.parameters)),
    );
    expect(parameters).toEqual([]);
  });

  test('the command takes a container by its name', async () => {
    const trace = join(folder, 'trace');
    const how = ['--survey', '--out', trace, '--for', '400ms', '--docker-host', engine.host, '--output', 'json'];
    const ran = await cli(['record', '--container', 'second', ...how]);
    expect({ code: ran.code, stderr: ran.code === 0 ? '' : ran.stderr }).toEqual({ code: 0, stderr: '' });
  });

  test('the agent watches several containers on one stream, and lets those go that are no longer named', async () => {
    const { log, told } = shown();
    const stop = new AbortController();
    const image = 'supervisor:1';
    let named = [
      { id: first, name: 'first', image },
      { id: second, name: 'second', image },
    ];
    const { part, running } = watching(log, () => named, 50, stop.signal);
    await new Promise((resolve) => setTimeout(resolve, 2000));
    named = named.slice(0, 1);
    await new Promise((resolve) => setTimeout(resolve, 1600));
    stop.abort();
    await running;
    expect(told[0]).toMatchObject({ name: 'StreamOpened', value: { kind: 'agent' } });
    expect(told.map(({ value }) => value.seq)).toEqual(told.map((_, seq) => seq));
    const containers = new Set(told.filter(({ name }) => name === 'ProcessEvent').map(({ value }) => value.container));
    expect(containers).toEqual(new Set([first, second]));
    const looks = told.filter(({ name }) => name === 'Look');
    expect(new Set(looks.map(({ value }) => value.process)).size).toBeGreaterThanOrEqual(4);
    expect(told.some(({ name, value }) => name === 'Gap' && (value as unknown as Gap).reason === 'NOT_WATCHED')).toBe(
      true,
    );
    expect(part.head()).toMatchObject({ topic: 'memory', seq: told.length - 1 });
  });

  test('a container that ended between two looks is told of as ended, not as one that is watched no longer', async () => {
    const { log, told } = shown();
    const stop = new AbortController();
    const brief = engine.run('supervisor:1', { name: 'brief' }, '/main');
    let named = [{ id: brief, name: 'brief', image: 'supervisor:1' }];
    const { running } = watching(log, () => named, 0.1, stop.signal);
    const events = (kind: string) => told.filter(({ name, value }) => name === 'ProcessEvent' && value.kind === kind);
    for (let i = 0; i < 100 && events('found').length === 0; i++)
      await new Promise((resolve) => setTimeout(resolve, 20));
    engine.docker('rm', '-f', 'brief');
    named = [];
    for (let i = 0; i < 100 && events('gone').length === 0; i++)
      await new Promise((resolve) => setTimeout(resolve, 20));
    stop.abort();
    await running;
    const first = events('found')[0]!.value.process;
    expect(events('gone').map(({ value }) => value.process)).toContain(first);
    expect(told.filter(({ name }) => name === 'Gap')).toEqual([]);
  });

  test('each program of a container is read by its own policies, and rebased assignments reach what runs', async () => {
    const { log, told } = shown();
    for (const topic of ['measurements', 'memory', 'policies']) await log.createTopic(topic, 1);
    const key = generateKeyPairSync('ed25519').privateKey;
    const assign = (id: string, binary: string, functions: string): Promise<unknown> => {
      const machine = '{ initial: a, states: { a: {} } }';
      const given = parsePolicy(`{ id: ${id}, binary: ${binary}, functions: ${functions}, machine: ${machine} }`, id);
      return assignPolicy({ log, key, id, policy: given, selector: `container=${first}`, rebase: true });
    };
    await assign('main', '/main', '{ supervise: { parameters: { round: clear } } }');
    await assign('helper', '/helper', '{ help: { parameters: { times: clear } } }');
    const image = 'supervisor:1';
    const stop = new AbortController();
    const part = memoryAgent({
      containers: async () => [first, second].map((id) => ({ id, name: id, image })),
      policies: new AssignedPolicies({ keys: pinnedKeys([key]) }),
      budget: { looks: 100, cpu: 0.5 },
      agent: 'test',
    });
    const offset = Date.now() * 1000 - boottimeMicros();
    const identity = { host: 'h', boot: 'b', stream: Buffer.alloc(32, 8) };
    const running = part.run({ log, ...identity, now: () => boottimeMicros() + offset, stop: stop.signal });
    const values = (from: number): Set<string> =>
      new Set(
        told
          .slice(from)
          .filter(({ name }) => name === 'Look')
          .flatMap(({ value }) => value.threads.flatMap(({ frames }) => frames))
          .flatMap(({ function: called, parameters }) =>
            parameters.filter(({ int }) => int !== null).map(({ name }) => `${called} ${name}`),
          ),
      );
    const until = async (holds: () => boolean): Promise<void> => {
      for (let i = 0; i < 100 && !holds(); i++) await new Promise((resolve) => setTimeout(resolve, 50));
    };
    const both = new Set(['supervise round', 'help times']);
    await until(() => values(0).size === 2);
    expect(values(0)).toEqual(both);
    const containers = told.filter(({ name }) => name === 'ProcessEvent').map(({ value }) => value.container);
    expect(new Set(containers)).toEqual(new Set([first]));

    await assign('main', '/main', '{ supervise: {} }');
    await new Promise((resolve) => setTimeout(resolve, 1500));
    let from = told.length;
    await until(() => values(from).size > 0);
    await new Promise((resolve) => setTimeout(resolve, 1000));
    expect(values(from)).toEqual(new Set(['help times']));
    const gaps = (): number => told.filter(({ name }) => name === 'Gap').length;
    expect(gaps()).toBe(0);

    for (const id of ['main', 'helper']) await withdrawAssignment({ log, key, id });
    await until(() => gaps() > 0);
    await new Promise((resolve) => setTimeout(resolve, 500));
    from = told.length;
    await new Promise((resolve) => setTimeout(resolve, 700));
    expect(told.slice(from)).toEqual([]);
    await assign('main', '/main', '{ supervise: { parameters: { round: clear } } }');
    await until(() => values(from).size > 0);
    expect(values(from)).toEqual(new Set(['supervise round']));
    stop.abort();
    await running;
    const ours = told.filter(({ value }) => value.stream?.equals(identity.stream));
    expect(ours.map(({ value }) => value.seq)).toEqual(ours.map((_, seq) => seq));
  }, 30_000);
});
