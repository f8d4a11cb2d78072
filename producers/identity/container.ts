import { readFileSync } from 'node:fs';

/** The 64-hex id of the container that a line of `/proc/PID/cgroup` names (docker, containerd, cri-o, v1 and v2); '' if none. */
export const containerIn = (cgroup: string): string => {
  const ids = cgroup.match(/(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])/g);
  return ids?.at(-1) ?? '';
};

/** '' for a process outside of any container, or one that has gone. */
export const containerOf = (pid: number): string => {
  try {
    return containerIn(readFileSync(`/proc/${pid}/cgroup`, 'latin1'));
  } catch {
    return '';
  }
};
