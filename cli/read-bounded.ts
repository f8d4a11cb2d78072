import { closeSync, fstatSync, openSync, readFileSync } from 'node:fs';
import { AttestreamError } from '../schemas/errors.js';

/** Lists of a million entries have some 100 MB. */
const MAX_BYTES = 256 << 20;

/** A whole regular file of bounded size; `what` names it in the message. Throws USAGE. */
export const readBounded = (path: string, what: string, most = MAX_BYTES): Buffer => {
  try {
    const file = openSync(path, 'r');
    try {
      const status = fstatSync(file);
      if (!status.isFile()) throw new Error('it is not a regular file');
      if (status.size > most) throw new Error(`it has ${status.size} bytes, more than ${most}`);
      return readFileSync(file);
    } finally {
      closeSync(file);
    }
  } catch (cause) {
    throw new AttestreamError('USAGE', `${what} cannot be read: ${(cause as Error).message}`, { path }, { cause });
  }
};
