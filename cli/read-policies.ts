import { readFileSync } from 'node:fs';
import { AttestreamError } from '../schemas/errors.js';
import { parsePolicy } from '../schemas/policy/parse.js';

export interface PolicyFile {
  readonly text: string;
  readonly file: string;
}

/** Reads and checks policy files. Throws USAGE for one that cannot be read, POLICY_INVALID with every problem of one that is wrong. */
export const readPolicies = (files: readonly string[]): readonly PolicyFile[] =>
  files.map((file) => {
    let text: string;
    try {
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
  });
