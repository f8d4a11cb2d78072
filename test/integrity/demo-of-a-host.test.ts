import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { cli } from '../support/run-cli.js';
import { withSwtpm } from '../support/swtpm.js';
import { temporaryFolder } from '../support/tmp.js';

const folder = temporaryFolder('demo-of-a-host');

test('the scenario says what it lacks', async () => {
  const path = process.env['PATH'];
  process.env['PATH'] = folder;
  try {
    const { code, stderr } = await cli(['demo', '--scenario', 'host', '--out', join(folder, 'none')]);
    expect(code).toBe(3);
    expect(stderr).toMatch(/LOCAL_PART_FAILED: .*apt-get install swtpm swtpm-tools/);
  } finally {
    process.env['PATH'] = path;
  }
  expect((await cli(['demo', '--scenario', 'hots'])).stderr).toMatch(/did you mean "host"/);
});

withSwtpm('the demonstration of a host', () => {
  test('shows every trust state from the first word to the revocation', async () => {
    const ran = await cli(['demo', '--scenario', 'host', '--out', join(folder, 'host'), '--output', 'json']);
    expect(ran).toMatchObject({ code: 0 });
    const steps = JSON.parse(ran.stdout) as readonly { readonly step: string; readonly state: string }[];
    expect(steps.map(({ state }) => state)).toEqual([
      ...['none', 'none', 'affirming', 'affirming', 'affirming', 'affirming', 'none', 'affirming', 'contraindicated'],
    ]);
  }, 240_000);
});
