import { AttestreamError } from '../schemas/errors.js';

/** The process or the container that a command line names, and which engine it is to be asked for. */
export interface Named {
  readonly pid?: string | undefined;
  readonly container?: string | undefined;
  readonly dockerHost?: string | undefined;
}

/** A process id of this host, or the id of a container that runs here. Throws USAGE, and what `findContainer` throws. */
export const namedTarget = async (
  { pid, container, dockerHost }: Named,
  env: NodeJS.ProcessEnv,
): Promise<{ readonly pid: number } | { readonly container: string }> => {
  if ((pid === undefined) === (container === undefined))
    throw new AttestreamError('USAGE', 'name either a process id or --container NAME');
  if (container !== undefined) {
    const { findContainer } = await import('../producers/container/docker.js');
    return { container: await findContainer(container, { host: dockerHost, env }) };
  }
  if (/^[1-9]\d{0,9}$/.test(pid!)) return { pid: Number(pid) };
  throw new AttestreamError('USAGE', `${JSON.stringify(pid)} is no process id`);
};

/** Name of the image that a container was made of; '' where no engine tells. */
export const imageOf = async (container: string, { dockerHost }: Named, env: NodeJS.ProcessEnv): Promise<string> => {
  const { containers } = await import('../producers/container/docker.js');
  const all = await containers({ host: dockerHost, env }).catch(() => []);
  return all.find(({ id }) => id === container)?.image ?? '';
};
