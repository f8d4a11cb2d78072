import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from './sources.js';

/** The command as it is shipped. */
export const CLI = join(ROOT, 'dist/cli/main.js');

export const distProbe = (): string | null => (existsSync(CLI) ? null : 'there is no dist/: npm run build');
