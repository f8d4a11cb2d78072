import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { nap } from './nap.js';

/** A container engine of a benchmark's own. */
export interface Engine {
  /** `unix:///…`, as DOCKER_HOST takes it. */
  readonly host: string;
  /** Runs docker's command; gives what it printed. Throws if it fails. */
  docker(...args: string[]): string;
  /** An image with the files of a folder and nothing else; gives its name. */
  importImage(name: string, root: string): string;
  /** Removes all containers and ends. */
  stop(): void;
}

const READY_MS = 10_000;

/** Starts an engine that keeps everything in `folder` and leaves the network alone. Null where none can run. */
export const startEngine = (folder: string): Engine | null => {
  const at = (name: string): string => join(folder, name);
  mkdirSync(folder, { recursive: true });
  const host = `unix://${at('docker.sock')}`;
  writeFileSync(at('daemon.json'), '{}');
  const paths = [
    ...['--config-file', at('daemon.json'), '--data-root', at('data'), '--exec-root', at('exec')],
    ...['--pidfile', at('docker.pid'), '--host', host],
  ];
  const quiet = ['--iptables=false', '--ip6tables=false', '--bridge=none', '--ip-forward=false', '--ip-masq=false'];
  const daemon = spawn('dockerd', [...paths, ...quiet], { detached: true, stdio: 'ignore' });
  daemon.on('error', () => {});
  const docker = (...args: string[]): string =>
    execFileSync('docker', ['--host', host, ...args], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  const stop = (): void => {
    try {
      const ids = docker('ps', '--all', '--quiet').split('\n');
      if (ids[0] !== '') docker('rm', '--force', ...ids);
    } catch {
      // It did not come up, or has gone.
    }
    if (daemon.pid !== undefined) daemon.kill('SIGTERM');
    nap(3000);
    try {
      execFileSync('umount', [at('data')], { stdio: 'ignore' });
    } catch {
      // It was not mounted.
    }
  };
  for (let waited = 0; waited < READY_MS; waited += 100) {
    try {
      docker('version');
      const importImage = (name: string, root: string): string => {
        const archive = at('image.tar');
        execFileSync('tar', ['-C', root, '-cf', archive, '.']);
        docker('import', archive, name);
        return name;
      };
      return { host, docker, importImage, stop };
    } catch {
      nap(100);
    }
  }
  stop();
  return null;
};
