import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { AttestreamError } from '../../schemas/errors.js';

/** Where an engine listens, as requests take it. */
export type DockerAddress =
  | { readonly socketPath: string }
  | {
      readonly protocol: 'http' | 'https';
      readonly host: string;
      readonly port: number;
      readonly ca?: Buffer;
      readonly cert?: Buffer;
      readonly key?: Buffer;
    };

export interface DockerChoice {
  /** `--docker-host`: goes before the environment. */
  readonly host?: string | undefined;
  readonly env: NodeJS.ProcessEnv;
}

const DEFAULT = 'unix:///var/run/docker.sock';

const json = (path: string): unknown => {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    return null;
  }
};

const textAt = (value: unknown, ...keys: string[]): string | null => {
  let here: unknown = value;
  for (const key of keys) {
    if (typeof here !== 'object' || here === null) return null;
    here = (here as Record<string, unknown>)[key];
  }
  return typeof here === 'string' && here !== '' ? here : null;
};

const file = (folder: string, name: string): Buffer | undefined => {
  try {
    return readFileSync(join(folder, name));
  } catch {
    return undefined;
  }
};

/**
 * The engine that docker's own command would ask: `--docker-host`, DOCKER_HOST, DOCKER_CONTEXT, the current context of
 * `config.json`, else the usual socket. Throws USAGE for an address or a context that cannot be used.
 */
export const dockerAddress = ({ host, env }: DockerChoice): DockerAddress => {
  const folder = env['DOCKER_CONFIG'] ?? join(env['HOME'] ?? homedir(), '.docker');
  const named = host ?? env['DOCKER_HOST'];
  if (named !== undefined && named !== '')
    return parse(named, env['DOCKER_CERT_PATH'] ?? folder, env['DOCKER_TLS_VERIFY']);
  const context = env['DOCKER_CONTEXT'] ?? textAt(json(join(folder, 'config.json')), 'currentContext') ?? 'default';
  if (context === 'default' || context === '') return parse(DEFAULT, folder, undefined);
  const id = createHash('sha256').update(context).digest('hex');
  const address = textAt(json(join(folder, 'contexts/meta', id, 'meta.json')), 'Endpoints', 'docker', 'Host');
  if (address === null)
    throw new AttestreamError(
      'USAGE',
      `docker context ${JSON.stringify(context)} does not exist (DOCKER_CONTEXT, docker context ls)`,
    );
  const keys = join(folder, 'contexts/tls', id, 'docker');
  return parse(address, keys, file(keys, 'ca.pem') === undefined ? undefined : '1');
};

const parse = (address: string, keys: string, verify: string | undefined): DockerAddress => {
  const socketPath = /^unix:\/\/(\/.+)$/.exec(address)?.[1];
  if (socketPath !== undefined) return { socketPath };
  const match = /^(tcp|http|https):\/\/(\[[0-9a-f:]+\]|[^:/]+):(\d{1,5})\/?$/.exec(address);
  if (match === null)
    throw new AttestreamError(
      'USAGE',
      `docker host ${JSON.stringify(address)} is neither unix:///PATH nor tcp://HOST:PORT`,
    );
  const where = { host: match[2]!.replace(/^\[|\]$/g, ''), port: Number(match[3]) };
  if (match[1] !== 'https' && (verify === undefined || verify === '')) return { protocol: 'http', ...where };
  const [ca, cert, key] = [file(keys, 'ca.pem'), file(keys, 'cert.pem'), file(keys, 'key.pem')];
  return {
    protocol: 'https',
    ...where,
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
  };
};
