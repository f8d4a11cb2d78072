import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { memoryLog } from '../infra/log/memory-log.js';
import { boottimeMicros } from '../producers/identity/boottime.js';
import { memoryAgent } from '../producers/memory/agent.js';
import { parsePolicy } from '../schemas/policy/parse.js';
import type { Figure } from './figure.js';

/** Changes the root and leaves the old one; without libraries. */
const BUSYBOX = '/bin/busybox';
const CONTAINERS = 50;
const WARM_MS = 20_000;
const MEASURE_MS = 15_000;
/** Share of a CPU for each: ten per cent together. */
const CPU = 0.002;

const SOURCE = `#include <unistd.h>
void read_sensor(int id) { usleep(20000); (void)id; }
void actuate(int level) { usleep(20000); (void)level; }
int main(void) { for (int i = 0;; i++) { read_sensor(i % 4); actuate(i % 80); usleep(60000); } }`;

const POLICY = `id: bench
functions: { read_sensor: { parameters: { id: clear } }, actuate: { parameters: { level: clear } } }
machine: { initial: a, states: { a: { on: { read_sensor: a, actuate: a } } } }
`;

/** Where control groups of this process are, or null where none can be made. */
const cgroupRoot = (): string | null => {
  for (const line of readFileSync('/proc/self/cgroup', 'latin1').trim().split('\n').reverse()) {
    const [, controllers, path] = line.split(':');
    const mount = controllers === '' ? ['/sys/fs/cgroup/unified', '/sys/fs/cgroup'] : [`/sys/fs/cgroup/${controllers}`];
    for (const folder of mount) {
      const group = join(folder, path!);
      if (!existsSync(join(group, 'cgroup.procs'))) continue;
      const probe = join(group, `attestream-${process.pid}`);
      try {
        mkdirSync(probe);
        rmdirSync(probe);
        return group;
      } catch {
        // Not writable here.
      }
    }
  }
  return null;
};

interface Small {
  readonly id: string;
  readonly child: ChildProcess;
  readonly group: string;
}

/** A program with a root of its own and files that no other shares, in a control group named as engines name theirs. */
const startOne = (base: string, program: string, libraries: readonly string[], groups: string): Small => {
  const id = randomBytes(32).toString('hex');
  const root = join(base, id);
  for (const file of [program, BUSYBOX, ...libraries]) {
    const to = join(root, file === program ? '/program' : file === BUSYBOX ? '/busybox' : file);
    mkdirSync(dirname(to), { recursive: true });
    copyFileSync(file, to);
  }
  const group = join(groups, id);
  mkdirSync(group);
  // A root of its own, as containers have: its files are named from there.
  mkdirSync(join(root, 'old'));
  const inside =
    'mount --bind "$1" "$1" && cd "$1" && /bin/busybox pivot_root . old && exec /busybox sh -c "/busybox umount -l /old; exec /program"';
  const enter = 'echo $$ > "$1/cgroup.procs" && exec unshare -m sh -c "$3" sh "$2"';
  const child = spawn('sh', ['-c', enter, 'sh', group, root, inside], { detached: true, stdio: 'ignore' });
  return { id, child, group };
};

const figure = (name: string, value: number, unit: string, baseline: number | null): Figure => ({
  name,
  figure: Number(value.toFixed(3)),
  unit,
  baseline,
  ratio: baseline === null ? null : Number((value / baseline).toFixed(3)),
});

/** What watching fifty containers costs the agent: resident memory, and CPU time beside what its budget says. */
export const bench = async (): Promise<Figure[]> => {
  const groups = cgroupRoot();
  if (groups === null) throw Object.assign(new Error('no control group can be made'), { code: 'PROCESS_UNSUPPORTED' });
  const base = mkdtempSync(join(tmpdir(), 'attestream-agent-'));
  const small: Small[] = [];
  const stop = new AbortController();
  try {
    const program = join(base, 'program');
    writeFileSync(`${program}.c`, SOURCE);
    execFileSync('gcc', ['-O0', '-g', '-o', program, `${program}.c`]);
    const libraries = [...execFileSync('ldd', [program], { encoding: 'latin1' }).matchAll(/(?:=> )?(\/\S+) \(0x/g)].map(
      (match) => match[1]!,
    );
    for (let i = 0; i < CONTAINERS; i++) small.push(startOne(base, program, libraries, groups));
    await delay(500);

    const before = process.memoryUsage.rss();
    const log = memoryLog();
    let bytes = 0;
    let looks = 0;
    // A log that keeps nothing: what is measured is the agent.
    log.append = async (_to, entries) => {
      for (const { value } of entries) bytes += value?.length ?? 0;
      looks += entries.length;
      return 0;
    };
    const policy = parsePolicy(POLICY, 'bench.yaml');
    const part = memoryAgent({
      containers: async () => small.map(({ id }) => ({ id, name: id.slice(0, 12), image: 'bench' })),
      policies: {
        basis: '',
        rebase: '',
        follow: async (_context, ready) => ready(),
        of: () => ({ policies: [policy], ofBinary: false, waiting: false }),
      },
      budget: { looks: 200, cpu: CPU },
      agent: 'bench',
      partitions: 1,
    });
    const offset = Date.now() * 1000 - boottimeMicros();
    const context = {
      ...{ log, host: 'bench', boot: '', stream: randomBytes(32), stop: stop.signal },
      now: () => boottimeMicros() + offset,
    };
    const running = part.run(context);
    running.catch(() => {});
    await delay(WARM_MS);
    const [cpu, began, counted] = [process.cpuUsage(), performance.now(), looks];
    let most = 0;
    for (let i = 0; i < MEASURE_MS / 500; i++) {
      await delay(500);
      most = Math.max(most, process.memoryUsage.rss());
    }
    const used = process.cpuUsage(cpu);
    const seconds = (performance.now() - began) / 1000;
    const rate = (looks - counted) / seconds;
    stop.abort();
    await running;
    return [
      figure('resident memory with 50 containers (baseline: the budget)', most / 1e6, 'MB', 120),
      figure('of which before the first was looked at', before / 1e6, 'MB', null),
      figure(
        'CPU share with 50 containers (baseline: their budgets)',
        (used.user + used.system) / 1e6 / seconds,
        'of one CPU',
        CPU * CONTAINERS,
      ),
      figure('looks', rate, '/s', null),
      figure('bytes per record', bytes / Math.max(1, looks), 'B', null),
    ];
  } finally {
    stop.abort();
    for (const { child } of small) child.kill('SIGKILL');
    await delay(300);
    for (const { group } of small)
      try {
        rmdirSync(group);
      } catch {
        // Its process takes longer to go.
      }
    rmSync(base, { recursive: true, force: true });
  }
};
