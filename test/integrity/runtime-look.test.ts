import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, realpathSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { sourceOfBuffer } from '../../producers/memory/elf/byte-source.js';
import { parseElf } from '../../producers/memory/elf/elf.js';
import { mayHoldRuntime, runtimeOf } from '../../producers/memory/locate/runtime.js';
import { noCompiler, pause, start } from '../support/device.js';
import { cli } from '../support/run-cli.js';
import { temporaryFolder } from '../support/tmp.js';

const folder = temporaryFolder('runtime');
const suite = noCompiler === '' ? describe : describe.skip;

const output = (program: string, ...args: string[]): string => {
  try {
    return execFileSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  } catch {
    return '';
  }
};

interface Shown {
  readonly runtime: string;
  readonly threads: readonly {
    readonly outcome: string;
    readonly frames: readonly { readonly runtime: string; readonly module: string | null }[];
  }[];
}

const shown = async (program: string, ...args: string[]): Promise<Shown> => {
  const { pid } = start(program, args);
  pause(400);
  const ran = await cli(['look', `${pid}`, '--output', 'json']);
  process.kill(pid, 'SIGKILL');
  expect(ran).toMatchObject({ code: 0, stderr: '' });
  return JSON.parse(ran.stdout) as Shown;
};

suite(`the runtime of a program ${noCompiler}`, () => {
  test('that was compiled is native', async () => {
    const look = await shown('/bin/sleep', '10');
    expect(look.runtime).toBe('native');
    expect(look.threads[0]!.frames.every(({ runtime }) => runtime === 'native')).toBe(true);
  });

  test('Node says so, and which frames are not those of files', async () => {
    const look = await shown(
      process.execPath,
      '-e',
      'setInterval(() => { const end = Date.now() + 50; while (Date.now() < end); }, 51)',
    );
    expect(look.runtime).toBe('node');
    for (const { frames } of look.threads)
      for (const { runtime, module } of frames) expect(runtime).toBe(module === null ? 'node' : 'native');
  });

  test('Python says which one', async () => {
    const version = output('python3', '-c', 'import sys; print("%d.%d" % sys.version_info[:2])');
    if (version === '') return;
    const python = output('python3', '-c', 'import sys; print(sys.executable)');
    expect((await shown(python, '-c', 'import time; time.sleep(10)')).runtime).toBe(`python ${version}`);
  });

  test('Go tells what it was built with, stripped or not', () => {
    const programs = [
      '/usr/sbin/runc',
      '/usr/bin/runc',
      '/usr/bin/containerd',
      output('sh', '-c', 'command -v go'),
    ].filter((path) => path !== '' && existsSync(path));
    for (const path of new Set(programs.map((program) => realpathSync(program)))) {
      const bytes = readFileSync(path);
      const [, version] = /go(\d+\.\d+)/.exec(
        bytes.subarray(bytes.indexOf(Buffer.from('\xff Go buildinf:', 'latin1'))).toString('latin1', 32, 64),
      )!;
      expect(runtimeOf(parseElf(sourceOfBuffer(bytes)), path)).toBe(`go ${version}`);
      bytes.fill(0, 0x28, 0x30);
      bytes.writeUInt16LE(0, 0x3c);
      expect(runtimeOf(parseElf(sourceOfBuffer(bytes)), path)).toBe(`go ${version}`);
    }
  });

  test('Java is told by its library', () => {
    const library = output('sh', '-c', 'ls /usr/lib/jvm/*/lib/server/libjvm.so | head -1');
    if (library === '') return;
    expect(runtimeOf(parseElf(sourceOfBuffer(readFileSync(library))), library)).toBe('java');
  });

  test('Perl, a program of every Debian, and others are told by what they export', () => {
    const perl = '/usr/bin/perl';
    if (existsSync(perl)) expect(runtimeOf(parseElf(sourceOfBuffer(readFileSync(perl))), perl)).toBe('perl');
    const exported = (name: string, code: string): string | null => {
      const path = join(folder, name);
      writeFileSync(`${path}.c`, code);
      execFileSync('gcc', ['-shared', '-fPIC', '-o', path, `${path}.c`]);
      expect(mayHoldRuntime(path)).toBe(true);
      return runtimeOf(parseElf(sourceOfBuffer(readFileSync(path))), path);
    };
    expect(exported('libruby-3.1.so.3.1', 'const char ruby_version[] = "3.1.2";')).toBe('ruby 3.1');
    expect(exported('libperl.so.5.36', 'int Perl_runops_standard(void) { return 0; }')).toBe('perl 5.36');
    expect(exported('libphp8.2.so', 'void (*zend_execute_ex)(void *);')).toBe('php 8.2');
  });
});
