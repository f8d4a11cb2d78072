import { isAttestreamError } from '../../schemas/errors.js';
import { imaEntry } from '../../schemas/ima/entry.js';
import { readImaList } from '../../schemas/ima/list-reader.js';
import { ImaReplay } from '../../schemas/ima/replay.js';
import type { FuzzTarget } from '../support/fuzz.js';
import { vector, vectorNames } from '../support/vectors.js';

const TEMPLATES = vectorNames('ima');

/** Binary lists of every template and bank: read, decoded and replayed. */
export const target: FuzzTarget = {
  seeds: () => [
    ...TEMPLATES.map((name) => vector(`ima/${name}/binary_runtime_measurements.gz`)),
    vector('ima/ima-sig/binary_runtime_measurements_sha256.gz'),
    vector('ima/ima/binary_runtime_measurements_sha512.gz'),
  ],
  maxBytes: 16 * 1024,
  run: (input) => {
    const records = readImaList(input, { format: 'binary' });
    const replay = new ImaReplay({ banks: ['sha256'] });
    let used = 0;
    for (const record of records) {
      replay.extend(record);
      used += record.data.length;
      try {
        imaEntry(record);
      } catch (error) {
        if (!isAttestreamError(error, 'IMA_INVALID')) throw error;
      }
    }
    if (used > input.length) throw new Error('more data than there were bytes');
    replay.values();
  },
};
