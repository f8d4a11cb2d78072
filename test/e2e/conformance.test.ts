import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { distProbe } from '../support/dist.js';
import { realPart } from '../support/real-part.js';
import { ROOT } from '../support/sources.js';
import { temporaryFolder } from '../support/tmp.js';

const folder = temporaryFolder('cases');

const run = (cases: string) =>
  spawnSync(process.execPath, [join(ROOT, 'scripts/conformance.mjs'), cases], { encoding: 'utf8', timeout: 300_000 });

realPart('build', distProbe)('conformance cases', () => {
  test('all of ours pass', () => {
    const ran = run(join(ROOT, 'test/conformance'));
    expect(ran.stderr).toBe('');
    expect(ran.stdout).toMatch(/^[1-9]\d* passed, 0 failed\n$/);
    expect(ran.status).toBe(0);
  }, 300_000);

  test('a case that does not hold fails, by exit code, by output and by what is not there', () => {
    const write = (name: string, value: object): void =>
      writeFileSync(join(folder, `${name}.case.json`), JSON.stringify(value));
    write('right', { command: 'config print', arguments: ['--output', 'json'], stdout: [] });
    write('exit', { command: 'config print', exit: 1 });
    write('length', { command: 'config print', arguments: ['--output', 'json'], stdout: [{}] });
    write('member', { command: 'config schema', stdout: { type: 'array' } });
    write('text', { command: '--help', stdout: 'no such words' });
    const ran = run(folder);
    expect(ran.stdout).toBe('1 passed, 4 failed\n');
    expect(ran.status).toBe(1);
  });
});
