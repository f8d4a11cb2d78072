import { mkdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type DockerEngine, dockerProbe, layRoot, startDocker } from '../support/docker.js';
import { realPart } from '../support/real-part.js';
import { temporaryFolder } from '../support/tmp.js';
import { BUILDS, compile, toolMissing } from './builds.js';
import { becomeReady, gdbProbe, judgeProcess } from './judge.js';

const NAMES = ['gcc -O0', 'clang -O2 -gdwarf-4', 'gcc -O3 -gdwarf-4 -static', 'gcc -O2', 'g++ -O2'];
const builds = BUILDS.filter(({ name }) => NAMES.includes(name));
const folder = temporaryFolder('oracle-container');

const missing = (): string | null =>
  dockerProbe() ?? gdbProbe() ?? (builds.map(toolMissing).find((reason) => reason !== '') || null);

realPart('docker and gdb', missing)('in containers', () => {
  let engine: DockerEngine;

  beforeAll(async () => {
    const programs = await Promise.all(builds.map((build) => compile(build, folder)));
    engine = await startDocker();
    const root = join(folder, 'root');
    layRoot(root, Object.fromEntries(programs.map((program) => [`/app/${basename(program)}`, program])));
    mkdirSync(join(root, 'out'), { recursive: true });
    engine.importImage('oracle:1', root);
  }, 120_000);

  afterAll(() => engine?.stop(), 60_000);

  test('there are as many builds as were asked for', () => {
    expect(builds).toHaveLength(NAMES.length);
  });

  test.each(builds)(
    'no wrong frame and no wrong value: $name',
    async (build) => {
      const program = `/app/${basename(await compile(build, folder))}`;
      const out = join(folder, `out-${basename(program)}`);
      mkdirSync(out);
      const id = engine.run('oracle:1', { flags: ['-v', `${out}:/out`] }, program, '/out/ready');
      await becomeReady(join(out, 'ready'));
      const pid = Number(engine.docker('inspect', '-f', '{{.State.Pid}}', id));
      const { comparison } = await judgeProcess(pid, program);
      expect(comparison.wrongFrames).toEqual([]);
      expect(comparison.wrongValues).toEqual([]);
      expect(comparison.frames).toBeGreaterThan(20);
      expect(comparison.values).toBeGreaterThan(20);
      engine.docker('rm', '-f', id);
    },
    60_000,
  );
});
