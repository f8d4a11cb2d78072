import { isAttestreamError } from '../../schemas/errors.js';
import { imaEntry } from '../../schemas/ima/entry.js';
import { readImaList } from '../../schemas/ima/list-reader.js';
import type { FuzzTarget } from '../support/fuzz.js';
import { vector, vectorNames } from '../support/vectors.js';

/** Lists in text: lines joined, fields parted, bytes made of them. */
export const target: FuzzTarget = {
  seeds: () => vectorNames('ima').map((name) => vector(`ima/${name}/ascii_runtime_measurements.gz`)),
  maxBytes: 16 * 1024,
  run: (input) => {
    for (const record of readImaList(input, { format: 'ascii' }))
      try {
        imaEntry(record);
      } catch (error) {
        if (!isAttestreamError(error, 'IMA_INVALID')) throw error;
      }
  },
};
