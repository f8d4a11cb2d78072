/** Handles that every TPM has (TPM 2.0 Library, part 2, 7.4). */
export const TPM_RH = {
  OWNER: 0x40000001,
  NULL: 0x40000007,
  PASSWORD: 0x40000009,
  LOCKOUT: 0x4000000a,
  ENDORSEMENT: 0x4000000b,
  PLATFORM: 0x4000000c,
} as const;

/** First handle of each kind: the top byte says what a handle is. */
export const HANDLE_RANGE = {
  pcr: 0x00000000,
  nv: 0x01000000,
  loadedSession: 0x02000000,
  savedSession: 0x03000000,
  transient: 0x80000000,
  persistent: 0x81000000,
} as const;

export const handleText = (handle: number): string => `0x${handle.toString(16).padStart(8, '0')}`;
