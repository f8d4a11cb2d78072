import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Probe } from './real-part.js';

/** A container engine of one test file's own: its data, its socket, its images and containers. */
export interface DockerEngine {
  /** `unix:///…`, as DOCKER_HOST takes it. */
  readonly host: string;
  readonly folder: string;
  readonly pid: number;
  /** Runs docker's command; gives what it printed. Throws if it fails. */
  docker(...args: string[]): string;
  /** An image with the files of `root` and nothing else. `changes` are lines of a Dockerfile. */
  importImage(name: string, root: string, ...changes: string[]): void;
  /** Starts a container without network; gives its id. */
  run(
    image: string,
    options?: { readonly name?: string; readonly flags?: readonly string[] },
    ...command: string[]
  ): string;
  /** Stops everything and removes all of it. */
  stop(): Promise<void>;
}

const READY_MS = 20_000;
const STOP_MS = 15_000;

const version = (program: string): boolean => {
  try {
    execFileSync(program, ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
};

/** For `realPart('docker', dockerProbe)`. */
export const dockerProbe: Probe = () => {
  if (process.platform !== 'linux') return 'containers need Linux';
  if (process.getuid?.() !== 0) return 'an engine of its own needs root';
  const missing = ['dockerd', 'docker', 'containerd', 'runc'].filter((program) => !version(program));
  return missing.length === 0 ? null : `${missing.join(', ')} not installed (Debian: docker.io)`;
};

const answers = (socketPath: string): Promise<boolean> =>
  new Promise((resolve) => {
    const asked = request({ socketPath, path: '/_ping', timeout: 1000 }, (answer) => {
      answer.resume();
      resolve(answer.statusCode === 200);
    });
    asked.on('timeout', () => asked.destroy());
    asked.on('error', () => resolve(false));
    asked.end();
  });

/** Both environment and descriptors reach whatever the engine starts: they are kept to the least. */
const CLEAN = { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', HOME: '/nonexistent' };

export interface EngineOptions {
  /** Contents of daemon.json: more runtimes, say. */
  readonly config?: object;
  /** Put in front of PATH. */
  readonly path?: string;
  /** The engine sees one cgroup-v2 tree, in a mount namespace of its own. */
  readonly cgroup2?: boolean;
}

/** Starts an engine that touches neither the network nor the firewall of the host. Throws with the end of its log if it does not come up. */
export const startDocker = async (options: EngineOptions = {}): Promise<DockerEngine> => {
  // The path of a UNIX socket has a hundred bytes.
  const folder = mkdtempSync(join(tmpdir(), 'ats-docker-'));
  const socket = join(folder, 'docker.sock');
  const host = `unix://${socket}`;
  writeFileSync(join(folder, 'daemon.json'), JSON.stringify(options.config ?? {}));
  const log = openSync(join(folder, 'dockerd.log'), 'a');
  const at = (name: string): string => join(folder, name);
  const flags = [
    ...['--config-file', at('daemon.json'), '--data-root', at('data'), '--exec-root', at('exec')],
    ...['--host', host, '--pidfile', at('docker.pid')],
    ...['--iptables=false', '--ip6tables=false', '--bridge=none', '--ip-forward=false', '--ip-masq=false'],
  ];
  const env = options.path === undefined ? CLEAN : { ...CLEAN, PATH: `${options.path}:${CLEAN.PATH}` };
  const unified = 'umount -R /sys/fs/cgroup; mount -t cgroup2 cgroup2 /sys/fs/cgroup && exec dockerd "$@"';
  const child: ChildProcess = spawn(
    options.cgroup2 === true ? 'unshare' : 'dockerd',
    options.cgroup2 === true ? ['-m', '--propagation', 'slave', 'sh', '-c', unified, 'sh', ...flags] : flags,
    { detached: true, stdio: ['ignore', log, log], env, cwd: folder },
  );
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  // Should the tests be killed, the engine ends too.
  spawn('sh', ['-c', 'while kill -0 "$1" 2>&-; do sleep 1; done; kill "$2"', 'sh', `${process.pid}`, `${child.pid}`], {
    detached: true,
    stdio: 'ignore',
  }).unref();

  let stopped = false;
  const engine: DockerEngine = {
    host,
    folder,
    pid: child.pid!,
    docker: (...args) =>
      execFileSync('docker', args, {
        env: { ...CLEAN, DOCKER_HOST: host },
        encoding: 'utf8',
        maxBuffer: 64e6,
        stdio: ['ignore', 'pipe', 'pipe'],
      }),
    importImage(name, root, ...changes) {
      const archive = at(`${name.replace(/\W/g, '-')}.tar`);
      execFileSync('tar', ['-C', root, '-cf', archive, '.']);
      engine.docker('import', ...changes.flatMap((change) => ['--change', change]), archive, name);
      rmSync(archive);
    },
    run(image, { name, flags: more = [] } = {}, ...command) {
      const named = name === undefined ? [] : ['--name', name];
      return engine.docker('run', '-d', '--network=none', '--pull=never', ...named, ...more, image, ...command).trim();
    },
    async stop() {
      if (stopped) return;
      stopped = true;
      try {
        const ids = engine
          .docker('ps', '-aq')
          .split('\n')
          .filter((id) => id !== '');
        if (ids.length > 0) engine.docker('rm', '-f', ...ids);
      } catch {
        // It has gone already.
      }
      child.kill('SIGTERM');
      await Promise.race([exited, delay(STOP_MS, undefined, { ref: false })]);
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
      await exited;
      try {
        execFileSync('umount', ['-R', at('data')], { stdio: 'ignore' });
      } catch {
        // Only an unclean end leaves it mounted.
      }
      rmSync(folder, { recursive: true, force: true });
    },
  };
  const until = performance.now() + READY_MS;
  while (!(await answers(socket))) {
    if (child.exitCode !== null || performance.now() > until) {
      const end = readFileSync(at('dockerd.log'), 'utf8').slice(-2000);
      await engine.stop();
      throw new Error(`dockerd did not come up:\n${end}`);
    }
    await delay(50);
  }
  return engine;
};

/** Copies files into a folder that becomes an image, each program with the libraries that `ldd` names. Paths in the image → files here. */
export const layRoot = (root: string, files: Readonly<Record<string, string>>): void => {
  const lay = (from: string, to: string): void => {
    const target = join(root, to);
    if (existsSync(target)) return;
    mkdirSync(dirname(target), { recursive: true });
    copyFileSync(from, target);
  };
  for (const [to, from] of Object.entries(files)) {
    lay(from, to);
    let libraries = '';
    try {
      libraries = execFileSync('ldd', [from], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
    } catch {
      // A static program has none.
    }
    for (const [, path] of libraries.matchAll(/(?:=> |^\s*)(\/\S+) \(0x/gm)) lay(path!, path!);
  }
};
