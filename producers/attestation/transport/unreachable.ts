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

export const unreachable = (address: string, why: unknown): AttestreamError => {
  const code = why instanceof Error && 'code' in why ? String(why.code) : '';
  const text = HINTS[code] ?? (why instanceof Error ? why.message : String(why));
  return new AttestreamError('TPM_UNREACHABLE', `TPM at ${address}: ${text}`, { path: address }, { cause: why });
};
