import { readdirSync, readFileSync } from 'node:fs';
import { request } from 'node:http';
import { containerOf } from '../producers/identity/container.js';
import { AttestreamError } from '../schemas/errors.js';

/** Answers of an engine are a few KB; what is larger is none. */
const MAX_ANSWER = 4 * 1024 * 1024;

/** The engine's own answer to a container's name: the process id of its first process. null: no engine, or no such container. */
const askEngine = async (container: string, env: NodeJS.ProcessEnv): Promise<number | null> => {
  const host = env['DOCKER_HOST'] ?? 'unix:///var/run/docker.sock';
  const path = `/containers/${encodeURIComponent(container)}/json`;
  const unix = /^unix:\/\/(.+)$/.exec(host)?.[1];
  const tcp = /^(?:tcp|http):\/\/([^:/]+):(\d+)$/.exec(host);
  if (unix === undefined && tcp === null) return null;
  const options = unix === undefined ? { host: tcp![1], port: Number(tcp![2]), path } : { socketPath: unix, path };
  return await new Promise((resolve) => {
    const asked = request({ ...options, timeout: 5000 }, (answer) => {
      const chunks: Buffer[] = [];
      let length = 0;
      answer.on('data', (chunk: Buffer) => {
        length += chunk.length;
        if (length > MAX_ANSWER) asked.destroy();
        else chunks.push(chunk);
      });
      answer.on('end', () => {
        try {
          const { State } = JSON.parse(Buffer.concat(chunks).toString('utf8')) as { State?: { Pid?: unknown } };
          resolve(typeof State?.Pid === 'number' && State.Pid > 0 ? State.Pid : null);
        } catch {
          resolve(null);
        }
      });
    });
    asked.on('timeout', () => asked.destroy());
    asked.on('error', () => resolve(null));
    asked.on('close', () => resolve(null));
    asked.end();
  });
};

const parentOf = (pid: number): number => {
  try {
    return Number(/^PPid:\s*(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1] ?? 0);
  } catch {
    return 0;
  }
};

/** Without an engine: the first process of the one container whose id begins so, as the kernel's control groups tell. */
const askKernel = (prefix: string): number | null => {
  if (!/^[0-9a-f]{4,64}$/.test(prefix)) return null;
  const firsts = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .map((pid) => ({ pid, container: containerOf(pid) }))
    .filter(({ container }) => container.startsWith(prefix))
    .filter(({ pid, container }) => containerOf(parentOf(pid)) !== container);
  const containers = new Set(firsts.map(({ container }) => container));
  if (containers.size > 1)
    throw new AttestreamError(
      'USAGE',
      `${prefix} is the beginning of ${containers.size} container ids; give more of it`,
    );
  return firsts[0]?.pid ?? null;
};

/** The process that a command is about, in this host's numbering. Throws USAGE. */
export const targetPid = async (
  pid: string | undefined,
  container: string | undefined,
  env: NodeJS.ProcessEnv,
): Promise<number> => {
  if ((pid === undefined) === (container === undefined))
    throw new AttestreamError('USAGE', 'name either a process id or --container NAME');
  if (container === undefined) {
    if (/^[1-9]\d{0,9}$/.test(pid!)) return Number(pid);
    throw new AttestreamError('USAGE', `${JSON.stringify(pid)} is no process id`);
  }
  const found = (await askEngine(container, env)) ?? askKernel(container);
  if (found !== null) return found;
  throw new AttestreamError(
    'USAGE',
    `no running container ${JSON.stringify(container)} was found; is the engine there (DOCKER_HOST), and may this user ask it?`,
  );
};
