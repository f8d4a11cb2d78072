import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { transformSync } from '@swc/core';
import type { ImageFile } from './kernel-vm-image.js';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** Imports and re-exports of a source, whatever is imported. */
const IMPORTS = /(?:^|\n)\s*(?:import|export)\b[^'"`;]*?from\s*['"]([^'"]+)['"]|\bimport\(['"]([^'"]+)['"]\)/g;

/** Packages with what they need themselves: folders of `node_modules`. */
const packagesOf = (name: string, found: Set<string>): void => {
  const folder = join(root, 'node_modules', name);
  if (found.has(name) || !existsSync(folder)) return;
  found.add(name);
  const { dependencies = {}, optionalDependencies = {} } = JSON.parse(
    readFileSync(join(folder, 'package.json'), 'utf8'),
  ) as Record<'dependencies' | 'optionalDependencies', Record<string, string> | undefined>;
  for (const needed of [...Object.keys(dependencies), ...Object.keys(optionalDependencies)]) packagesOf(needed, found);
};

/** A program of this repository with all that it imports, compiled, as files under `target` of a machine. */
export const guestProgram = (entry: string, target: string): readonly ImageFile[] => {
  const files: ImageFile[] = [{ path: join(target, 'package.json'), from: { text: '{"type":"module"}' } }];
  const packages = new Set<string>();
  const seen = new Set<string>();
  const open = [join(root, entry)];
  for (let file = open.pop(); file !== undefined; file = open.pop()) {
    if (seen.has(file)) continue;
    seen.add(file);
    const { code } = transformSync(readFileSync(file, 'utf8'), {
      filename: file,
      jsc: { target: 'es2022', parser: { syntax: 'typescript' } },
      module: { type: 'es6' },
    });
    files.push({ path: join(target, relative(root, file)).replace(/\.ts$/, '.js'), from: { text: code } });
    for (const [, fixed, dynamic] of code.matchAll(IMPORTS)) {
      const specifier = fixed ?? dynamic ?? '';
      if (specifier.startsWith('.')) open.push(join(dirname(file), specifier.replace(/\.js$/, '.ts')));
      else if (!specifier.startsWith('node:'))
        packagesOf(
          specifier
            .split('/')
            .slice(0, specifier.startsWith('@') ? 2 : 1)
            .join('/'),
          packages,
        );
    }
  }
  for (const name of packages)
    files.push({ path: join(target, 'node_modules', name), from: join(root, 'node_modules', name) });
  for (const name of readdirSync(join(root, 'schemas/events')))
    if (name.endsWith('.avsc'))
      files.push({ path: join(target, 'schemas/events', name), from: join(root, 'schemas/events', name) });
  return files;
};
