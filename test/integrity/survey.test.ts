import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import type { Surveyed } from '../../producers/memory/survey/survey.js';
import { compile, noCompiler, pause, start } from '../support/device.js';
import { cli } from '../support/run-cli.js';
import { temporaryFolder } from '../support/tmp.js';

const suite = noCompiler === '' ? describe : describe.skip;
const folder = temporaryFolder('survey');

suite(`a survey of a live program ${noCompiler}`, () => {
  const source = join(folder, 'program.c');
  // Three quarters of its time in `long_one`, a quarter in `short_one`.
  writeFileSync(
    source,
    `#include <unistd.h>
     void long_one(const char *secret, int n) { usleep(30000); (void)secret; (void)n; }
     void short_one(int n) { usleep(10000); (void)n; }
     int main(void) { for (int n = 0;; n++) { long_one("swordfish", n % 5); short_one(n % 3); } }`,
  );

  test('tells what it does in which share of its time, and no values', async () => {
    const { pid } = start(compile(source, folder, 'program'));
    pause(50);
    const ran = await cli(['record', '--pid', `${pid}`, '--survey', '--for', '2s', '--output', 'json']);
    expect(ran).toMatchObject({ code: 0, stderr: '' });
    expect(ran.stdout).not.toContain('swordfish');
    const { functions, sampled } = JSON.parse(ran.stdout) as Surveyed;
    expect(sampled).toBeGreaterThan(10);
    const [long, short, main] = ['long_one', 'short_one', 'main'].map(
      (name) => functions.find((one) => one.function === name)!,
    );
    expect(main).toMatchObject({ uncertain: 0 });
    expect(main!.share).toBeGreaterThan(0.95);
    expect(long!.share).toBeGreaterThan(0.5);
    expect(short!.share).toBeLessThan(0.45);
    expect(long!.parameters).toMatchObject([
      { name: 'secret', type: 'const char *', distinct: 1, values: null },
      { name: 'n', type: 'int', distinct: 5, values: null },
    ]);
    const shown = await cli(['record', '--pid', `${pid}`, '--survey', '--values', '--for', '500ms']);
    expect(shown.stdout).toContain('swordfish');
    expect(shown.stdout).toMatch(/^FUNCTION +LOOKS +INNERMOST/);
    process.kill(pid, 'SIGKILL');
  });

  test('values never go into a trace', async () => {
    const out = join(folder, 'trace');
    for (const argv of [
      ['record', '--pid', '1', '--survey', '--values', '--out', out],
      ['record', '--pid', '1', '--survey', '--values', '--log', out],
      ['record', '--pid', '1', '--policy', 'x', '--values'],
    ])
      expect(await cli(argv)).toMatchObject({ code: 2, stderr: expect.stringContaining('--values') });
  });
});
