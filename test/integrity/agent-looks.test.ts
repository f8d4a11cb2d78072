import { execFileSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { openTrace } from '../../infra/log/trace/trace-log.js';
import { typedRecords } from '../../infra/log/typed-records.js';
import { encodeRecord } from '../../schemas/codec.js';
import { CHAIN_START, nextChainHead } from '../../schemas/event-chain.js';
import type { Look, ProcessEvent, RecordName, Verdict } from '../../schemas/records.js';
import { noCompiler } from '../support/device.js';
import { type DockerEngine, dockerProbe, layRoot, startDocker } from '../support/docker.js';
import { realPart } from '../support/real-part.js';
import { cli, type Ran } from '../support/run-cli.js';
import '../support/source-threads.js';
import { type TestTpm, testTpm, withSwtpm } from '../support/swtpm.js';
import { temporaryFolder } from '../support/tmp.js';

const folder = temporaryFolder('agent-looks');
const at = (name: string): string => join(folder, name);
const LOG = ['--log', at('trace')];
const JSON_OUT = ['--output', 'json'];

/** Pumps for ever; knows a code that must not leave. */
const PUMP = `#include <unistd.h>
void pump(int level, const char *code) { usleep(40000); (void)level; (void)code; }
int main(void) { for (;;) pump(42, "0451"); }`;
const policyText = (parameters: string): string =>
  `{ id: pump, image: "pump:*", binary: /pump, functions: { pump: { parameters: ${parameters} } }, machine: { initial: a, states: { a: { on: { pump: a } } } } }`;

const keyPair = (name: string): void => {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  writeFileSync(at(`${name}.pem`), privateKey.export({ type: 'pkcs8', format: 'pem' }));
  writeFileSync(at(`${name}.pub`), publicKey.export({ type: 'spki', format: 'pem' }));
};

const until = async <T>(look: () => Promise<T | undefined>, what: string): Promise<T> => {
  for (let i = 0; i < 100; i++) {
    const found = await look();
    if (found !== undefined) return found;
    await delay(150);
  }
  throw new Error(`${what}: it did not come`);
};

const records = async <N extends RecordName>(topic: string, ...names: readonly N[]) => {
  const log = await openTrace(at('trace'), { readOnly: true });
  try {
    const found = [];
    for (const [partition, { first, end }] of (await log.bounds(topic)).entries())
      for await (const one of typedRecords(log, { topic, partition }, names, first, end)) found.push(one);
    return found;
  } finally {
    await log.close();
  }
};

const processes = async (container: string): Promise<string[]> =>
  (await records('memory', 'ProcessEvent'))
    .filter(({ record }) => (record as ProcessEvent).container === container)
    .map(({ record }) => (record as ProcessEvent).process);

/** Values of `pump` that were seen in a container, by parameter. */
const seen = async (container: string): Promise<Map<string, unknown>> => {
  const ours = new Set(await processes(container));
  const values = new Map<string, unknown>();
  for (const { record } of await records('memory', 'Look'))
    if (ours.has((record as Look).process))
      for (const { function: name, parameters } of (record as Look).threads.flatMap(({ frames }) => frames))
        if (name === 'pump')
          for (const { name: parameter, int, text } of parameters) values.set(parameter, int ?? text);
  return values;
};

const inDocker = realPart('docker', () => (noCompiler === '' ? dockerProbe() : noCompiler));

withSwtpm('the agent of a host with containers', () =>
  inDocker('looks as assignments say', () => {
    const stop = new AbortController();
    const running: Promise<Ran>[] = [];
    let engine: DockerEngine;
    let tpm: TestTpm;

    const container = (name: string): string => engine.run('pump:1', { name }, '/pump');
    const assign = async (policy: string, key: string, ...more: readonly string[]): Promise<Ran> =>
      cli(['policy', 'assign', at(policy), ...LOG, '--key', at(`${key}.pem`), ...more, ...JSON_OUT]);
    const agent = () => {
      const ending = new AbortController();
      const trust = ['--trust', at('verifier.pub'), '--trust', at('operator.pub')];
      const flags = ['--state', at('run'), '--min-interval', '1ms', '--docker-host', engine.host, '--budget', '100/s'];
      const ran = cli(['agent', ...LOG, '--tpm', tpm.address, ...trust, ...flags, '--cpu', '0.2'], {}, ending.signal);
      running.push(ran);
      return {
        end: () => {
          ending.abort();
          return ran;
        },
      };
    };

    beforeAll(async () => {
      for (const name of ['verifier', 'operator', 'stranger']) keyPair(name);
      writeFileSync(at('pump.c'), PUMP);
      execFileSync('gcc', ['-O0', '-g', '-o', at('pump'), at('pump.c')]);
      layRoot(at('root'), { '/pump': at('pump') });
      writeFileSync(at('pump.yaml'), policyText('{ level: clear }'));
      writeFileSync(at('greedy.yaml'), policyText('{ level: clear, code: clear }'));
      [engine, tpm] = await Promise.all([startDocker(), testTpm(folder)]);
      engine.importImage('pump:1', at('root'));
      await cli(['topics', 'create', ...LOG, '--partitions', '2']);
      await cli(['roots', 'add', tpm.rootCertificate, tpm.issuerCertificate, '--roots', at('roots')]);
    }, 60_000);
    afterAll(async () => {
      stop.abort();
      await Promise.all(running);
      await engine?.stop();
    }, 30_000);

    test('of operators, and of nobody else', async () => {
      const controller = ['--controller', at('verifier.pem'), '--trust', at('operator.pub'), '--roots', at('roots')];
      running.push(cli(['process', ...LOG, '--only', 'startup', '--tick', '200ms', ...controller], {}, stop.signal));
      const trust = ['--trust', at('verifier.pub')];
      const enrolling = cli(['host', 'enrol', ...LOG, '--tpm', tpm.address, ...trust, '--wait', '20s', ...JSON_OUT]);
      const ek = await until(async () => {
        const { stdout } = await cli(['host', 'list', ...LOG, ...trust, ...JSON_OUT]);
        return (JSON.parse(stdout) as { ek: string }[])[0]?.ek;
      }, 'the request');
      await cli(['host', 'approve', ek, '--label', 'gateway', '--key', at('operator.pem'), ...LOG]);
      const { host } = JSON.parse((await enrolling).stdout) as { host: string };

      // --- a stranger's assignment, and that of an operator for other hosts, release nothing
      const first = container('first');
      const before = agent();
      expect(await assign('greedy.yaml', 'stranger', '--id', 'greedy')).toMatchObject({ code: 0 });
      expect(await assign('greedy.yaml', 'operator', '--id', 'elsewhere', '--selector', 'host=0000*')).toMatchObject({
        code: 0,
      });
      await delay(1500);
      expect(await records('memory', 'StreamOpened', 'ProcessEvent', 'Look')).toEqual([]);

      // --- the operator's does, and only what it clears
      expect(await assign('pump.yaml', 'operator', '--selector', `host=${host},image=pump:*`)).toMatchObject({
        code: 0,
      });
      const values = await until(async () => {
        const values = await seen(first);
        return values.get('level') === undefined ? undefined : values;
      }, 'looks at the first container');
      expect(values).toEqual(
        new Map<string, unknown>([
          ['level', 42],
          ['code', 'not released by the policy'],
        ]),
      );

      // --- a container that starts later
      const second = container('second');
      await until(async () => ((await seen(second)).get('level') === 42 ? true : undefined), 'looks at the second one');

      // --- evidence covers the looks
      const evidence = await until(async () => {
        const all = await records('measurements', 'Evidence');
        return all
          .map(({ record }) => record)
          .find(({ heads }) => heads.some(({ topic, seq }) => topic === 'memory' && seq > 50));
      }, 'evidence of the memory stream');
      const head = evidence.heads.find(({ topic }) => topic === 'memory')!;
      const log = await openTrace(at('trace'), { readOnly: true });
      let chain: Buffer = CHAIN_START;
      const told = await records('memory', 'StreamOpened', 'ProcessEvent', 'Look', 'Gap');
      for (const { name, record } of told) {
        if (record.seq > head.seq) continue;
        const { fingerprint } = log.schemas.at(log.schemas.current(name));
        chain = nextChainHead(chain, record.seq, 'memory', fingerprint, encodeRecord(name, record));
      }
      await log.close();
      expect(chain.toString('hex')).toBe(head.head.toString('hex'));

      // --- a container that ends
      engine.docker('rm', '-f', 'second');
      await until(async () => {
        const events = (await records('memory', 'ProcessEvent')).map(({ record }) => record);
        return events.find((event) => event.container === second && event.kind === 'gone');
      }, 'the end of the second container');

      // --- withdrawn: nothing of new containers, and running ones keep it
      expect(await cli(['policy', 'withdraw', 'pump', ...LOG, '--key', at('operator.pem')])).toMatchObject({ code: 0 });
      await delay(300);
      const third = container('third');
      const looks = (await records('memory', 'Look')).length;
      await delay(1600);
      expect(await processes(third)).toEqual([]);
      expect((await records('memory', 'Look')).length).toBeGreaterThan(looks);

      // --- assigned anew: found again by an agent that starts later
      expect(await assign('pump.yaml', 'operator')).toMatchObject({ code: 0 });
      await until(async () => ((await seen(third)).get('level') === 42 ? true : undefined), 'looks at the third one');
      const ended = await before.end();
      expect(ended.stderr).toContain('RECORD_UNSIGNED: assignment "greedy" is not signed by a pinned key');
      expect(ended).toMatchObject({ code: 0, stderr: expect.stringContaining(`ready: host ${host}`) });
      const fourth = container('fourth');
      const after = agent();
      await until(async () => ((await seen(fourth)).get('level') === 42 ? true : undefined), 'looks at the fourth one');
      expect(await after.end()).toMatchObject({ code: 0 });
      expect(
        new Set((await records('memory', 'StreamOpened')).map(({ record }) => record.stream.toString('hex'))).size,
      ).toBe(2);
      stop.abort();
      await Promise.all(running);

      // --- the verifier agrees on what was in force
      const judged = ['process', ...LOG, '--only', 'runtime', '--once', '--trust', at('operator.pub')];
      expect(await cli([...judged, '--trust', at('verifier.pub')])).toMatchObject({ code: 0 });
      const verdicts = (await records('verdicts', 'Verdict')).map(({ record }) => record as Verdict);
      for (const id of [first, second, third, fourth])
        expect(verdicts.filter(({ container }) => container === id).map(({ state }) => state)).toContain('conforming');
      expect(verdicts.filter(({ state }) => state === 'violated')).toEqual([]);
      const streams = verdicts.filter(({ kind }) => kind === 'stream');
      expect(streams.map(({ state }) => state)).toEqual(['conforming', 'conforming']);
    }, 60_000);
  }),
);
