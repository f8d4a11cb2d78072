import { closeSync, constants, fstatSync, openSync, type Stats } from 'node:fs';

/** Gives a place in the file system without opening what is there; Node does not name it. From fcntl.h of Linux. */
const O_PATH = 0o10000000;
const READ = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY;

/** A descriptor of a regular file; whoever opened it closes it. */
export interface RegularFile {
  readonly fd: number;
  readonly stat: Stats;
}

/**
 * Opens a file that somebody else chose. Null unless it is a regular file that may be read: where a library was there may be a
 * FIFO, which would block, or a device, which acts on being opened (a watchdog begins to run); neither is touched.
 */
export const openRegularFile = (path: string): RegularFile | null => {
  let place: number;
  try {
    place = openSync(path, O_PATH);
  } catch {
    return null;
  }
  try {
    if (!fstatSync(place).isFile()) return null;
    const fd = openSync(`/proc/self/fd/${place}`, READ);
    return { fd, stat: fstatSync(fd) };
  } catch {
    return null;
  } finally {
    closeSync(place);
  }
};
