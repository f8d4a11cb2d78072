import { readFileSync, statSync } from 'node:fs';
import { AttestreamError } from '../schemas/errors.js';
import { MAX_REFERENCE_BYTES } from '../schemas/policy/document.js';
import type { HostPolicy } from '../schemas/policy/host/host-policy.js';
import { isHostPolicy } from '../schemas/policy/host/is-host-policy.js';
import { parseHostPolicy } from '../schemas/policy/host/parse.js';
import { parsePolicy } from '../schemas/policy/parse.js';
import type { Policy } from '../schemas/policy/policy.js';

/** A policy as it stands in its file: plain data, so that a worker thread can parse it again. */
export interface PolicyFile {
  readonly kind: 'process' | 'host';
  readonly text: string;
  readonly file: string;
}

const readText = (file: string): string => {
  try {
    const { size } = statSync(file);
    if (size > MAX_REFERENCE_BYTES)
      throw new Error(`${size} bytes are more than a policy may have (${MAX_REFERENCE_BYTES})`);
    return readFileSync(file, 'utf8');
  } catch (cause) {
    throw new AttestreamError(
      'USAGE',
      `the policy cannot be read: ${(cause as Error).message}`,
      { path: file },
      { cause },
    );
  }
};

/** A policy of processes from a file. Throws USAGE if it cannot be read, POLICY_INVALID with all that is wrong with it. */
export const readPolicy = (file: string): Policy => parsePolicy(readText(file), file);

/** A policy of hosts from a file. Throws as `readPolicy`. */
export const readHostPolicy = (file: string): HostPolicy => parseHostPolicy(readText(file), file);

/** A policy of either kind. Throws as `readPolicy`. */
export const readAnyPolicy = (file: string): Policy | HostPolicy => {
  const text = readText(file);
  return isHostPolicy(text, file) ? parseHostPolicy(text, file) : parsePolicy(text, file);
};

/** True for a policy of hosts. */
export const isOfHosts = (policy: Policy | HostPolicy): policy is HostPolicy => 'kind' in policy;

/** Text of a policy file that is known to be valid. Throws as `readPolicy`. */
export const readPolicyFile = (file: string): PolicyFile => {
  const text = readText(file);
  const kind = isHostPolicy(text, file) ? 'host' : 'process';
  if (kind === 'host') parseHostPolicy(text, file);
  else parsePolicy(text, file);
  return { kind, text, file };
};
