import { execFileSync } from 'node:child_process';
import { chmodSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from '@jest/globals';
import { openTarget } from '../../producers/memory/sample/look.js';
import type { LookResult } from '../../producers/memory/sample/look-result.js';
import { compile, noCompiler, pause, start } from '../support/device.js';
import { temporaryFolder } from '../support/tmp.js';

const suite = noCompiler === '' ? describe : describe.skip;
const root = process.getuid?.() === 0;
const folder = temporaryFolder('hostile-process');
// Some of the programs run as another user.
chmodSync(folder, 0o755);
let number = 0;
const program = (source: string): string => {
  const name = `program${number++}`;
  writeFileSync(join(folder, `${name}.c`), source);
  return compile(join(folder, `${name}.c`), folder, name);
};

const functions = (look: LookResult): Set<string | null> =>
  new Set(look.threads.flatMap(({ frames }) => frames.map((frame) => frame.function)));

/** However long a busy machine takes; what is expected after it tells if it never came. */
const until = (holds: () => boolean): void => {
  for (let i = 0; i < 250 && !holds(); i++) pause(20);
};

suite(`processes that make it hard ${noCompiler}`, () => {
  test('a process whose first thread has ended is looked at through the others, from the start and in the middle', () => {
    const { pid } = start(
      program(`#include <pthread.h>
        #include <signal.h>
        #include <unistd.h>
        void work(int id) { for (;;) usleep(200000); (void)id; }
        static void *run(void *x) { work(7); return x; }
        int main(void) { pthread_t t; sigset_t told; int which; sigemptyset(&told); sigaddset(&told, SIGUSR1);
          sigprocmask(SIG_BLOCK, &told, 0); pthread_create(&t, 0, run, 0); sigwait(&told, &which); pthread_exit(0); }`),
    );
    until(() => readdirSync(`/proc/${pid}/task`).length === 2);
    const early = openTarget(pid);
    expect(early.look().threads).toHaveLength(2);
    process.kill(pid, 'SIGUSR1');
    until(() => readFileSync(`/proc/${pid}/stat`, 'latin1').includes(') Z '));
    for (const target of [early, openTarget(pid)]) {
      let look = target.look();
      until(() => {
        target.forget();
        look = target.look();
        return functions(look).has('work');
      });
      expect(look.gone).toBe(false);
      const living = look.threads.filter(({ outcome }) => outcome === 'sampled');
      expect(living).toHaveLength(1);
      expect(living[0]!.tid).not.toBe(pid);
      expect(functions(look).has('work')).toBe(true);
      target.close();
    }
    process.kill(pid, 'SIGKILL');
    pause(30);
    expect(() => openTarget(pid)).toThrow(expect.objectContaining({ code: 'PROCESS_GONE' }));
  });

  (root ? test : test.skip)('a process that shuts itself off in the middle is told as refused', () => {
    const { pid } = start(
      program(`#include <sys/prctl.h>
        #include <unistd.h>
        int main(void) { usleep(300000); prctl(PR_SET_DUMPABLE, 0); for (;;) usleep(100000); }`),
      [],
      { uid: 65534 },
    );
    pause(60);
    process.seteuid!(65534);
    try {
      const target = openTarget(pid);
      expect(target.look()).toMatchObject({ refused: '', threads: [{ outcome: 'sampled' }] });
      pause(400);
      const look = target.look();
      expect(look).toMatchObject({ gone: false, refused: 'PROCESS_DENIED', threads: [{ outcome: 'torn' }] });
      expect(look.threads[0]!.frames).toEqual([]);
      target.close();
      expect(() => openTarget(pid)).toThrow(expect.objectContaining({ code: 'PROCESS_DENIED' }));
    } finally {
      process.seteuid!(0);
    }
    process.kill(pid, 'SIGKILL');
  });

  (root ? test : test.skip)('an exec into a program that may not be read is told as refused, not as an end', () => {
    const secret = program('#include <unistd.h>\nint main(void) { for (;;) usleep(100000); }');
    chmodSync(secret, 0o711);
    const { pid } = start(
      program(`#include <unistd.h>
        int main(void) { usleep(200000); execl("${secret}", "secret", (char *)0); return 1; }`),
      [],
      { uid: 65534 },
    );
    pause(60);
    process.seteuid!(65534);
    try {
      const target = openTarget(pid);
      expect(target.look()).toMatchObject({ gone: false, refused: '' });
      pause(300);
      for (let i = 0; i < 3; i++) expect(target.look()).toMatchObject({ gone: false, refused: 'PROCESS_DENIED' });
      target.close();
    } finally {
      process.seteuid!(0);
    }
    process.kill(pid, 'SIGKILL');
  });

  test('a thread whose stack pointer leads nowhere is sampled with what is known', () => {
    const { pid } = start(
      program(`#include <time.h>
        int main(void) {
          struct timespec t = { 1000, 0 };
          register long a __asm__("rdi") = (long)&t; register long b __asm__("rsi") = 0;
          __asm__ volatile("mov $16, %%rsp; mov $35, %%eax; syscall" :: "r"(a), "r"(b) : "rax", "rcx", "r11", "memory");
          for (;;) ; }`),
    );
    pause(100);
    const target = openTarget(pid);
    const began = performance.now();
    for (let i = 0; i < 200; i++) {
      target.forget();
      const [thread] = target.look().threads;
      expect(thread).toMatchObject({ outcome: 'sampled', complete: false, syscall: { number: 35 } });
      expect(thread!.frames[0]!.function).toBe('main');
    }
    expect(performance.now() - began).toBeLessThan(20_000);
    target.close();
    process.kill(pid, 'SIGKILL');
  });

  test('fork and vfork do not disturb looks at the parent', async () => {
    const { pid, exited } = start(
      program(`#define _DEFAULT_SOURCE
        #include <signal.h>
        #include <sys/wait.h>
        #include <unistd.h>
        static volatile sig_atomic_t over;
        static void end(int signal) { (void)signal; over = 1; }
        void parent(int round) { (void)round; usleep(2000); }
        int main(void) { signal(SIGTERM, end); for (int i = 0; !over; i++) {
          pid_t child = i % 2 ? vfork() : fork();
          if (child == 0) { execl("/bin/true", "true", (char *)0); _exit(1); }
          parent(i); waitpid(child, 0, 0); } return 0; }`),
    );
    const target = openTarget(pid);
    let seen = 0;
    let replaced = 0;
    const until = performance.now() + 20_000;
    for (let look = target.look(); !look.gone; look = target.look()) {
      // Node forks before it becomes the program.
      if (look.replaced) replaced++;
      if (look.threads.some(({ frames }) => frames.some((frame) => frame.function === 'parent'))) seen++;
      if (seen >= 10 || performance.now() > until) process.kill(pid, 'SIGTERM');
      pause(1);
    }
    target.close();
    expect(await exited).toBe(0);
    expect(replaced).toBeLessThan(2);
    expect(seen).toBeGreaterThanOrEqual(10);
  });

  test('a thousand threads are looked at through few descriptors, and each look says how many were opened again', () => {
    const { pid } = start(
      program(`#include <pthread.h>
        #include <unistd.h>
        void work(long id) { for (;;) sleep(1000); (void)id; }
        static void *run(void *x) { work((long)x); return x; }
        int main(void) { pthread_attr_t a; pthread_attr_init(&a); pthread_attr_setstacksize(&a, 65536);
          for (long i = 0; i < 1000; i++) { pthread_t t; if (pthread_create(&t, &a, run, (void *)i)) return 1; }
          work(-1); }`),
    );
    pause(300);
    const look = fileURLToPath(new URL('../support/look-once.ts', import.meta.url));
    const loader = fileURLToPath(new URL('../support/typescript.mjs', import.meta.url));
    const run = (limit: string): { threads: number; found: number; reopened: number; open: number; micros: number }[] =>
      JSON.parse(
        execFileSync(
          'sh',
          ['-c', `${limit} exec "$0" "$@"`, process.execPath, '--import', loader, look, String(pid), 'work', '3'],
          { encoding: 'utf8' },
        ),
      ) as never;
    const tight = run('ulimit -n 256;');
    expect(tight.map(({ threads, found }) => [threads, found])).toEqual([
      [1001, 1001],
      [1001, 1001],
      [1001, 1001],
    ]);
    expect(tight[2]!.reopened).toBeGreaterThan(100);
    expect(tight[2]!.open).toBeLessThan(256);
    const [, wide] = run('ulimit -n 4096;');
    expect(wide).toMatchObject({ threads: 1001, found: 1001, reopened: 0 });
    // A thread that did not run costs microseconds.
    expect(wide!.micros).toBeLessThan(1001 * 1000);
    process.kill(pid, 'SIGKILL');
  });
});
