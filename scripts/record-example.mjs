// Records examples/traces/device anew: the demonstration runs live, and of its data only what was seen is kept.
// Needs a built dist/ and a C compiler; ends with an error unless the demonstration showed what it promises.
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const recording = join(root, 'examples/traces/device');
const attestream = process.env.ATTESTREAM_CLI ?? join(root, 'dist/cli/main.js');
const run = (...args) =>
  execFileSync(process.execPath, [attestream, ...args], { stdio: ['ignore', 'ignore', 'inherit'] });

// The path of the program stands in the recording: one that says nothing of who recorded it.
const folder = join(tmpdir(), 'gateway');
rmSync(folder, { recursive: true, force: true });
try {
  mkdirSync(folder);
  run('demo', '--out', folder);
  rmSync(recording, { recursive: true, force: true });
  run('copy', join(folder, 'trace'), recording, '--topic', 'memory');
} finally {
  rmSync(folder, { recursive: true, force: true });
}
for (const name of readdirSync(recording, { recursive: true }))
  if (name.endsWith('LOCK')) rmSync(join(recording, name));
