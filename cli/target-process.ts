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

/** The one process that a command is about, in this host's numbering: of a container its first. Throws as `namedTarget`. */
export const targetPid = async (named: Named, env: NodeJS.ProcessEnv): Promise<number> => {
  const target = await namedTarget(named, env);
  if ('pid' in target) return target.pid;
  const { processesIn } = await import('../producers/container/processes.js');
  const first = processesIn(target.container)[0];
  if (first === undefined)
    throw new AttestreamError('CONTAINER_NOT_FOUND', `container ${JSON.stringify(named.container)} has ended`);
  return first.pid;
};
