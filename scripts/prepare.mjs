// Runs after `npm ci` in a checkout: build if the compiler is there, else accept an existing build, else say what to do.
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

process.chdir(fileURLToPath(new URL('..', import.meta.url)));
if (existsSync('node_modules/typescript/bin/tsc') && existsSync('tsconfig.build.json')) await import('./build.mjs');
else if (!existsSync('dist/cli/main.js')) {
  console.error('attestream: no compiler and no dist/. Run "npm ci" without --omit=dev, then "npm run build".');
  process.exit(1);
}
