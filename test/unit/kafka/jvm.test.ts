import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from '@jest/globals';
import { transformSync } from '@swc/core';
import { temporaryFolder } from '../../support/tmp.js';

const folder = temporaryFolder('jvm');
const root = new URL('../../../', import.meta.url);

/** The sources as a program of its own can load them: the process that starts a server must die, and it cannot be this one. */
const compiled = (path: string): string => {
  const { code } = transformSync(readFileSync(new URL(path, root), 'utf8'), {
    jsc: { target: 'es2022', parser: { syntax: 'typescript' } },
    module: { type: 'es6' },
  });
  const to = join(folder, path.replace(/\.ts$/, '.js'));
  mkdirSync(dirname(to), { recursive: true });
  writeFileSync(to, code);
  return to;
};

const alive = (pid: number): boolean => {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
};

test('a server does not outlive the process that started it, even one that is killed', async () => {
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
  compiled('schemas/errors.ts');
  const jvm = compiled('infra/kafka/jvm.ts');
  const java = join(folder, 'java');
  writeFileSync(java, '#!/bin/sh\nexec sleep 60\n', { mode: 0o755 });
  const script = `
    const { startJava } = await import(${JSON.stringify(jvm)});
    const service = startJava([], ${JSON.stringify(folder)}, ${JSON.stringify(join(folder, 'log'))});
    setTimeout(() => console.log(service.pid), 100);
    setInterval(() => {}, 1000);`;
  const parent = spawn(process.execPath, ['--input-type=module', '-e', script], {
    env: { ...process.env, PATH: `${folder}:${process.env['PATH']}` },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [printed] = (await once(parent.stdout, 'data')) as [Buffer];
  const pid = Number(printed.toString());
  expect(alive(pid)).toBe(true);
  parent.kill('SIGKILL');
  await once(parent, 'exit');
  for (let i = 0; alive(pid) && i < 100; i++) await new Promise((resolve) => setTimeout(resolve, 20));
  expect(alive(pid)).toBe(false);
});
