import { readlinkSync } from 'node:fs';

/** Path of the binary that a process or thread runs. Throws what the kernel refuses with. */
export const binaryPath = (pid: number): string => readlinkSync(`/proc/${pid}/exe`).replace(/ \(deleted\)$/, '');

/** The same; '' for a process that has gone or does not let it be read. */
export const binaryPathIfAny = (pid: number): string => {
  try {
    return binaryPath(pid);
  } catch {
    return '';
  }
};
