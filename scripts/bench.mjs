// `npm run bench [-- NAME…] [--output json]`: runs dist/bench/*.js, each exporting `bench()`, and prints what they measured.
import { existsSync, readdirSync } from 'node:fs';
import { basename } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const folder = `${root}dist/bench`;
const args = process.argv.slice(2);
const at = args.indexOf('--output');
const output = at < 0 ? 'table' : (args.splice(at, 2)[1] ?? '');
if (output !== 'table' && output !== 'json') {
  console.error('usage: npm run bench -- [NAME…] [--output table|json]');
  process.exit(2);
}
if (!existsSync(folder)) {
  console.error('dist/bench is missing: npm run build');
  process.exit(2);
}

const files = readdirSync(folder).filter(
  (file) => file.endsWith('.js') && (args.length === 0 || args.some((name) => file.includes(name))),
);
const results = [];
let failed = 0;
/** A part that this machine does not have, as against a benchmark that is broken. */
const isMissing = ({ code, syscall }) =>
  (code === 'ENOENT' && syscall?.startsWith('spawn')) || code === 'EMBEDDED_MISSING' || code === 'PROCESS_UNSUPPORTED';

for (const file of files) {
  const bench = basename(file, '.js');
  try {
    const module = await import(pathToFileURL(`${folder}/${file}`).href);
    // Modules without `bench` are what the others share.
    if (typeof module.bench !== 'function') continue;
    console.error(`${bench} …`);
    results.push(...(await module.bench()).map((result) => ({ bench, ...result })));
  } catch (error) {
    if (isMissing(error)) {
      console.error(`${bench}: skipped, this machine cannot run it: ${error.message}`);
      continue;
    }
    failed++;
    console.error(`${bench}: ${error.stack ?? error}`);
  }
}
if (files.length === 0) {
  console.error(`no benchmark is called ${args.join(' or ')}`);
  process.exit(2);
}

const number = (value) => {
  if (typeof value !== 'number') return String(value ?? '');
  return Math.abs(value) >= 100 ? Math.round(value).toLocaleString('en-US') : String(Number(value.toPrecision(3)));
};
if (output === 'json') console.log(JSON.stringify(results));
else {
  const rows = [
    ['BENCH', 'NAME', 'FIGURE', 'UNIT', 'BASELINE', 'RATIO'],
    ...results.map(({ bench, name, figure, unit, baseline, ratio }) => [
      bench,
      name,
      number(figure),
      unit,
      number(baseline),
      number(ratio),
    ]),
  ];
  const widths = rows[0].map((_, i) => Math.max(...rows.map((row) => row[i].length)));
  for (const row of rows)
    console.log(
      row
        .map((cell, i) => cell.padEnd(widths[i]))
        .join('  ')
        .trimEnd(),
    );
}
process.exitCode = failed === 0 ? 0 : 1;
