import { lstatSync, readlinkSync } from 'node:fs';

const MAX_LINKS = 40;
const MAX_PARTS = 256;

/**
 * Path of `path` as a process sees it whose root is `root` ('' is our own). Opened as it is, an absolute link inside of a
 * container would lead into the host's files. Null if there is nothing, or links go round in circles.
 */
export const resolveInRoot = (root: string, path: string): string | null => {
  if (root === '') return path;
  let waiting = path.split('/');
  let walked: string[] = [];
  let links = 0;
  while (waiting.length > 0) {
    const part = waiting.shift()!;
    if (part === '' || part === '.') continue;
    if (part === '..') {
      walked.pop();
      continue;
    }
    walked.push(part);
    if (walked.length + waiting.length > MAX_PARTS) return null;
    const here = `${root}/${walked.join('/')}`;
    try {
      if (!lstatSync(here).isSymbolicLink()) continue;
      if (++links > MAX_LINKS) return null;
      const target = readlinkSync(here);
      walked = target.startsWith('/') ? [] : walked.slice(0, -1);
      waiting = [...target.split('/'), ...waiting];
    } catch {
      return null;
    }
  }
  return `${root}/${walked.join('/')}`;
};
