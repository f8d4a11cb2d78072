// `npm test`: build, types, lint and every jest suite. The last line is `N passed, N failed, N skipped`.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
process.chdir(root);

const counts = { passed: 0, failed: 0, skipped: 0 };
const complaints = [];

const step = (name, script, args) => {
  console.error(`\n== ${name}`);
  const { status, signal } = spawnSync(process.execPath, [script, ...args], {
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  const good = status === 0;
  counts[good ? 'passed' : 'failed']++;
  if (!good) complaints.push(`${name} failed${signal === null ? '' : ` (${signal})`}`);
  return good;
};

const built = step('build', 'scripts/build.mjs', []);
step('types', 'node_modules/typescript/bin/tsc', ['-p', 'tsconfig.json', '--noEmit']);
// Warnings of the linter are what it is there for: they count.
step('lint', 'node_modules/@biomejs/biome/bin/biome', ['check', '--error-on-warnings', '.']);

console.error('\n== tests');
const folder = mkdtempSync(join(tmpdir(), 'attestream-test-'));
const report = join(folder, 'jest.json');
try {
  const { status } = spawnSync(
    process.execPath,
    [
      '--experimental-vm-modules',
      '--disable-warning=ExperimentalWarning',
      'node_modules/jest/bin/jest.js',
      '--maxWorkers=2',
      '--json',
      `--outputFile=${report}`,
      ...process.argv.slice(2),
    ],
    { stdio: ['ignore', 'ignore', 'inherit'], env: { ...process.env, ATTESTREAM_BUILT: built ? '1' : '0' } },
  );
  const result = JSON.parse(readFileSync(report, 'utf8'));
  counts.passed += result.numPassedTests;
  counts.failed += result.numFailedTests;
  counts.skipped += result.numPendingTests + result.numTodoTests;
  for (const suite of result.testResults) {
    const file = relative(root, suite.name);
    // A file that does not even load has no tests that could fail.
    if (suite.status === 'failed' && suite.assertionResults.length === 0) {
      counts.failed++;
      complaints.push(`${file} did not run`);
    }
    for (const test of suite.assertionResults)
      if (test.status === 'failed') complaints.push(`${file}: ${test.fullName}`);
  }
  if (status !== 0 && counts.failed === 0) {
    counts.failed++;
    complaints.push('jest ended with an error');
  }
  // Why a suite is skipped stands in its title; its tests are counted under it.
  const skipped = new Map();
  for (const suite of result.testResults)
    for (const test of suite.assertionResults) {
      if (test.status !== 'pending' && test.status !== 'todo') continue;
      const why = `${relative(root, suite.name)}: ${test.ancestorTitles[0] ?? test.title}`;
      skipped.set(why, (skipped.get(why) ?? 0) + 1);
    }
  if (skipped.size > 0) console.error('\nSkipped:');
  for (const [why, count] of skipped) console.error(`  ${count} × ${why}`);
} catch (error) {
  counts.failed++;
  complaints.push(`no report of the tests: ${error.message}`);
} finally {
  rmSync(folder, { recursive: true, force: true });
}

if (process.env.ATTESTREAM_TEST_REQUIRE === 'all' && counts.skipped > 0) {
  counts.failed += counts.skipped;
  complaints.push(`${counts.skipped} tests were skipped, and ATTESTREAM_TEST_REQUIRE=all wants them to run`);
  counts.skipped = 0;
}
if (complaints.length > 0) console.error(`\nFailed:\n${complaints.map((line) => `  ${line}`).join('\n')}`);
console.log(`\n${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`);
process.exitCode = counts.failed === 0 ? 0 : 1;
