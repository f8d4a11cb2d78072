import { execFileSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, test } from '@jest/globals';
import { openCapture } from '../../producers/memory/capture/capture.js';
import { lookAtCapture } from '../../producers/memory/capture/look-at-capture.js';
import { saveCapture } from '../../producers/memory/capture/save-capture.js';
import { openTarget } from '../../producers/memory/sample/look.js';
import type { SeenThread } from '../../producers/memory/sample/look-result.js';
import { compile, noCompiler, pause, start } from '../support/device.js';
import { ROOT } from '../support/sources.js';
import { temporaryFolder } from '../support/tmp.js';

const folder = temporaryFolder('captures');
const VECTOR = join(ROOT, 'test/vectors/arm64/c-O2.epoll');
const live = noCompiler === '' ? describe : describe.skip;
let made = 0;
const place = (): string => join(folder, `c${made++}`);

/** A copy of a capture that may be spoilt, with its program beside it. */
const copy = (): string => {
  const target = place();
  cpSync(VECTOR, target, { recursive: true });
  mkdirSync(join(target, 'bin'));
  cpSync(join(VECTOR, '../bin/c-O2.gz'), join(target, 'bin/c-O2.gz'));
  return target;
};

const decoded = (path: string): readonly SeenThread[] => lookAtCapture(openCapture(path), 'all').threads;
const told = (threads: readonly SeenThread[]): unknown =>
  threads.map(({ tid, complete, syscall, frames }) => ({ tid, complete, syscall, frames }));

const SOURCE = `
#include <pthread.h>
#include <signal.h>
#include <unistd.h>
struct point { int x, y; };
int limit = 41;
static char other[65536];
__attribute__((noinline)) int inner(const char *name, struct point *at, double share) { pause(); return name[0] + at->x + share > 2; }
__attribute__((noinline)) int outer(int number) { struct point at = {number, limit}; return inner("pump", &at, 0.25) + at.y; }
static void handler(int number) { outer(number); }
static void *run(void *unused) {
  stack_t s = {.ss_sp = other, .ss_size = sizeof other}; sigaltstack(&s, 0);
  struct sigaction a = {.sa_handler = handler, .sa_flags = SA_ONSTACK}; sigaction(SIGUSR1, &a, 0);
  raise(SIGUSR1); return unused; }
int main(void) { pthread_t t; pthread_create(&t, 0, run, 0); return outer(7); }
`;

live(`captures of a live program ${noCompiler}`, () => {
  const source = join(folder, 'program.c');
  writeFileSync(source, SOURCE);
  const program = compile(source, folder, 'program', ['-O0', '-g']);
  const running = (): number => {
    const { pid } = start(program);
    pause(100);
    return pid;
  };

  test('what is decoded from the evidence is what the look saw, values, both stacks and all', () => {
    const pid = running();
    const target = openTarget(pid);
    const seen = target.look();
    target.close();
    const path = place();
    const saved = saveCapture(pid, path, 1_234_567, { files: true, programs: path });
    process.kill(pid, 'SIGKILL');
    expect(saved).toMatchObject({ missing: [], threads: [{ outcome: 'sampled' }, { outcome: 'sampled' }] });
    const capture = openCapture(path);
    expect(capture).toMatchObject({ pid, startTime: seen.startTime, at: 1_234_567, problems: [] });
    const look = lookAtCapture(capture, 'all');
    expect(told(look.threads)).toEqual(told(seen.threads));
    expect(look.threads.every(({ complete }) => complete)).toBe(true);
    const values = look.threads[0]!.frames.find((frame) => frame.function === 'inner')!.parameters;
    expect(values.map(({ value }) => value)).toEqual(['pump', expect.anything(), 0.25]);
    expect(() => saveCapture(pid, path, 0, { files: true, programs: path })).toThrow(
      expect.objectContaining({ code: 'CAPTURE_EXISTS' }),
    );
  });

  test('whatever is changed, taken away or put in is told', () => {
    const pid = running();
    const path = place();
    saveCapture(pid, path, 0, { files: true, programs: path });
    process.kill(pid, 'SIGKILL');
    const problems = (): readonly string[] | null => openCapture(path).problems;
    expect(problems()).toEqual([]);
    for (const name of readdirSync(path).filter((entry) => entry !== 'capture.json' && !/^(?:bin|lib)$/.test(entry))) {
      const before = readFileSync(join(path, name));
      if (before.length === 0) continue;
      const after = Buffer.from(before);
      after[after.length >> 1]! ^= 1;
      writeFileSync(join(path, name), after);
      // A file whose own shape is broken is refused outright.
      let found: readonly string[] | null = ['refused'];
      try {
        found = problems();
      } catch (error) {
        expect(error).toMatchObject({ code: 'CAPTURE_INVALID' });
      }
      expect(found).toHaveLength(1);
      writeFileSync(join(path, name), before);
    }
    writeFileSync(join(path, 'mem-1000'), 'x');
    expect(problems()).toEqual(['mem-1000 was not there when it was captured']);
    rmSync(join(path, 'mem-1000'));
    const libc = join(path, 'lib/libc.so.6');
    const bytes = readFileSync(libc);
    // Packed it is the same evidence; changed by a bit it is another.
    writeFileSync(`${libc}.gz`, gzipSync(bytes, { level: 1 }));
    rmSync(libc);
    expect(problems()).toEqual([]);
    bytes[bytes.length >> 1]! ^= 1;
    writeFileSync(libc, bytes);
    expect(problems()).toHaveLength(1);
    rmSync(libc);
    rmSync(`${libc}.gz`);
    expect(problems()).toEqual(['lib/libc.so.6 is missing']);
  });

  test('without the files it is decoded as far as it goes, and several captures share theirs', () => {
    const pid = running();
    const parent = place();
    mkdirSync(parent);
    const [bare, first, second] = [place(), join(parent, `${pid}.0`), join(parent, `${pid}.1`)];
    saveCapture(pid, bare, 0, { files: false, programs: bare });
    for (const path of [first, second]) saveCapture(pid, path, 0, { files: true, programs: parent });
    process.kill(pid, 'SIGKILL');
    expect(existsSync(join(bare, 'bin'))).toBe(false);
    expect(openCapture(bare).problems).toEqual([]);
    expect(decoded(bare)[0]).toMatchObject({ outcome: 'sampled', complete: false, syscall: { number: 34 } });
    expect(readdirSync(parent).sort()).toEqual([`${pid}.0`, `${pid}.1`, 'bin', 'lib'].sort());
    expect(openCapture(second).problems).toEqual([]);
    expect(decoded(second)[0]!.complete).toBe(true);
  });
});

