import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { everyProcess } from '../../cli/look-targets.js';
import { containers, findContainer } from '../../producers/container/docker.js';
import { ContainerProcesses, processesIn } from '../../producers/container/processes.js';
import { openTarget } from '../../producers/memory/sample/look.js';
import type { SeenThread } from '../../producers/memory/sample/look-result.js';
import { type DockerEngine, dockerProbe, layRoot, startDocker } from '../support/docker.js';
import { realPart } from '../support/real-part.js';
import { cli } from '../support/run-cli.js';
import { temporaryFolder } from '../support/tmp.js';

const compilers = (): string | null => {
  for (const program of ['gcc', 'musl-gcc', 'objcopy', 'xz'])
    try {
      execFileSync(program, ['--version'], { stdio: 'ignore' });
    } catch {
      return `${program} is not installed`;
    }
  return process.arch === 'x64' ? null : `live looks need x86-64, not ${process.arch}`;
};

/** Waits in `inner`, called by `outer`; `fork` has a child do the same, `memory` runs itself from memory alone. */
const PROGRAM = `
#define _GNU_SOURCE
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
extern char **environ;
__attribute__((noinline)) static int inner(int depth) { int n = 0; for (;;) n += pause() + depth; return n; }
__attribute__((noinline)) int outer(int id) { return inner(id + 1) + id; }
int main(int argc, char **argv) {
  int id = argc > 1 ? atoi(argv[1]) : 1;
  if (argc > 2 && !strcmp(argv[2], "fork") && fork() == 0) return outer(id + 10);
  if (argc > 2 && !strcmp(argv[2], "memory")) {
    int from = open("/proc/self/exe", O_RDONLY), to = memfd_create("hidden", 0);
    while (sendfile(to, from, 0, 65536) > 0);
    char *again[] = {argv[0], argv[1], 0};
    fexecve(to, again, environ);
  }
  return outer(id);
}`;

const folder = temporaryFolder('look-container');
const at = (name: string): string => join(folder, name);

const build = (name: string, compiler: string, ...flags: string[]): string => {
  execFileSync(compiler, ['-O0', '-g', ...flags, '-o', at(name), at('program.c')]);
  return at(name);
};

/** Its symbols in a file of their own, found by the checksum alone. */
const withDebugLink = (name: string, ...flags: string[]): string => {
  const program = build(name, 'gcc', ...flags);
  execFileSync('objcopy', ['--only-keep-debug', program, `${program}.debug`]);
  execFileSync('objcopy', ['--strip-all', `--add-gnu-debuglink=${program}.debug`, program]);
  return program;
};

/** As distributions do it: only names of functions, packed, within the stripped file. */
const withPackedSymbols = (name: string): string => {
  // Another build id than the others have, whose debug file it would else be shown.
  const program = build(name, 'gcc', '-Wl,--build-id=none');
  const mini = at(`${name}.mini`);
  execFileSync('objcopy', ['--only-keep-debug', program, `${mini}.full`]);
  execFileSync('objcopy', [
    '-S',
    '--remove-section=.comment',
    '--keep-symbol=inner',
    '--keep-symbol=outer',
    '--keep-symbol=main',
    `${mini}.full`,
    mini,
  ]);
  rmSync(`${mini}.xz`, { force: true });
  execFileSync('xz', ['-k', mini]);
  execFileSync('strip', [program]);
  execFileSync('objcopy', [`--add-section=.gnu_debugdata=${mini}.xz`, program]);
  return program;
};

const names = (thread: SeenThread): (string | null)[] =>
  thread.frames.map((frame) => frame.function).filter((name) => name === null || /^(inner|outer|main)$/.test(name));

/** The first look that is neither torn nor comes too early. */
const lookAt = async (pid: number): Promise<SeenThread> => {
  const target = openTarget(pid);
  try {
    for (let tries = 0; ; tries++) {
      let thread = target.look().threads[0];
      const packed = target.image.ready();
      if (packed !== null) {
        await packed;
        target.forget();
        thread = target.look().threads[0];
      }
      if ((thread?.outcome === 'sampled' && thread.syscall?.number === 34) || tries > 100) return thread!;
      await delay(10);
    }
  } finally {
    target.close();
  }
};

const values = (thread: SeenThread): Record<string, unknown> =>
  Object.fromEntries(
    thread.frames.flatMap((frame) =>
      frame.function === 'outer' || frame.function === 'inner'
        ? frame.parameters.map(({ name, value }) => [name, value] as const)
        : [],
    ),
  );

