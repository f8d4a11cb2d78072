import { AttestreamError } from '../../../schemas/errors.js';

/** What to do about an errno of opening or using a TPM's address. */
const HINTS: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file: is the TPM enabled, and its kernel driver loaded?',
  EACCES: 'no permission: run as root or as a member of its group',
  EPERM: 'no permission: run as root or as a member of its group',
  EBUSY: 'another program holds it: use /dev/tpmrm0, which can be shared',
  ECONNREFUSED: 'nothing listens there',
  ENOTFOUND: 'the host name is not known',
};

const textOf = (why: unknown): string => {
  if (typeof why !== 'object' || why === null) return String(why);
  const { code, message } = why as { readonly code?: unknown; readonly message?: unknown };
  return HINTS[String(code)] ?? String(message);
};

/** TPM_UNREACHABLE for a system's error, or for a reason in words. */
export const unreachable = (address: string, why: unknown): AttestreamError =>
  new AttestreamError('TPM_UNREACHABLE', `TPM at ${address}: ${textOf(why)}`, { path: address }, { cause: why });
