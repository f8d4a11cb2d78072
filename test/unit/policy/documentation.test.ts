import { readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { FUNCTIONS, METHODS, REFUSED } from '../../../schemas/policy/cel/functions.js';
import { checkPolicy } from '../../../schemas/policy/check.js';
import { isHostPolicy } from '../../../schemas/policy/host/is-host-policy.js';
import { parseHostPolicy } from '../../../schemas/policy/host/parse.js';
import { MACHINE_KEYS, TRANSITION_KEYS } from '../../../schemas/policy/machine-reasons.js';
import { DEFAULTS, POLICY_KEYS, parsePolicy } from '../../../schemas/policy/parse.js';

const page = readFileSync('docs/policy.md', 'utf8');

test('the page has a row for every key, with its default', () => {
  for (const key of POLICY_KEYS) expect(page).toMatch(new RegExp(`^\\| \`${key}\` \\|`, 'm'));
  for (const [key, value] of Object.entries(DEFAULTS))
    if (typeof value === 'string') expect(page).toContain(`| \`${key}\` | \`${value}\` |`);
  const { within, events, beyond } = DEFAULTS.lateness;
  expect(page).toContain(`{ within: ${within / 1_000_000}s, events: ${events}, beyond: ${beyond} }`);
  expect(page).toContain(`| \`doubtAbove\` | \`${DEFAULTS.doubtAbove / 1_000_000}\` |`);
  expect(page).toContain(`| \`maxSlices\` | \`${DEFAULTS.maxSlices}\` |`);
});

test('the page speaks of every word of machines and expressions', () => {
  for (const word of [...MACHINE_KEYS, ...TRANSITION_KEYS, ...FUNCTIONS, ...METHODS])
    expect(page).toMatch(new RegExp(`\\b${word}\\b`));
  for (const word of ['matches', 'exists', 'map', 'timestamp', 'type', 'bind'])
    expect([word, page.includes(word), word in REFUSED]).toEqual([word, true, true]);
});

test('its examples are valid', () => {
  const examples = [...page.matchAll(/```yaml\n([\s\S]*?)```/g)].map(([, text]) => text!);
  expect(examples.map((text) => isHostPolicy(text, 'docs/policy.md'))).toEqual([false, false, true]);
  for (const text of examples.slice(0, 2)) parsePolicy(text, 'docs/policy.md');
  parseHostPolicy(examples[2]!, 'docs/policy.md');
  expect(checkPolicy(parsePolicy(examples[0]!, 'docs/policy.md'))).toEqual([]);
});
