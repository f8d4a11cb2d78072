import { readFileSync } from 'node:fs';

export const FIRMWARE_LOG = '/sys/kernel/security/tpm0/binary_bios_measurements';

/** Firmware logs have 3 to 80 KB; a larger one is not sent. */
const MAX_LOG = 16 * 1024 * 1024;

/** Bytes in one record. */
const PART = 256 * 1024;

/** The firmware's event log of this boot in parts; none where the firmware left none or it may not be read. */
export const firmwareLogParts = (path = FIRMWARE_LOG): readonly Buffer[] => {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch {
    return [];
  }
  if (bytes.length === 0 || bytes.length > MAX_LOG) return [];
  return Array.from({ length: Math.ceil(bytes.length / PART) }, (_, i) => bytes.subarray(i * PART, (i + 1) * PART));
};

/** The kernel's command line as it says it; '' if it does not. A claim, which an event of the firmware's log may bear out. */
export const kernelCommandLine = (): string => {
  try {
    return readFileSync('/proc/cmdline', 'utf8');
  } catch {
    return '';
  }
};
