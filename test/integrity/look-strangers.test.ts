import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { closeSync, constants, mkdirSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, expect, test } from '@jest/globals';
import { onPath } from '../../infra/kafka/jvm.js';
import { openTarget } from '../../producers/memory/sample/look.js';
import type { LookResult, SeenFrame, SeenThread } from '../../producers/memory/sample/look-result.js';
import { type Comparison, compareThread, newComparison } from '../oracle/compare.js';
import { gdbProbe } from '../oracle/judge.js';
import { gdbTruth, type TrueFrame } from '../oracle/truth.js';
import { debianRoot } from '../support/debian-root.js';
import { start } from '../support/device.js';
import { goProgram } from '../support/go-program.js';
import { realPart } from '../support/real-part.js';
import { cli } from '../support/run-cli.js';
import { temporaryFolder } from '../support/tmp.js';

/**
 * Programs with debug symbols as Debian builds them (vsftpd, tftpd, flowgrindd with threads, dibbler in C++), without (mosquitto),
 * an interpreter, and one in Go.
 */
const PACKAGES = [
  ...['mosquitto', 'vsftpd-dbg', 'tftp-hpa-dbg', 'flowgrind-dbg', 'dibbler-server-dbg', 'python3.11-minimal'],
  ...['websocketd', 'libc6-dbg'],
];

const debian = gdbProbe() === null ? debianRoot('daemons', PACKAGES) : '';
const root = typeof debian === 'string' ? '' : debian.root;
const strangers = realPart('Debian packages', () => gdbProbe() ?? (typeof debian === 'string' ? debian : null));
const folder = temporaryFolder('strangers');

const children: ChildProcess[] = [];
afterAll(() => {
  for (const child of children) child.kill('SIGKILL');
});

/** A program of the packages in a root of its own, as in a container; it waits when this resolves. */
const daemon = (program: string, ...args: string[]): Promise<number> =>
  started(program, ['chroot', root, program, ...args]);

const started = async (program: string, command: readonly string[], output: number | 'ignore' = 'ignore') => {
  const child = spawn(command[0]!, command.slice(1), {
    detached: true,
    stdio: ['pipe', output, 'ignore'],
    env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', HOME: '/tmp' },
  });
  children.push(child);
  const target = await settled(child.pid!, program);
  target.close();
  return child.pid!;
};

const WAITS_MS = 20_000;

/** Until every thread of a process has stood still for two looks, and it is this program, no longer the one that starts it. */
const settled = async (pid: number, program = ''): Promise<ReturnType<typeof openTarget>> => {
  for (let waited = 0; ; waited += 50) {
    await delay(50);
    const target = openTarget(pid, new Set());
    const look = target.look();
    await delay(20);
    if (target.binary.endsWith(program) && look.threads.length > 0 && still(target.look())) return target;
    target.close();
    if (waited > WAITS_MS) throw new Error(`process ${pid} does not come to rest`);
  }
};

const still = ({ gone, threads }: LookResult): boolean => {
  if (gone) throw new Error('the program has ended');
  return threads.every(({ outcome, asBefore }) => outcome === 'sampled' && asBefore);
};

/** Names that differ by how the C library binds its own, or by what gdb takes `__` for: a package of Ada. */
const usual = (name: string | null): string | null =>
  name === null
    ? null
    : name
        .replace(/\./g, '__')
        .replace(/^_+(GI_+|libc_+)?/, '')
        .replace(/^(IO_)?(new_)?(?=\w)/, '')
        .replace(/_impl$/, '');

const otherNames = (ours: readonly SeenFrame[], theirs: readonly TrueFrame[]): string[] =>
  ours.flatMap((frame, i) => {
    const truth = theirs[i];
    return truth === undefined || usual(frame.function) === usual(truth.name)
      ? []
      : [`#${i} ${frame.function}, gdb: ${truth.name}`];
  });

const decisive = ({ frames }: SeenThread): readonly SeenFrame[] => {
  const scanned = frames.findIndex(({ foundBy }) => foundBy === 'scan');
  return scanned < 0 ? frames : frames.slice(0, scanned);
};

interface Judged {
  readonly look: LookResult;
  readonly comparison: Comparison;
  readonly names: readonly string[];
}

/** One look at a waiting process, and what gdb says of it right afterwards, with the same debug files if it is one of the packages. */
const judge = async (pid: number, program: string): Promise<Judged> => {
  const target = openTarget(pid);
  try {
    target.look();
    await target.image.ready();
    const look = target.look();
    const truth = await gdbTruth(pid, ['set auto-load off', ...(program === '' ? [] : inRoot(program))]);
    const comparison = newComparison();
    const names: string[] = [];
    for (const thread of look.threads) {
      expect(thread.outcome).toBe('sampled');
      const theirs = truth.get(thread.tid) ?? [];
      compareThread(thread, theirs, program, comparison);
      names.push(...otherNames(decisive(thread), theirs));
    }
    return { look, comparison, names };
  } finally {
    target.close();
  }
};

