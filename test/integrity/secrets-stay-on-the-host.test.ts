import { spawn } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';
import { memoryLog } from '../../infra/log/memory-log.js';
import { record } from '../../producers/memory/record/record.js';
import { parsePolicy } from '../../schemas/policy/parse.js';
import { compile, noCompiler, pause } from '../support/device.js';
import { cli } from '../support/run-cli.js';
import '../support/source-threads.js';
import { temporaryFolder } from '../support/tmp.js';

const suite = noCompiler === '' ? describe : describe.skip;
const folder = temporaryFolder('secrets');

const WORD = 'Tr0ub4dor-9f31';
const NUMBER = 7_348_215_906_113n;
const SOURCE = `#define _GNU_SOURCE
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>
char vault[64];
uint64_t pin = ${NUMBER}ull;
struct account { uint64_t number; char owner[32]; };
__attribute__((noinline)) void authenticate(const char *password, uint64_t code, struct account *who, struct account whole, double share) {
  char copy[64]; strcpy(copy, password); usleep(4000); vault[63] = copy[0] + (char)code + who->owner[0] + whole.owner[1] + (char)share; }
__attribute__((noinline)) void shown(int level) { usleep(4000); (void)level; }
static void *run(void *x) { pthread_setname_np(pthread_self(), "${WORD}"); for (;;) { char *p = strdup("${WORD}"); struct account a = { ${NUMBER}ull, "${WORD}" };
  authenticate(p, ${NUMBER}ull, &a, a, ${NUMBER}.0); free(p); shown(7); } return x; }
int main(int argc, char **argv) { strcpy(vault, argv[1]); prctl(PR_SET_NAME, "${WORD}"); pthread_t t; pthread_create(&t, 0, run, 0);
  for (;;) syscall(230, 0, 0, (uint64_t[]){ 0, 3000000 }, ${NUMBER}ull & 0, ${NUMBER}ull, ${NUMBER}ull); }`;

const varint = (value: bigint): Buffer => {
  const bytes: number[] = [];
  let left = value * 2n;
  for (; left >= 0x80n; left >>= 7n) bytes.push(Number(left & 0x7fn) | 0x80);
  bytes.push(Number(left));
  return Buffer.from(bytes);
};
const wide = (value: bigint): Buffer => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(value);
  return bytes;
};
const double = (value: number): Buffer => {
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleLE(value);
  return bytes;
};

/** The secrets in every dress that they might leave in; base64 at each of its three alignments. */
const DRESSES: ReadonlyMap<string, Buffer> = new Map([
  ['text', Buffer.from(WORD)],
  ['hex', Buffer.from(Buffer.from(WORD).toString('hex'))],
  ['utf16le', Buffer.from(WORD, 'utf16le')],
  ['utf16be', Buffer.from(WORD, 'utf16le').swap16()],
  ...[0, 1, 2].map((shift): [string, Buffer] => {
    const text = Buffer.from(`${'x'.repeat(shift)}${WORD}`).toString('base64');
    return [`base64+${shift}`, Buffer.from(text.slice(shift === 0 ? 0 : 4, -4))];
  }),
  ['number, decimal', Buffer.from(String(NUMBER))],
  ['number, hex', Buffer.from(NUMBER.toString(16))],
  ['number, Avro', varint(NUMBER)],
  ['number, little-endian', wide(NUMBER).subarray(0, 6)],
  ['number, big-endian', Buffer.from(wide(NUMBER).subarray(0, 6)).reverse()],
  ['number, double', double(Number(NUMBER))],
]);

const dressesIn = (bytes: Buffer): string[] =>
  [...DRESSES].filter(([, needle]) => bytes.includes(needle)).map(([name]) => name);

const policy = (word: string): string =>
  JSON.stringify({
    id: 'secrets',
    functions: {
      authenticate: {
        parameters: Object.fromEntries(['password', 'code', 'who', 'whole', 'share'].map((name) => [name, word])),
      },
      shown: { parameters: { level: 'clear' } },
    },
    globals: { vault: word, pin: word },
    syscalls: { clock_nanosleep: { a4: word, a5: word } },
    threadNames: word,
    machine: { initial: 'a', states: { a: { on: { authenticate: 'a', shown: 'a' } } } },
  });

