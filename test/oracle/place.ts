import { cpSync, mkdirSync, mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { start } from '../support/device.js';
import { dockerProbe, layRoot, startDocker } from '../support/docker.js';
import { becomeReady } from './judge.js';

/** Where programs run that are looked at. */
export interface Place {
  readonly name: string;
  /** Lets a program of the folder run until it is `ended`; gives its process id as the host sees it, once all its threads wait. */
  start(program: string): Promise<{ readonly pid: number; end(): void }>;
  stop(): Promise<void>;
}

const IMAGE = 'oracle:1';

/** In containers of an engine; on the host where none can be. `folder`: programs and what debuggers want of them, all built. */
export const placeFor = async (folder: string, programs: readonly string[]): Promise<Place> =>
  dockerProbe() === null ? await containers(folder, programs) : onHost(folder);

/** In the container everything stands under the same paths: they are written into debug information. */
const containers = async (folder: string, programs: readonly string[]): Promise<Place> => {
  const engine = await startDocker();
  const root = mkdtempSync(join(engine.folder, 'root-'));
  layRoot(root, Object.fromEntries(programs.map((program) => [program, program])));
  cpSync(folder, join(root, folder), { recursive: true });
  mkdirSync(join(root, 'out'), { recursive: true });
  engine.importImage(IMAGE, root);
  return {
    name: 'in containers',
    async start(program) {
      const out = mkdtempSync(join(engine.folder, 'out-'));
      const id = engine.run(IMAGE, { flags: ['-v', `${out}:/out`] }, program, '/out/ready');
      await becomeReady(join(out, 'ready'));
      const pid = Number(engine.docker('inspect', '-f', '{{.State.Pid}}', id));
      return { pid, end: () => void engine.docker('rm', '-f', id) };
    },
    stop: () => engine.stop(),
  };
};

const onHost = (folder: string): Place => ({
  name: 'on the host',
  async start(program) {
    const ready = join(mkdtempSync(join(folder, 'out-')), 'ready');
    const { pid } = start(program, [ready]);
    await becomeReady(ready);
    return { pid, end: () => process.kill(pid, 'SIGKILL') };
  },
  stop: async () => {},
});