const inRoot = (program: string): string[] => [
  `set sysroot ${root}`,
  `set debug-file-directory ${root}/usr/lib/debug`,
  `file ${root}${program}`,
];

/** Expects nothing wrong of it, names and lines of its own frames included; gives the look. */
const ownRight = async (pid: number, program: string): Promise<Judged> => {
  const judged = await judge(pid, program);
  const { wrongFrames, wrongValues, otherNames: others } = judged.comparison;
  expect({ wrongFrames, wrongValues, others }).toEqual({ wrongFrames: [], wrongValues: [], others: [] });
  return judged;
};

/** And no other name in a library. */
const judgedRight = async (pid: number, program = ''): Promise<Judged> => {
  const judged = await ownRight(pid, program);
  expect(judged.names).toEqual([]);
  return judged;
};

interface Shown {
  readonly runtime: string;
  readonly threads: readonly { readonly frames: readonly { readonly runtime: string }[] }[];
}

/** What the command tells of the runtime, both ways. */
const shown = async (pid: number): Promise<{ readonly json: Shown; readonly text: string }> => {
  const json = await cli(['look', `${pid}`, '--output', 'json']);
  const text = await cli(['look', `${pid}`]);
  expect([json.code, text.code]).toEqual([0, 0]);
  return { json: JSON.parse(json.stdout) as Shown, text: text.stdout };
};

const freePort = (): Promise<number> =>
  new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });

/** What writes to this pipe next waits. */
const fill = (pipe: number): void => {
  for (const length of [4096, 1])
    try {
      for (;;) writeSync(pipe, Buffer.alloc(length));
    } catch (error) {
      expect((error as NodeJS.ErrnoException).code).toBe('EAGAIN');
    }
};

const names = (thread: SeenThread): (string | null)[] => thread.frames.map((frame) => frame.function);

strangers('programs of Debian', () => {
  test('mosquitto, without debug symbols of its own: every frame and name is gdb’s', async () => {
    const pid = await daemon('/usr/sbin/mosquitto', '-p', `${await freePort()}`);
    const { look, comparison } = await judgedRight(pid, '/usr/sbin/mosquitto');
    expect(look.runtime).toBe('native');
    expect(look.threads.every(({ complete }) => complete)).toBe(true);
    expect(names(look.threads[0]!)).toEqual(
      expect.arrayContaining(['epoll_wait', 'mux_epoll__handle', 'mosquitto_main_loop', 'main']),
    );
    expect(comparison.frames).toBeGreaterThan(4);
    expect((await shown(pid)).text).not.toContain('runtime:');
  }, 60_000);

  test('vsftpd, with debug symbols: names, lines and values, too', async () => {
    const settings = `listen=YES\nlisten_port=${await freePort()}\nbackground=NO\nanonymous_enable=YES\nsecure_chroot_dir=/tmp\nrun_as_launching_user=YES\n`;
    writeFileSync(join(root, 'tmp/vsftpd.conf'), settings);
    const pid = await daemon('/usr/sbin/vsftpd', '/tmp/vsftpd.conf');
    const { look, comparison } = await judgedRight(pid, '/usr/sbin/vsftpd');
    const [thread] = look.threads;
    expect(thread!.complete).toBe(true);
    expect(names(thread!)).toEqual(expect.arrayContaining(['accept', 'vsf_standalone_main', 'main']));
    expect(thread!.frames.find((frame) => frame.function === 'vsf_standalone_main')!.source).toContain('standalone.c');
    expect(comparison.values).toBeGreaterThan(8);
  }, 60_000);

  test('tftpd, with debug symbols', async () => {
    const address = `127.0.0.1:${await freePort()}`;
    const pid = await daemon('/usr/sbin/in.tftpd', '-L', '-a', address, '-u', 'nobody', '-s', '/tmp');
    const { look, comparison } = await judgedRight(pid, '/usr/sbin/in.tftpd');
    expect(look.threads[0]!.complete).toBe(true);
    expect(names(look.threads[0]!)).toEqual(expect.arrayContaining(['select', 'main']));
    expect(comparison.values).toBeGreaterThan(8);
  }, 60_000);

  test('flowgrindd, with debug symbols and a thread beside the first', async () => {
    const pid = await daemon('/usr/sbin/flowgrindd', '-d', '-p', `${await freePort()}`);
    const { look, comparison } = await judgedRight(pid, '/usr/sbin/flowgrindd');
    expect(look.threads.map(({ complete }) => complete)).toEqual([true, true]);
    expect(look.threads.flatMap(names)).toEqual(expect.arrayContaining(['run_rpc_server', 'main', 'daemon_main']));
    expect(comparison.values).toBeGreaterThan(15);
  }, 60_000);

  (onPath('ip') && onPath('unshare') && onPath('mkfifo') ? test : test.skip)(
    'dibbler, in C++, in its handler of a signal: frames of the handler and of what it interrupted',
    async () => {
      for (const name of ['etc', 'var/lib', 'var/log', 'run'])
        mkdirSync(join(root, name, 'dibbler'), { recursive: true });
      const settings = 'log-mode full\niface "d0" {\n class { pool 2001:db8:1::/64 }\n}\n';
      writeFileSync(join(root, 'etc/dibbler/server.conf'), settings);
      const log = join(folder, 'log');
      execFileSync('mkfifo', [log]);
      const reader = openSync(log, constants.O_RDWR | constants.O_NONBLOCK);
      const writer = openSync(log, constants.O_WRONLY);
      const program = '/usr/sbin/dibbler-server';
      // It wants an interface whose addresses are no longer tentative.
      const network = 'ip link add d0 type veth peer name d1; ip link set d0 up; ip link set d1 up; sleep 3';
      const command = ['unshare', '-n', 'sh', '-c', `${network}; exec chroot "$0" ${program} run`, root];
      try {
        const pid = await started(program, command, writer);
        fill(reader);
        process.kill(pid, 'SIGTERM');
        await delay(200);
        (await settled(pid)).close();
        const { look, comparison } = await ownRight(pid, program);
        const [thread] = look.threads;
        expect(thread!.complete).toBe(true);
        const expected = [
          'write',
          'logger::endl',
          'signal_handler',
          '__restore_rt',
          'select',
          'TIfaceMgr::select',
          'main',
        ];
        expect(names(thread!).filter((name) => expected.includes(name!))).toEqual(expected);
        expect(comparison.values).toBeGreaterThan(25);
      } finally {
        closeSync(reader);
        closeSync(writer);
      }
    },
    60_000,
  );

  test('CPython: its own frames are gdb’s, and the answer says whose they are', async () => {
    const script =
      'import time\ndef f(n):\n  if n: f(n - 1)\n  else: sorted([1, 2], key=lambda x: time.sleep(600))\nf(3)';
    const pid = await daemon('/usr/bin/python3.11', '-c', script);
    const { look, comparison } = await judgedRight(pid, '/usr/bin/python3.11');
    expect(look.threads[0]!.complete).toBe(true);
    expect(names(look.threads[0]!)).toContain('_PyEval_EvalFrameDefault');
    expect(comparison.frames).toBeGreaterThan(15);
    const { json, text } = await shown(pid);
    expect(json.runtime).toBe('python 3.11');
    expect(text).toContain('runtime: python 3.11');
  }, 60_000);

  test('a Go program without symbols: said to be Go, no name is made up, and no stack is called complete', async () => {
    const pid = await daemon(
      '/usr/bin/websocketd',
      '--address=127.0.0.1',
      `--port=${await freePort()}`,
      '/usr/sbin/vsftpd',
    );
    const { json, text } = await shown(pid);
    expect(json.runtime).toMatch(/^go 1\.\d+$/);
    expect(text).toContain(`runtime: ${json.runtime}`);
    const target = await settled(pid);
    const { threads } = target.look();
    target.close();
    expect(threads.length).toBeGreaterThan(2);
    expect(threads.filter(({ complete }) => complete)).toEqual([]);
    for (const { frames } of threads)
      for (const { file, function: name } of frames) if (file.endsWith('/websocketd')) expect(name).toBeNull();
  }, 60_000);
});

