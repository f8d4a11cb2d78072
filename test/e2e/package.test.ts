import { spawnSync } from 'node:child_process';
import { readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { distProbe } from '../support/dist.js';
import { realPart } from '../support/real-part.js';
import { ROOT } from '../support/sources.js';
import { temporaryFolder } from '../support/tmp.js';

const folder = temporaryFolder('package');

const npm = (cwd: string, ...args: string[]) => spawnSync('npm', args, { cwd, encoding: 'utf8', timeout: 240_000 });

const probe = (): string | null => {
  const missing = distProbe();
  if (missing !== null) return missing;
  return npm(ROOT, 'view', 'commander', 'version', '--fetch-retries=0').status === 0
    ? null
    : 'no package registry answers';
};

/** MB without its dependencies: sources are small, and nothing big may slip in. */
const MAX_PACKED = 5_000_000;

realPart('package registry', probe)('the package', () => {
  test('installs into an empty folder without its optional parts, and runs there', () => {
    const packed = npm(ROOT, 'pack', '--ignore-scripts', '--json', '--pack-destination', folder);
    expect(packed.status).toBe(0);
    const [{ filename, files }] = JSON.parse(packed.stdout) as [{ filename: string; files: { path: string }[] }];
    const names = files.map(({ path }) => path);
    expect(names).toEqual(
      expect.arrayContaining(['LICENSE', 'dist/cli/main.js', 'dist/schemas/events/Activation.avsc']),
    );
    expect(
      names.filter((name) => name.startsWith('test/') || name.endsWith('.map') || name.includes('node_modules')),
    ).toEqual([]);
    const { size } = statSync(join(folder, filename));
    expect(size).toBeLessThan(MAX_PACKED);

    writeFileSync(join(folder, 'package.json'), '{"private": true}');
    const installed = npm(
      folder,
      'install',
      filename,
      '--omit=optional',
      '--prefer-offline',
      '--no-audit',
      '--no-fund',
    );
    expect({ status: installed.status, stderr: installed.stderr }).toMatchObject({ status: 0 });
    expect(readdirSync(join(folder, 'node_modules'))).not.toContain('chdb');

    const help = spawnSync('npx', ['--no-install', 'attestream', '--help'], { cwd: folder, encoding: 'utf8' });
    expect(help).toMatchObject({ status: 0, stderr: '' });
    writeFileSync(join(folder, 'calls.ndjson'), '{"at":1,"process":"p","function":"f"}\n');
    const imported = spawnSync(
      'npx',
      ['--no-install', 'attestream', 'import', 'calls.ndjson', '--out', 'trace', '--output', 'json'],
      {
        cwd: folder,
        encoding: 'utf8',
      },
    );
    expect(JSON.parse(imported.stdout)).toMatchObject({ records: 1 });
    const doctor = spawnSync('npx', ['--no-install', 'attestream', 'doctor', '--output', 'json'], {
      cwd: folder,
      encoding: 'utf8',
    });
    expect(JSON.parse(doctor.stdout)).toContainEqual(
      expect.objectContaining({ check: 'embedded ClickHouse', state: 'note' }),
    );

    const library = join(folder, 'use.mjs');
    writeFileSync(
      library,
      `import { TOPICS, memoryLog } from 'attestream'; console.log(TOPICS.length > 0, memoryLog().name);`,
    );
    expect(spawnSync(process.execPath, [library], { encoding: 'utf8' })).toMatchObject({
      stdout: 'true memory\n',
      stderr: '',
    });
    const { stdout: disk } = spawnSync('du', ['-sm', join(folder, 'node_modules')], { encoding: 'utf8' });
    process.stderr.write(
      `package: ${(size / 1000).toFixed(0)} kB packed, ${Number.parseInt(disk, 10)} MB installed without optional parts\n`,
    );
  }, 300_000);
});
