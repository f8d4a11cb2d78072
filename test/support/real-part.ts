import { describe, test } from '@jest/globals';

/** Answers why the part cannot run here, or null if it can. */
export type Probe = () => string | null;

/**
 * `describe` for tests against a real part. Where the part is missing they are skipped with the reason in their title,
 * so that a green run says what it did not look at; with ATTESTREAM_TEST_REQUIRE=all they fail instead.
 */
export const realPart = (name: string, probe: Probe): ((title: string, body: () => void) => void) => {
  const reason = probe();
  if (reason === null) return (title, body) => describe(`${title} [${name}]`, body);
  if (process.env['ATTESTREAM_TEST_REQUIRE'] === 'all')
    return (title) =>
      describe(`${title} [${name}]`, () => {
        test('the real part is there', () => {
          throw new Error(`${name} is required but missing: ${reason}`);
        });
      });
  return (title, body) => describe.skip(`${title} [${name} skipped: ${reason}]`, body);
};