realPart('gdb', gdbProbe)('programs with runtimes of their own', () => {
  test('Node: native frames are gdb’s as far as they are told for certain', async () => {
    const { pid } = start(process.execPath, ['-e', 'setInterval(() => {}, 1e6)']);
    (await settled(pid)).close();
    const { look, comparison } = await judgedRight(pid);
    expect(look.threads.length).toBeGreaterThan(4);
    expect(comparison.frames).toBeGreaterThan(20);
    const { json, text } = await shown(pid);
    expect(json.runtime).toBe('node');
    expect(text).toContain('runtime: node');
    process.kill(pid, 'SIGKILL');
  }, 120_000);

  (onPath('go') ? test : test.skip)(
    'a Go program with symbols: frames are gdb’s',
    async () => {
      const program = goProgram(folder, false);
      const { pid } = start(program);
      (await settled(pid)).close();
      const { look, comparison } = await judgedRight(pid);
      expect(look.runtime).toMatch(/^go 1\.\d+$/);
      expect(comparison.frames).toBeGreaterThan(20);
      expect(look.threads.flatMap(names)).toEqual(expect.arrayContaining(['main.deep', 'main.main']));
      process.kill(pid, 'SIGKILL');
    },
    120_000,
  );

  (onPath('go') && onPath('gcc') ? test : test.skip)(
    'threads of Go that are followed to where they began are not all that it executes',
    async () => {
      const { pid } = start(goProgram(folder, true));
      const target = await settled(pid);
      const { threads } = target.look();
      target.close();
      const followed = threads.filter(({ frames }) => /^clone3?$/.test(frames.at(-1)!.function ?? ''));
      expect(followed.some((thread) => decisive(thread).length === thread.frames.length)).toBe(true);
      expect(threads.filter(({ complete }) => complete)).toEqual([]);
      process.kill(pid, 'SIGKILL');
    },
    120_000,
  );
});
