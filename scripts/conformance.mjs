// `npm run conformance -- DIR`: runs every *.case.json under DIR and prints `N passed, N failed`.
// A case: {"command": "trace cat", "arguments": ["x/"], "exit": 0, "stdout": …, "stderr": "part of it", "about": "…"}.
// It runs in a copy of its folder, so that paths are relative to the case and what it writes is nobody's trouble.
// `stdout` is compared as a subset: an object with the answer; a list with the lines of NDJSON in their order (or with one
// JSON array); objects may have more members, lists must have the same length. A text must be part of what was printed.
// A case may be a list of such steps, run one after another in the same copy.
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const cli = join(root, 'dist/cli/main.js');
const folder = process.argv[2];
if (folder === undefined || !existsSync(folder)) {
  console.error('usage: npm run conformance -- DIR');
  process.exit(2);
}
if (!existsSync(cli)) {
  console.error('dist/ is missing: npm run build');
  process.exit(2);
}

/** What of `expected` is not in `actual`, as a sentence; null if all of it is. */
const lacking = (expected, actual, at = '') => {
  if (Array.isArray(expected)) {
    if (!Array.isArray(actual)) return `${at || 'it'} is no list`;
    if (actual.length !== expected.length)
      return `${at || 'the list'} has ${actual.length} items, not ${expected.length}`;
    for (const [i, item] of expected.entries()) {
      const lack = lacking(item, actual[i], `${at}[${i}]`);
      if (lack !== null) return lack;
    }
    return null;
  }
  if (typeof expected === 'object' && expected !== null) {
    if (typeof actual !== 'object' || actual === null) return `${at || 'it'} is no object`;
    for (const [name, value] of Object.entries(expected)) {
      const lack = lacking(value, actual[name], `${at}.${name}`);
      if (lack !== null) return lack;
    }
    return null;
  }
  return expected === actual ? null : `${at || 'it'} is ${JSON.stringify(actual)}, not ${JSON.stringify(expected)}`;
};

const parse = (text, wantList) => {
  try {
    const whole = JSON.parse(text);
    return wantList && !Array.isArray(whole) ? [whole] : whole;
  } catch {
    return text
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line));
  }
};

const runStep = (step, cwd) => {
  const { status, signal, stdout, stderr } = spawnSync(
    process.execPath,
    [cli, ...step.command.split(' '), ...(step.arguments ?? []).map(String)],
    { cwd, encoding: 'utf8', timeout: 120_000, maxBuffer: 1 << 28, input: step.stdin ?? '' },
  );
  if (status !== (step.exit ?? 0))
    return `exit ${status ?? signal}, not ${step.exit ?? 0}: ${stderr.trim().slice(0, 500)}`;
  if (step.stderr !== undefined && !stderr.includes(step.stderr))
    return `stderr lacks ${JSON.stringify(step.stderr)}: ${stderr.slice(0, 500)}`;
  if (step.stdout === undefined) return null;
  if (typeof step.stdout === 'string')
    return stdout.includes(step.stdout) ? null : `stdout lacks ${JSON.stringify(step.stdout)}`;
  try {
    return lacking(step.stdout, parse(stdout, Array.isArray(step.stdout)));
  } catch (error) {
    return `stdout is no JSON: ${error.message}`;
  }
};

const cases = readdirSync(folder, { recursive: true })
  .map((name) => join(resolve(folder), String(name)))
  .filter((path) => path.endsWith('.case.json'))
  .sort();

let passed = 0;
let failed = 0;
for (const path of cases) {
  const work = mkdtempSync(join(tmpdir(), 'attestream-case-'));
  let lack;
  try {
    cpSync(dirname(path), work, { recursive: true });
    const read = JSON.parse(readFileSync(path, 'utf8'));
    for (const step of Array.isArray(read) ? read : [read]) {
      lack = runStep(step, work);
      if (lack !== null) break;
    }
  } catch (error) {
    lack = error.message;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  if (lack === null) passed++;
  else {
    failed++;
    console.error(`${relative(process.cwd(), path)}: ${lack}`);
  }
}
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 && cases.length > 0 ? 0 : 1;
