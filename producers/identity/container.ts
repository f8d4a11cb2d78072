import { readFileSync } from 'node:fs';

/** 64 hex digits that are not part of more of them; the monitor beside a container (podman, cri-o) bears its id too. */
const ID = /(?<![0-9a-f])(?<!conmon-)[0-9a-f]{64}(?![0-9a-f])/g;

/**
 * The 64-hex id of the container that the text of `/proc/PID/cgroup` names: docker, containerd, cri-o and podman, as a folder
 * (`/docker/ID`) or as a scope of systemd (`docker-ID.scope`), cgroup v1 and v2. '' if there is none.
 *
 * Of nested ids the outermost counts: those further in can be made up by whoever may make groups inside of a container. `own` is
 * the text of the reader's own file: what it is inside of itself does not tell others apart.
 */
export const containerIn = (cgroup: string, own = ''): string => {
  const around = new Set(own.match(ID));
  const ids = cgroup.match(ID) ?? [];
  return ids.find((id) => !around.has(id)) ?? ids.at(-1) ?? '';
};

const read = (path: string): string => {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
};

let own: string | undefined;

/** '' for a process outside of any container, or one that has gone. */
export const containerOf = (pid: number): string => {
  own ??= read('/proc/self/cgroup');
  return containerIn(read(`/proc/${pid}/cgroup`), own);
};
