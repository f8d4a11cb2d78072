// Compiles the sources into dist/ and puts beside them the data files that the code reads at run time.
import { execFileSync } from 'node:child_process';
import { chmodSync, cpSync, existsSync, rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
process.chdir(root);
rmSync('dist', { recursive: true, force: true });
execFileSync(process.execPath, ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.build.json'], { stdio: 'inherit' });
for (const folder of ['schemas/events', 'infra/clickhouse', 'infra/kafka'])
  if (existsSync(folder))
    cpSync(folder, `dist/${folder}`, {
      recursive: true,
      filter: (file) => !file.endsWith('.ts') && !file.endsWith('/versions'),
    });
if (existsSync('dist/cli/main.js')) chmodSync('dist/cli/main.js', 0o755);