describe('captures that somebody made up', () => {
  test('threads that wait in many ways, of another libc, are decoded without a compiler', () => {
    const capture = openCapture(join(ROOT, 'test/vectors/x86-64/stacks'));
    expect(capture.problems).toEqual([]);
    const { threads, architecture } = lookAtCapture(capture, 'all');
    expect(architecture).toBe('x86-64');
    expect(threads).toHaveLength(24);
    const incomplete = threads.filter(({ complete }) => !complete);
    expect(incomplete.map(({ frames }) => frames.some((frame) => frame.function === 'pointed'))).toEqual([true]);
  });

  test('what is no capture is refused with a code', () => {
    const empty = place();
    mkdirSync(empty);
    for (const path of [empty, join(empty, 'nothing'), join(VECTOR, 'maps')])
      expect(() => openCapture(path)).toThrow(expect.objectContaining({ code: 'CAPTURE_INVALID' }));
    const nameless = copy();
    rmSync(join(nameless, 'pid'));
    rmSync(join(nameless, 'stat'));
    expect(() => openCapture(nameless)).toThrow(expect.objectContaining({ code: 'CAPTURE_INVALID' }));
    const wild = copy();
    for (const text of ['{', '[]', 'null', '"x"']) {
      writeFileSync(join(wild, 'capture.json'), text);
      expect(() => openCapture(wild)).toThrow(expect.objectContaining({ code: 'CAPTURE_INVALID' }));
    }
    writeFileSync(join(wild, 'capture.json'), '{"at":-1,"hashes":[1],"buildIds":{"a":1},"files":7}');
    expect(openCapture(wild)).toMatchObject({ at: 0 });
  });

  test('links and paths that lead out of the folder lead nowhere', () => {
    const path = copy();
    const tid = /(\d+)\.syscall/.exec(readdirSync(path).join())![1]!;
    const secret = join(folder, 'secret');
    writeFileSync(secret, readFileSync(join(path, `${tid}.stack`)));
    rmSync(join(path, `${tid}.stack`));
    symlinkSync(secret, join(path, `${tid}.stack`));
    rmSync(join(path, 'bin'), { recursive: true });
    symlinkSync('/usr/bin', join(path, 'bin'));
    mkdirSync(join(path, 'lib'));
    symlinkSync('/etc/passwd', join(path, 'lib/libc.so.6'));
    writeFileSync(
      join(path, 'capture.json'),
      JSON.stringify({
        hashes: { '../../../etc/passwd': '00', '/etc/passwd': '00' },
        files: { '/root/bin/c-O2': '../../../../etc/passwd' },
      }),
    );
    const capture = openCapture(path);
    expect(capture.problems).toEqual(
      expect.arrayContaining(['../../../etc/passwd is missing', '/etc/passwd is missing']),
    );
    // No stack was read from outside.
    expect(
      capture.image.memory(Number(readFileSync(join(path, `${tid}.stack.addr`), 'latin1').split(' ')[0]), 64),
    ).toHaveLength(0);
    expect(lookAtCapture(capture, 'all').threads[0]!.complete).toBe(false);
  });

  test('lying sizes and addresses, huge and special files cost nothing', () => {
    const path = copy();
    const tid = /(\d+)\.syscall/.exec(readdirSync(path).join())![1]!;
    const stack = join(path, `${tid}.stack`);
    const original = readFileSync(stack);
    truncateSync(stack, 2 ** 40);
    expect(() => openCapture(path)).toThrow(expect.objectContaining({ code: 'CAPTURE_INVALID' }));
    rmSync(stack);
    execFileSync('mkfifo', [stack]);
    expect(decoded(path)[0]!.complete).toBe(false);
    rmSync(stack);
    writeFileSync(stack, original);
    for (const line of ['', 'nonsense', '0xffffffffffffffff', `${'9'.repeat(300)} sp=`, '-1']) {
      writeFileSync(`${stack}.addr`, line);
      expect(decoded(path)[0]!.complete).toBe(false);
    }
    writeFileSync(join(path, `${tid}.syscall`), '1 2 3');
    expect(decoded(path)[0]).toMatchObject({ outcome: 'torn', frames: [] });
    writeFileSync(join(path, `${tid}.syscall`), `22${' 0xffffffffffffffff'.repeat(8)}\n`);
    expect(decoded(path)[0]).toMatchObject({ outcome: 'sampled', complete: false });
  });

  test('a program that unpacks without end is left out', () => {
    const path = copy();
    const member = gzipSync(Buffer.alloc(8 * 1024 * 1024));
    writeFileSync(join(path, 'bin/c-O2.gz'), Buffer.concat(Array.from({ length: 40 }, () => member)));
    const before = process.memoryUsage().arrayBuffers;
    expect(decoded(path)[0]!.frames.some((frame) => frame.function === 'inner')).toBe(false);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(600 * 1024 * 1024);
  });
});
