import { parsePublic, type TpmPublic } from '../../schemas/tpm/public.js';
import type { HostState } from './host-state.js';

const KEPT = 8;

/** The key of a public area (hex), parsed once: making a key costs more than a check with it. Throws TPM_BLOB_INVALID. */
export const knownKey = (state: HostState, area: string): TpmPublic => {
  let key = state.keys.get(area);
  if (key === undefined) {
    key = parsePublic(Buffer.from(area, 'hex'));
    if (state.keys.size >= KEPT) state.keys.clear();
    state.keys.set(area, key);
  }
  return key;
};
