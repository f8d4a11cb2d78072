import { spawnSync } from 'node:child_process';
import { mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { noCompiler } from '../support/device.js';
import { CLI, distProbe } from '../support/dist.js';
import { realPart } from '../support/real-part.js';
import { temporaryFolder } from '../support/tmp.js';

const folder = temporaryFolder('demo');

const demo = (name: string, path: string) => {
  const args = [CLI, 'demo', '--out', join(folder, name)];
  const ran = spawnSync(process.execPath, args, { encoding: 'utf8', env: { ...process.env, PATH: path } });
  const rows = ran.stdout
    .split('\n')
    .map((line) => /^(\S+) +\d\d:\d\d:\d\d\.\d{3} +(\S+)/.exec(line))
    .flatMap((match) => (match === null ? [] : [`${match[1]} ${match[2]}`]));
  return { ...ran, rows: new Set(rows) };
};

const widest = (text: string): number => Math.max(...text.split('\n').map((line) => line.length));

realPart('build', distProbe)('the demonstration', () => {
  test('without a compiler it judges the recording', () => {
    const path = join(folder, 'bin');
    mkdirSync(path);
    symlinkSync(process.execPath, join(path, 'node'));
    const ran = demo('recorded', path);
    expect(ran).toMatchObject({ status: 0 });
    expect(ran.stderr).toContain('no C compiler');
    expect([...ran.rows]).toEqual(expect.arrayContaining(['healthy conforming', 'skip violated', 'level violated']));
    expect(ran.rows).not.toContain('healthy violated');
    expect(widest(ran.stdout)).toBeLessThanOrEqual(100);
  }, 60_000);
});

realPart('build and compiler', () => distProbe() ?? (noCompiler === '' ? null : noCompiler))(
  'the demonstration, live',
  () => {
    test('it sees the attacks from outside and names where to look next', () => {
      const ran = demo('live', process.env['PATH'] ?? '');
      expect(ran).toMatchObject({ status: 0 });
      expect(ran.stderr).toMatch(/seen from outside: main → control_cycle → actuate\(level=95/);
      expect(ran.stderr).toMatch(/explain [0-9a-f]{12} --log/);
      expect([...ran.rows]).toEqual(expect.arrayContaining(['healthy conforming', 'skip violated', 'level violated']));
    }, 60_000);
  },
);