realPart('docker', () => dockerProbe() ?? compilers())('looks into containers', () => {
  let engine: DockerEngine;
  const first = (id: string): number => processesIn(id)[0]!.pid;
  const choice = (): { host: string; env: NodeJS.ProcessEnv } => ({ host: engine.host, env: {} });

  beforeAll(async () => {
    writeFileSync(at('program.c'), PROGRAM);
    engine = await startDocker();
    const linked = withDebugLink('linked', '-Wl,--build-id=none');
    const mislinked = withDebugLink('mislinked', '-Wl,--build-id=none');
    const noted = withDebugLink('noted', '-Wl,--build-id');
    const id = /Build ID: ([0-9a-f]+)/.exec(execFileSync('readelf', ['-n', noted], { encoding: 'utf8' }))![1]!;
    writeFileSync(at('mislinked.debug'), Buffer.concat([readFileSync(at('mislinked.debug')), Buffer.from('x')]));
    layRoot(at('root'), {
      '/app/gcc': build('gcc', 'gcc'),
      '/app/musl': build('musl', 'musl-gcc', '-static'),
      '/app/linked': linked,
      '/app/.debug/linked.debug': at('linked.debug'),
      '/app/mislinked': mislinked,
      '/app/mislinked.debug': at('mislinked.debug'),
      '/app/noted': noted,
      [`/usr/lib/debug/.build-id/${id.slice(0, 2)}/${id.slice(2)}.debug`]: at('noted.debug'),
      '/app/packed': withPackedSymbols('packed'),
    });
    engine.importImage('programs:1', at('root'));
  }, 120_000);
  afterAll(() => engine?.stop(), 60_000);

  test('a program is found by its name and by the beginning of its id, whatever its libc', async () => {
    for (const [libc, number] of [
      ['gcc', 41],
      ['musl', 51],
    ] as const) {
      const id = engine.run('programs:1', { name: `thermostat-${libc}` }, `/app/${libc}`, `${number}`);
      expect(await findContainer(`thermostat-${libc}`, choice())).toBe(id);
      expect(await findContainer(id.slice(0, 10), choice())).toBe(id);
      const thread = await lookAt(first(id));
      expect(names(thread)).toEqual(['inner', 'outer', 'main']);
      // Never a wrong value; none where libc's own frame has no certain extent.
      const told = values(thread);
      expect([null, number]).toContain(told['id']);
      expect([null, number + 1]).toContain(told['depth']);
      if (libc === 'gcc') expect(told).toEqual({ depth: 42, id: 41 });
    }
    expect((await containers(choice())).map(({ name, image, state }) => [name, image, state]).sort()).toEqual([
      ['thermostat-gcc', 'programs:1', 'running'],
      ['thermostat-musl', 'programs:1', 'running'],
    ]);
  });

  test('without its engine a container is found by its id', async () => {
    const id = engine.docker('inspect', '-f', '{{.Id}}', 'thermostat-gcc').trim();
    expect(await findContainer(id.slice(0, 12), { host: 'unix:///nowhere/docker.sock', env: {} })).toBe(id);
  });

  test('the command shows every process of a container, a line each', async () => {
    const id = engine.run('programs:1', { name: 'pair' }, '/app/gcc', '1', 'fork');
    while (processesIn(id).length < 2) await delay(5);
    await lookAt(first(id));
    await delay(50);
    const ran = await cli(['look', '--container', 'pair', '--function', 'outer', '--output', 'ndjson'], {
      DOCKER_HOST: engine.host,
    });
    expect(ran.stderr).toBe('');
    const looks = ran.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { pid: number; runtime: string; threads: SeenThread[] });
    expect(looks.map(({ pid }) => pid)).toEqual(processesIn(id).map(({ pid }) => pid));
    expect(looks.map(({ threads }) => values(threads[0]!)['id'])).toEqual([1, 11]);
    expect(looks.map(({ runtime }) => runtime)).toEqual(['native', 'native']);
  });

  test('what is brought into a container joins it, and leaves it at its end', async () => {
    const id = engine.run('programs:1', { name: 'host' }, '/app/gcc', '1');
    const processes = new ContainerProcesses(id);
    expect(processes.refresh().began.map(({ name }) => name)).toEqual(['gcc']);
    engine.docker('exec', '-d', 'host', '/app/musl', '7');
    // At first it is still the runtime's.
    while (!processesIn(id).some(({ name }) => name === 'musl')) await delay(5);
    const { began } = processes.refresh();
    expect(began.map(({ name }) => name)).toEqual(['musl']);
    const thread = await lookAt(began[0]!.pid);
    expect(names(thread)).toEqual(['inner', 'outer', 'main']);
    process.kill(began[0]!.pid, 'SIGKILL');
    while (existsSync(`/proc/${began[0]!.pid}/exe`)) await delay(5);
    expect(processes.refresh()).toEqual({ began: [], ended: began });
    expect(processes.running.map(({ name }) => name)).toEqual(['gcc']);
  });

  test('a file that was deleted, or replaced under its path, is the one that runs', async () => {
    const id = engine.run('programs:1', { name: 'changed' }, '/app/gcc', '1');
    engine.docker('exec', '-d', 'changed', '/app/musl', '2');
    while (processesIn(id).length < 2) await delay(5);
    const [gcc, musl] = processesIn(id).map(({ pid }) => pid);
    await lookAt(gcc!);
    const root = `/proc/${gcc}/root/app`;
    rmSync(`${root}/gcc`);
    // Another program, whose functions lie elsewhere.
    copyFileSync('/bin/true', `${root}/new`);
    renameSync(`${root}/new`, `${root}/musl`);
    for (const pid of [gcc!, musl!]) expect(names(await lookAt(pid))).toEqual(['inner', 'outer', 'main']);
  });

  test('a program without any file', async () => {
    const id = engine.run('programs:1', {}, '/app/gcc', '3', 'memory');
    const thread = await lookAt(first(id));
    expect(thread.frames.find((frame) => frame.function === 'outer')?.file).toBe('/memfd:hidden');
    expect(values(thread)).toEqual({ depth: 4, id: 3 });
  });

  test.each([
    ['by a link whose checksum is right', 'linked', ['inner', 'outer', 'main'], { depth: 5, id: 4 }],
    ['not by a link whose checksum is wrong', 'mislinked', [null, null, null], {}],
    ['by build id in the folder of the container', 'noted', ['inner', 'outer', 'main'], { depth: 5, id: 4 }],
    ['packed within the file', 'packed', ['inner', 'outer', 'main'], {}],
  ])('a stripped program has its names %s', async (_, program, functions, parameters) => {
    const thread = await lookAt(first(engine.run('programs:1', {}, `/app/${program}`, '4')));
    const own = thread.frames.filter(({ file, function: name }) => file === `/app/${program}` && name !== '_start');
    expect(own.map((frame) => frame.function).slice(0, 3)).toEqual(functions);
    expect(values(thread)).toEqual(parameters);
  });

  test('a library that is a FIFO in the way of debug files does not hold up a look', async () => {
    const id = engine.run('programs:1', { name: 'fifo' }, '/app/gcc', '1');
    const root = `/proc/${first(id)}/root`;
    mkdirSync(`${root}/usr/lib/debug/app`, { recursive: true });
    execFileSync('mkfifo', [`${root}/usr/lib/debug/app/mislinked.debug`, `${root}/app/.debug/mislinked.debug`]);
    rmSync(`${root}/app/mislinked.debug`);
    engine.docker('exec', '-d', 'fifo', '/app/mislinked', '1');
    while (processesIn(id).length < 2) await delay(5);
    const began = performance.now();
    expect((await lookAt(processesIn(id)[1]!.pid)).outcome).toBe('sampled');
    expect(performance.now() - began).toBeLessThan(20_000);
  });

  test('containers that start and end during looks neither stop nor falsify them', async () => {
    const id = engine.run('programs:1', { name: 'busy' }, '/app/gcc', '1');
    const targets = everyProcess(id, 'all');
    let looks = 0;
    let most = 0;
    const wrong: unknown[] = [];
    try {
      const going = (async () => {
        for (let i = 0; i < 3; i++) {
          engine.docker('exec', '-d', 'busy', '/app/musl', `${i}`, 'fork');
          await delay(30);
          for (const { pid, name } of processesIn(id)) if (name === 'musl') process.kill(pid, 'SIGKILL');
          await delay(10);
        }
        engine.docker('rm', '-f', 'busy');
      })();
      for (let current = targets.current(); current.length > 0; current = targets.current()) {
        most = Math.max(most, current.length);
        for (const target of current) {
          const look = target.look();
          looks++;
          for (const thread of look.threads)
            if (thread.complete && thread.syscall?.number === 34 && names(thread).join() !== 'inner,outer,main')
              wrong.push(thread.frames.map((frame) => frame.function));
          if (look.gone) targets.drop(target);
        }
        await delay(1);
      }
      await going;
    } finally {
      targets.close();
    }
    expect(wrong).toEqual([]);
    expect(looks).toBeGreaterThan(3);
    expect(most).toBeGreaterThan(1);
    await expect(findContainer('busy', choice())).rejects.toMatchObject({ code: 'CONTAINER_NOT_FOUND' });
  });
});

realPart('docker', () => dockerProbe() ?? compilers())('an engine that uses cgroup v2 alone', () => {
  let engine: DockerEngine;
  beforeAll(async () => {
    engine = await startDocker({ cgroup2: true });
    layRoot(at('root2'), { '/app/musl': build('musl2', 'musl-gcc', '-static') });
    engine.importImage('programs:2', at('root2'));
  }, 60_000);
  afterAll(() => engine?.stop(), 60_000);

  test('its containers are found, too', async () => {
    const id = engine.run('programs:2', { name: 'unified' }, '/app/musl', '8');
    expect(await findContainer('unified', { host: engine.host, env: {} })).toBe(id);
    const [process] = processesIn(id);
    expect(readFileSync(`/proc/${process!.pid}/cgroup`, 'latin1')).toContain(`0::/docker/${id}`);
    expect(names(await lookAt(process!.pid))).toEqual(['inner', 'outer', 'main']);
  });
});
