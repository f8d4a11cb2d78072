/** Firmware, kernel list and binding list, in the bank that every TPM has. */
export const DEFAULT_SELECTION = 'sha256:0,1,2,3,4,5,6,7,8,9,10,12';
