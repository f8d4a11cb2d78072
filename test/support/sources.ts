import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** Folders whose code is the product. */
export const SOURCE_FOLDERS = ['schemas', 'infra', 'producers', 'processors', 'cli', 'web', 'bench'] as const;

const SKIPPED = new Set(['node_modules', 'dist', '.git', '.cache']);

/** Paths below a folder, relative to the root, sorted. Empty if the folder is not there. */
export const filesBelow = (folder: string, accept: (path: string) => boolean): string[] => {
  const start = join(ROOT, folder);
  if (!existsSync(start)) return [];
  const found: string[] = [];
  const walk = (at: string): void => {
    for (const entry of readdirSync(at, { withFileTypes: true })) {
      if (SKIPPED.has(entry.name) || entry.name.startsWith('attestream-demo-')) continue;
      const path = join(at, entry.name);
      if (entry.isDirectory()) walk(path);
      else if (entry.isFile() && accept(entry.name)) found.push(relative(ROOT, path).split(sep).join('/'));
    }
  };
  walk(start);
  return found.sort();
};

export const readText = (path: string): string => readFileSync(join(ROOT, path), 'utf8');

/** Code without comments: what a rule about code must not see. */
export const withoutComments = (text: string): string =>
  text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/^\s*\/\/.*$|(?<=[\s;{(,])\/\/ .*$/gm, '');

export interface Import {
  readonly from: string;
  /** A path relative to the root for our own modules, the specifier as written for others. */
  readonly to: string;
  readonly own: boolean;
  /** Vanishes when compiled. */
  readonly typeOnly: boolean;
}

const STATEMENT = /(?:^|\n)\s*(?:import|export)\s+(type\s)?([^'";]*?\sfrom\s+)?'([^']+)'|\bimport\(\s*'([^']+)'\s*\)/g;

/** Everything that a file imports, statically or not. */
export const importsOf = (file: string): Import[] => {
  const found: Import[] = [];
  for (const [, type, names, still, dynamic] of withoutComments(readText(file)).matchAll(STATEMENT)) {
    const specifier = still ?? dynamic!;
    const own = specifier.startsWith('.');
    const to = own
      ? relative(ROOT, resolve(ROOT, dirname(file), specifier))
          .split(sep)
          .join('/')
          .replace(/\.js$/, '.ts')
      : specifier;
    const inner = /\{([^}]*)\}/.exec(names ?? '')?.[1];
    const onlyTypes = inner?.split(',').every((name) => name.trim() === '' || name.trim().startsWith('type ')) === true;
    found.push({ from: file, to, own, typeOnly: type !== undefined || onlyTypes });
  }
  return found;
};

/** All TypeScript of the product. */
export const sourceFiles = (): string[] => [
  ...SOURCE_FOLDERS.flatMap((folder) => filesBelow(folder, (name) => name.endsWith('.ts'))),
  ...(existsSync(join(ROOT, 'index.ts')) ? ['index.ts'] : []),
];
