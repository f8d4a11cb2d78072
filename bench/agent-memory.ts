import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { openTrace } from '../infra/log/trace/trace-log.js';
import { type LocalSwtpm, startSwtpm } from '../producers/attestation/emulator/local-swtpm.js';
import { manufactureTpm } from '../producers/attestation/emulator/manufacture.js';
import { startEngine } from './docker.js';
import type { Figure } from './figure.js';

const CONTAINERS = 50;
const WARM_MS = 20_000;
const MEASURE_MS = 15_000;
/** Share of a CPU for each: ten per cent together. */
const CPU = 0.002;
/** Of /proc/PID/stat: Linux tells all programs so. */
const TICKS = 100;
const READY_MS = 30_000;

const SOURCE = `#include <unistd.h>
void read_sensor(int id) { usleep(20000); (void)id; }
void actuate(int level) { usleep(20000); (void)level; }
int main(void) { for (int i = 0;; i++) { read_sensor(i % 4); actuate(i % 80); usleep(60000); } }`;

const POLICY = `id: bench
functions: { read_sensor: { parameters: { id: clear } }, actuate: { parameters: { level: clear } } }
machine: { initial: a, states: { a: { on: { read_sensor: a, actuate: a } } } }
`;

const CLI = fileURLToPath(new URL('../cli/main.js', import.meta.url));
const attestream = (...args: string[]): void => void execFileSync(process.execPath, [CLI, ...args], { stdio: 'pipe' });

/** The program with its libraries. */
const layRoot = (root: string): void => {
  mkdirSync(root);
  const program = join(root, 'program');
  writeFileSync(`${program}.c`, SOURCE);
  execFileSync('gcc', ['-O0', '-g', '-o', program, `${program}.c`]);
  const libraries = execFileSync('ldd', [program], { encoding: 'latin1' }).matchAll(/(?:=> )?(\/\S+) \(0x/g);
  for (const [, library] of libraries) {
    mkdirSync(join(root, dirname(library!)), { recursive: true });
    copyFileSync(library!, join(root, library!));
  }
};

const rss = (pid: number): number =>
  Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))![1]) * 1024;

/** s */
const cpuTime = (pid: number): number => {
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]!.split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS;
};

/** Until the agent says so. */
const ready = (agent: ChildProcess): Promise<void> =>
  new Promise((resolve, reject) => {
    let said = '';
    const fail = (): void => reject(new Error(`the agent did not become ready: ${said.slice(-1000)}`));
    const timer = setTimeout(fail, READY_MS);
    const heard = (chunk: Buffer): void => {
      said += chunk.toString();
      if (!said.includes('ready: ')) return;
      clearTimeout(timer);
      resolve();
    };
    agent.stdout!.on('data', heard);
    agent.stderr!.on('data', heard);
    agent.once('exit', fail);
  });

const figure = (name: string, value: number, unit: string, baseline: number | null): Figure => ({
  name,
  figure: Number(value.toFixed(3)),
  unit,
  baseline,
  ratio: baseline === null ? null : Number((value / baseline).toFixed(3)),
});

/** What watching fifty containers costs the shipped agent: resident memory, and CPU time beside what its budget says. */
export const bench = async (): Promise<Figure[]> => {
  const folder = mkdtempSync(join(tmpdir(), 'ats-bench-'));
  const at = (name: string): string => join(folder, name);
  const trace = at('trace');
  const recorded = async (): Promise<{ readonly records: number; readonly bytes: number }> => {
    const log = await openTrace(trace, { readOnly: true });
    try {
      let bytes = 0;
      let records = 0;
      for await (const batch of log.read({ topic: 'memory', partition: 0 }, 0, (await log.bounds('memory'))[0]!.end)) {
        records += batch.length;
        for (let i = 0; i < batch.length; i++) bytes += batch.values[2 * i + 1]! - batch.values[2 * i]!;
      }
      return { records, bytes };
    } finally {
      await log.close();
    }
  };
  const { state } = await manufactureTpm(folder);
  const engine = startEngine(at('docker'));
  if (engine === null)
    throw Object.assign(new Error('no container engine can be started'), { code: 'PROCESS_UNSUPPORTED' });
  let swtpm: LocalSwtpm | null = null;
  let agent: ChildProcess | null = null;
  try {
    swtpm = await startSwtpm(state);
    layRoot(at('root'));
    const image = engine.importImage('bench:1', at('root'));
    for (let i = 0; i < CONTAINERS; i++)
      engine.docker('run', '--detach', '--network=none', '--pull=never', image, '/program');
    const { privateKey, publicKey } = generateKeyPairSync('ed25519');
    writeFileSync(at('operator.pem'), privateKey.export({ type: 'pkcs8', format: 'pem' }));
    writeFileSync(at('operator.pub'), publicKey.export({ type: 'spki', format: 'pem' }));
    writeFileSync(at('policy.yaml'), POLICY);
    attestream('topics', 'create', '--log', trace, '--partitions', '1');
    attestream('policy', 'assign', at('policy.yaml'), '--log', trace, '--key', at('operator.pem'));

    const budget = ['--budget', '200/s', '--cpu', `${CPU}`];
    const where = ['--log', trace, '--tpm', swtpm.address, '--state', at('run'), '--docker-host', engine.host];
    agent = spawn(process.execPath, [CLI, 'agent', ...where, '--trust', at('operator.pub'), ...budget], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    await ready(agent);
    const pid = agent.pid!;
    const before = rss(pid);
    await delay(WARM_MS);
    const [counted, cpu, began] = [await recorded(), cpuTime(pid), performance.now()];
    let most = 0;
    for (let i = 0; i < MEASURE_MS / 500; i++) {
      await delay(500);
      most = Math.max(most, rss(pid));
    }
    const used = cpuTime(pid) - cpu;
    const seconds = (performance.now() - began) / 1000;
    const { records, bytes } = await recorded();
    return [
      figure('resident memory with 50 containers (baseline: the budget)', most / 1e6, 'MB', 120),
      figure('of which before the first was looked at', before / 1e6, 'MB', null),
      figure('CPU share with 50 containers (baseline: their budgets)', used / seconds, 'of one CPU', CPU * CONTAINERS),
      figure('records', (records - counted.records) / seconds, '/s', null),
      figure('bytes per record', bytes / Math.max(1, records), 'B', null),
    ];
  } finally {
    agent?.kill('SIGTERM');
    await swtpm?.stop();
    engine.stop();
    rmSync(folder, { recursive: true, force: true });
  }
};
