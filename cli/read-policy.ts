import { readFileSync, statSync } from 'node:fs';
import { AttestreamError } from '../schemas/errors.js';
import { MAX_POLICY_BYTES } from '../schemas/policy/document.js';
import { parsePolicy } from '../schemas/policy/parse.js';
import type { Policy } from '../schemas/policy/policy.js';

/** A policy from a file. Throws USAGE if it cannot be read, POLICY_INVALID with all that is wrong with it. */
export const readPolicy = (path: string): Policy => {
  let text: string;
  try {
    const { size } = statSync(path);
    if (size > MAX_POLICY_BYTES) throw new Error(`${size} bytes are more than a policy may have (${MAX_POLICY_BYTES})`);
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    throw new AttestreamError('USAGE', `the policy cannot be read: ${(cause as Error).message}`, { path }, { cause });
  }
  return parsePolicy(text, path);
};