/** Every byte that goes into a log: bodies and keys. */
const recorded = async (pid: number, word: string | null): Promise<Buffer> => {
  const inner = memoryLog();
  const chunks: Buffer[] = [];
  const log = Object.create(inner, {
    schemas: { value: inner.schemas },
    bounds: { value: inner.bounds.bind(inner) },
    createTopic: { value: inner.createTopic.bind(inner) },
    append: {
      value: (...[to, entries]: Parameters<typeof inner.append>) => {
        for (const { key, value, headers } of entries)
          chunks.push(key ?? Buffer.alloc(0), value ?? Buffer.alloc(0), Buffer.from(JSON.stringify(headers ?? [])));
        return inner.append(to, entries);
      },
    },
  }) as typeof inner;
  const parsed = word === null ? null : parsePolicy(policy(word), 'p.json');
  const { sampled } = await record({ pid, policy: parsed, log, for: 900_000, budget: 300 });
  expect(sampled).toBeGreaterThan(10);
  return Buffer.concat(chunks);
};

suite(`what a program keeps secret ${noCompiler}`, () => {
  let pid = 0;
  let kill = (): void => {};
  if (noCompiler === '') {
    writeFileSync(join(folder, 'vault.c'), SOURCE);
    const program = compile(join(folder, 'vault.c'), folder, 'vault', ['-O0', '-g', '-w']);
    const child = spawn(program, [WORD], {
      detached: true,
      stdio: 'ignore',
      env: { SECRET: WORD, PIN: String(NUMBER) },
    });
    pid = child.pid!;
    kill = () => void child.kill('SIGKILL');
    pause(100);
  }
  afterAll(() => kill());

  test('what the policy clears is found by this search: it can fail', async () => {
    const found = dressesIn(await recorded(pid, 'clear'));
    expect(found).toEqual(expect.arrayContaining(['text', 'number, Avro', 'number, double']));
  });

  test.each([['none'], ['hash']])('released as %s, nothing of it leaves in any dress', async (word) => {
    const bytes = await recorded(pid, word);
    expect(dressesIn(bytes)).toEqual([]);
    // The rest did leave: this was no empty recording.
    expect(bytes.includes('authenticate')).toBe(true);
    expect(bytes.includes('shown')).toBe(true);
  });

  test('without a policy nothing of it leaves', async () => {
    const bytes = await recorded(pid, null);
    expect(dressesIn(bytes)).toEqual([]);
    expect(bytes.includes('authenticate')).toBe(true);
  });

  test('a policy for another binary releases nothing', async () => {
    const other = { ...(JSON.parse(policy('clear')) as object), binary: '**/other' };
    const log = memoryLog();
    const values: Buffer[] = [];
    const append = log.append.bind(log);
    log.append = (to, entries) => {
      values.push(...entries.map(({ value }) => value ?? Buffer.alloc(0)));
      return append(to, entries);
    };
    await record({ pid, policy: parsePolicy(JSON.stringify(other), 'o.json'), log, for: 400_000 });
    expect(dressesIn(Buffer.concat(values))).toEqual([]);
  });

  test.each([
    ['hash', false],
    ['clear', true],
  ])('released as %s: the files of a trace and what the command prints hold it: %p', async (word, held) => {
    const file = join(folder, `policy-${word}.json`);
    writeFileSync(file, policy(word));
    const trace = join(folder, `trace-${word}`);
    const options = ['--policy', file, '--out', trace, '--for', '700ms', '--output', 'json'];
    const ran = await cli(['record', '--pid', String(pid), ...options]);
    expect(ran.code).toBe(0);
    expect(dressesIn(Buffer.from(ran.stdout + ran.stderr))).toEqual([]);
    const files = readdirSync(trace, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
    const bytes = Buffer.concat(files.map((entry) => readFileSync(join(entry.parentPath, entry.name))));
    expect(bytes.includes('authenticate')).toBe(true);
    if (held) expect(dressesIn(bytes)).toEqual(expect.arrayContaining(['text', 'number, Avro']));
    else expect(dressesIn(bytes)).toEqual([]);
  });
});
