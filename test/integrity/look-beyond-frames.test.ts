import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { lookRecord } from '../../producers/memory/record/look-record.js';
import { Release } from '../../producers/memory/record/release.js';
import { openTarget } from '../../producers/memory/sample/look.js';
import { lookJson } from '../../producers/memory/sample/look-json.js';
import { decodeRecord, encodeRecord } from '../../schemas/codec.js';
import { parsePolicy } from '../../schemas/policy/parse.js';
import { compile, noCompiler, pause, start } from '../support/device.js';
import { temporaryFolder } from '../support/tmp.js';

const suite = noCompiler === '' ? describe : describe.skip;
const folder = temporaryFolder('beyond');
const SOURCE = `#include <poll.h>
  #include <stdio.h>
  #include <string.h>
  #include <unistd.h>
  enum mode { IDLE, BUSY };
  static enum mode state = BUSY;
  long counter = 1l << 60;
  char label[32] = "north valve";
  struct { int rounds; double level; } plant = { 3, 1.5 };
  static __thread int own = 4;
  __attribute__((noinline)) static void deepest(int id) { volatile char room[600]; memset((char *)room, id, sizeof room); usleep(1000); }
  __attribute__((noinline)) void finished(int level) { volatile int keep = level; deepest(keep); keep++; }
  int main(void) { own++; state = BUSY; counter++;
    struct pollfd p = { 0, 0, 0 };
    // The first call of a library's function goes through the dynamic linker, which leaves little of what lay below.
    poll(&p, 0, 0); usleep(1000);
    finished(42);
    for (;;) poll(&p, 0, 100000); }`;

const build = (name: string, flags: readonly string[]): string => {
  writeFileSync(join(folder, `${name}.c`), SOURCE);
  return compile(join(folder, `${name}.c`), folder, name, flags);
};

const policy = parsePolicy(
  `id: beyond
functions: { finished: { parameters: { level: clear } } }
globals: { counter: clear, label: hash, plant: none }
syscalls: { poll: { a1: clear, a2: hash } }
machine: { initial: a, states: { a: { on: { finished: a } } } }
`,
  'beyond.yaml',
);

suite(`what a look tells beyond live frames ${noCompiler}`, () => {
  test('a call that has returned is residue: told, weaker, and no frame', () => {
    const { pid } = start(build('residue', ['-O0', '-g']));
    pause(80);
    const target = openTarget(pid);
    const look = target.look();
    const [thread] = look.threads;
    expect(thread).toMatchObject({ outcome: 'sampled', complete: true });
    expect(thread!.frames.map((frame) => frame.function)).not.toContain('finished');
    const left = thread!.residue!.find((frame) => frame.function === 'finished');
    expect(left).toBeDefined();
    expect(left!.parameters.find(({ name }) => name === 'level')).toMatchObject({ value: 42 });
    const json = lookJson(look, 0) as { threads: { residue: { function: string; foundBy: string }[] }[] };
    expect(json.threads[0]!.residue.find((frame) => frame.function === 'finished')).toMatchObject({
      foundBy: 'residue',
    });
    expect(thread!.residue!.length).toBeLessThanOrEqual(16);
    target.close();

    const watching = openTarget(pid, new Set(['finished']));
    const release = new Release(policy);
    const record = { ...lookRecord(watching.look(), 0, release), stream: Buffer.alloc(32), seq: 0 };
    const [seen] = decodeRecord('Look', encodeRecord('Look', record)).threads;
    expect(seen!.frames.map((frame) => frame.function)).not.toContain('finished');
    expect(seen!.residue).toMatchObject([
      { function: 'finished', foundBy: 'residue', parameters: [{ name: 'level', type: 'int', int: 42 }] },
    ]);
    // Of a system call its number leaves, and the arguments that the policy names.
    expect(seen).toMatchObject({
      syscall: 7,
      arguments: [
        { name: 'a1', type: 'uint', int: 0 },
        { name: 'a2', type: 'hash' },
      ],
    });
    watching.close();
    process.kill(pid, 'SIGKILL');
  });

  test('globals and statics ride along, by name, with their types', () => {
    const { pid } = start(build('globals', ['-O0', '-g']));
    pause(80);
    const names = ['counter', 'state', 'label', 'plant', 'own', 'missing', 'environ'];
    const target = openTarget(pid, 'all', { globals: names });
    const { globals } = target.look();
    const value = (name: string): unknown => globals!.find((one) => one.name === name)!;
    expect(globals!.map(({ name }) => name)).toEqual(names);
    expect(value('counter')).toMatchObject({ kind: 'int', value: 2n ** 60n + 1n, valueKind: 'current' });
    expect(value('state')).toMatchObject({ kind: 'enum', value: 'BUSY', number: 1 });
    expect(value('label')).toMatchObject({ value: 'north valve' });
    expect(value('plant')).toMatchObject({ value: { rounds: 3, level: 1.5 } });
    expect(value('own')).toMatchObject({ value: null, unavailable: expect.stringContaining('thread') });
    expect(value('missing')).toMatchObject({ value: null, unavailable: 'no variable has this name' });
    // Of a library.
    expect(value('environ')).toMatchObject({ unavailable: '' });
    target.close();

    const watching = openTarget(pid, new Set(), { globals: [...policy.globals.keys()] });
    const record = { ...lookRecord(watching.look(), 0, new Release(policy)), stream: Buffer.alloc(32), seq: 0 };
    const { globals: told } = decodeRecord('Look', encodeRecord('Look', record));
    expect(told).toMatchObject([
      { name: 'counter', type: 'int', text: String(2n ** 60n + 1n) },
      { name: 'label', type: 'hash' },
      { name: 'plant', kind: 'unavailable' },
    ]);
    watching.close();
    process.kill(pid, 'SIGKILL');
  });

  test("without debug information a symbol of a number's size is a number", () => {
    const { pid } = start(build('plain', ['-O1']));
    pause(80);
    const target = openTarget(pid, 'all', { globals: ['counter', 'label'] });
    expect(target.look().globals).toMatchObject([
      { name: 'counter', kind: 'uint', value: 2n ** 60n + 1n },
      { name: 'label', value: null, unavailable: expect.stringContaining('32 bytes') },
    ]);
    target.close();
    process.kill(pid, 'SIGKILL');
  });
});
