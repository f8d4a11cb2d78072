import { readFileSync, statSync } from 'node:fs';
import { AttestreamError } from '../schemas/errors.js';
import { MAX_POLICY_BYTES } from '../schemas/policy/document.js';
import { parsePolicy } from '../schemas/policy/parse.js';
import type { Policy } from '../schemas/policy/policy.js';

/** A policy as it stands in its file: plain data, so that a worker thread can parse it again. */
export interface PolicyFile {
  readonly text: string;
  readonly file: string;
}

/** Text of a policy file that is known to be valid. Throws USAGE if it cannot be read, POLICY_INVALID with all that is wrong with it. */
export const readPolicyFile = (file: string): PolicyFile => {
  let text: string;
  try {
    const { size } = statSync(file);
    if (size > MAX_POLICY_BYTES) throw new Error(`${size} bytes are more than a policy may have (${MAX_POLICY_BYTES})`);
    text = readFileSync(file, 'utf8');
  } catch (cause) {
    throw new AttestreamError(
      'USAGE',
      `the policy cannot be read: ${(cause as Error).message}`,
      { path: file },
      { cause },
    );
  }
  parsePolicy(text, file);
  return { text, file };
};

/** A policy from a file. Throws as `readPolicyFile`. */
export const readPolicy = (path: string): Policy => {
  const { text, file } = readPolicyFile(path);
  return parsePolicy(text, file);
};
