import { mkdirSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';

/**
 * Creates a folder and what is missing above it; an existing folder is left as it is. Throws the system's error (EEXIST for a file).
 * Node's own `recursive` never ends where a file system refuses a folder with ENOENT, as /proc does.
 */
export const makeFolder = (path: string, mode = 0o777): void => {
  const missing: string[] = [];
  for (let at = resolve(path); statSync(at, { throwIfNoEntry: false }) === undefined; at = dirname(at))
    missing.push(at);
  if (missing.length === 0 && !statSync(path).isDirectory()) mkdirSync(path, mode);
  for (const folder of missing.reverse())
    try {
      mkdirSync(folder, mode);
    } catch (error) {
      // Somebody else was quicker.
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST' || !statSync(folder).isDirectory()) throw error;
    }
};
