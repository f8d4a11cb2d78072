import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test } from '@jest/globals';
import { CLI, distProbe } from '../support/dist.js';
import { realPart } from '../support/real-part.js';
import { ROOT } from '../support/sources.js';
import { temporaryFolder } from '../support/tmp.js';

const folder = temporaryFolder('e2e-cli');
const file = join(folder, 'calls.ndjson');
const trace = join(folder, 'trace');

const shell = (script: string) =>
  spawnSync('bash', ['-c', `set -o pipefail; attestream() { "${process.execPath}" "${CLI}" "$@"; }; ${script}`], {
    cwd: folder,
    encoding: 'utf8',
    timeout: 60_000,
  });

/** A process that waits in an import from a pipe that nobody writes to. */
const waiting = async (name: string, options: readonly string[] = []) => {
  const pipe = join(folder, name);
  spawnSync('mkfifo', [pipe]);
  const child = spawn(process.execPath, [...options, CLI, 'import', pipe, '--out', join(folder, `${name}-trace`)]);
  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk.toString();
  });
  // Opening the other end succeeds once the import reads; what is written keeps it from ending.
  const writer = spawn('bash', ['-c', `exec 3>"${pipe}"; echo '{"at":1' >&3; echo open; sleep 60`]);
  const ended = once(child, 'exit').then(() => {
    throw new Error(`the import ended early: ${stderr}`);
  });
  await Promise.race([once(writer.stdout, 'data'), ended]);
  ended.catch(() => undefined);
  return { child, writer, stderr: () => stderr };
};

realPart('build', distProbe)('the command as it is shipped', () => {
  beforeAll(() => {
    const lines = Array.from({ length: 20_000 }, (_, i) =>
      JSON.stringify({ at: i, process: 'p', function: 'f', parameters: { i } }),
    );
    writeFileSync(file, lines.join('\n'));
    expect(shell(`attestream import ${file} --out ${trace} --quiet`)).toMatchObject({ status: 0, stderr: '' });
  });

  test('a reader that has seen enough ends it quietly with 0', () => {
    const ran = shell(`attestream trace cat ${trace} --output ndjson | head -n 1 | wc -l`);
    expect(ran).toMatchObject({ status: 0, stdout: '1\n', stderr: '' });
  });

  test('a full disk behind stdout is exit 3 with the words of the system', () => {
    const ran = shell(`attestream trace cat ${trace} --output ndjson > /dev/full`);
    expect(ran.status).toBe(3);
    expect(ran.stderr).toMatch(/^attestream: SYSTEM: .*ENOSPC/);
  });

  test('nothing but data comes to stdout, all of it, in order', () => {
    const ran = spawnSync(process.execPath, [CLI, 'trace', 'cat', trace, '--output', 'ndjson'], {
      encoding: 'utf8',
      maxBuffer: 1 << 28,
    });
    const values = ran.stdout
      .trimEnd()
      .split('\n')
      .map((line) => (JSON.parse(line) as { payload: { seq: number } }).payload.seq);
    expect(values).toEqual(Array.from({ length: 20_000 }, (_, i) => i));
  });

  test.each(['SIGINT', 'SIGTERM'] as const)('%s ends an import with 130', async (signal) => {
    const { child, writer, stderr } = await waiting(`pipe-${signal}`);
    child.kill(signal);
    const [code] = (await once(child, 'exit')) as [number | null];
    writer.kill();
    expect({ code, stderr: stderr() }).toEqual({ code: 130, stderr: `attestream: interrupted by ${signal}\n` });
  });

  test('a crash is exit 3, never 1', async () => {
    const crash = join(folder, 'crash.mjs');
    writeFileSync(crash, `process.on('SIGUSR2', () => { throw new TypeError('boom'); });`);
    const { child, writer, stderr } = await waiting('pipe-crash', ['--import', crash]);
    child.kill('SIGUSR2');
    const [code] = (await once(child, 'exit')) as [number | null];
    writer.kill();
    expect(code).toBe(3);
    expect(stderr()).toMatch(/^attestream: INTERNAL: boom\n/);
  });

  test('a named pipe is read to the end of its writer', () => {
    const ran = shell(
      `mkfifo whole; cat ${file} > whole & attestream import whole --out whole-trace --output json; code=$?; wait; exit $code`,
    );
    expect(ran).toMatchObject({ status: 0, stderr: '' });
    expect(JSON.parse(ran.stdout)).toMatchObject({ records: 20_000, rejected: 0 });
  });

  test('it is executable and has the version of the package', () => {
    const ran = spawnSync(CLI, ['--version'], { encoding: 'utf8' });
    const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string };
    expect(ran).toMatchObject({ status: 0, stdout: `${version}\n`, stderr: '' });
  });
});
