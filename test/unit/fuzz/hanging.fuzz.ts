import type { FuzzTarget } from '../../support/fuzz.js';

/** Never ends where the first byte is gone from what it was: for the test of the harness. */
export const target: FuzzTarget = {
  seeds: () => [Buffer.from('a well-formed input')],
  run: (input) => {
    while (input.length > 0 && input[0] !== 0x61);
  },
};
