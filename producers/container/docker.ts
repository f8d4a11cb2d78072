import { AttestreamError } from '../../schemas/errors.js';
import { type DockerChoice, dockerAddress } from './docker-address.js';
import { askEngine } from './engine-request.js';
import { containersRunning } from './processes.js';

/** A container as its engine lists it. */
export interface Container {
  /** 64 hex digits. */
  readonly id: string;
  /** Without the slash in front; the first if it has several. */
  readonly name: string;
  readonly names: readonly string[];
  readonly image: string;
  readonly imageId: string;
  /** running, exited, paused, created … */
  readonly state: string;
}

const PATIENCE_MS = 5000;
const FULL_ID = /^[0-9a-f]{64}$/;

const text = (value: unknown): string => (typeof value === 'string' ? value : '');

/**
 * All containers of an engine, those that do not run too. Throws ENGINE_UNREACHABLE, and USAGE for an address that is none.
 * Only the list is asked for: a question about one container waits for as long as the engine is busy with that one.
 */
export const containers = async (choice: DockerChoice): Promise<Container[]> => {
  const listed = await askEngine(dockerAddress(choice), '/containers/json?all=true', PATIENCE_MS);
  if (!Array.isArray(listed))
    throw new AttestreamError('ENGINE_UNREACHABLE', 'the container engine gave an answer that is no list');
  return (listed as Record<string, unknown>[])
    .filter(({ Id }) => FULL_ID.test(text(Id)))
    .map(({ Id, Names, Image, ImageID, State }) => {
      const names = (Array.isArray(Names) ? Names : []).map((name) => text(name).replace(/^\//, ''));
      return {
        id: text(Id),
        name: names[0] ?? '',
        names,
        image: text(Image),
        imageId: text(ImageID),
        state: text(State),
      };
    });
};

/** Those containers of an engine that have processes. Throws as `containers`. */
export const runningContainers = async (choice: DockerChoice): Promise<Container[]> =>
  (await containers(choice)).filter(({ state }) => state === 'running' || state === 'paused');

/** What of a list a name means: a full id, else a name, else the beginning of one id. Throws CONTAINER_NOT_FOUND. */
export const chooseContainer = (all: readonly Container[], wanted: string): Container | null => {
  const exact = all.find(({ id }) => id === wanted) ?? all.find(({ names }) => names.includes(wanted));
  if (exact !== undefined) return exact;
  if (!/^[0-9a-f]+$/.test(wanted)) return null;
  const begun = all.filter(({ id }) => id.startsWith(wanted));
  if (begun.length > 1) throw ambiguous(wanted, begun.length);
  return begun[0] ?? null;
};

const ambiguous = (prefix: string, count: number): AttestreamError =>
  new AttestreamError('CONTAINER_NOT_FOUND', `${prefix} is the beginning of ${count} container ids; give more of it`);

/** Without an engine: the one container with processes here whose id begins so. */
const askKernel = (prefix: string): string | null => {
  if (!/^[0-9a-f]{4,64}$/.test(prefix)) return null;
  const begun = [...containersRunning()].filter((id) => id.startsWith(prefix));
  if (begun.length > 1) throw ambiguous(prefix, begun.length);
  return begun[0] ?? null;
};

/** Id of the running container that `name` means: a name, or the beginning of one id. Throws CONTAINER_NOT_FOUND, ENGINE_UNREACHABLE or USAGE. */
export const findContainer = async (name: string, choice: DockerChoice): Promise<string> => {
  let all: Container[];
  try {
    all = await containers(choice);
  } catch (error) {
    const id = askKernel(name);
    if (id !== null) return id;
    throw error;
  }
  const found = chooseContainer(all, name);
  if (found === null) {
    // Of another engine beside the one asked, say.
    const id = askKernel(name);
    if (id !== null) return id;
    throw new AttestreamError('CONTAINER_NOT_FOUND', `there is no container ${JSON.stringify(name)}`);
  }
  if (found.state !== 'running' && found.state !== 'paused')
    throw new AttestreamError(
      'CONTAINER_NOT_FOUND',
      `container ${JSON.stringify(name)} does not run: it is ${found.state}`,
    );
  if (!containersRunning().has(found.id))
    throw new AttestreamError(
      'CONTAINER_NOT_FOUND',
      `container ${JSON.stringify(name)} runs, but not on this machine: its engine is elsewhere, or its processes may not be seen`,
    );
  return found.id;
};
