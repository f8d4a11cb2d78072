import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { AttestreamError } from '../../../schemas/errors.js';
import { type Engine, isNewer } from './engine.js';

/** Of the folder's own layout; the engine's version is beside it. */
const LAYOUT = 1;

interface Version {
  readonly layout: number;
  readonly engine: string;
}

const read = (path: string): Version | null => {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as Version;
  } catch {
    return null;
  }
};

/** An older engine must not touch data of a newer one. Throws EMBEDDED_NEWER; otherwise notes the version now in use. */
export const checkVersion = (folder: string, engine: Engine): void => {
  const path = join(folder, 'VERSION');
  const found = read(path);
  if (found !== null && (found.layout > LAYOUT || isNewer(found.engine, engine.version)))
    throw new AttestreamError(
      'EMBEDDED_NEWER',
      `${folder} was last used by chdb ${found.engine} (layout ${found.layout}); here is ${engine.version} (layout ${LAYOUT}). Install the newer one, or name another folder`,
      { path },
    );
  writeFileSync(path, `${JSON.stringify({ layout: LAYOUT, engine: engine.version })}\n`, { mode: 0o600 });
};
