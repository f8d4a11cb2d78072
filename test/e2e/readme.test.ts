import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from '@jest/globals';
import { parseImportMap } from '../../producers/import/import-map.js';
import { filesBelow, ROOT, readText } from '../support/sources.js';

const pages = ['README.md', 'CONTRIBUTING.md', ...filesBelow('docs', (name) => name.endsWith('.md'))];

test('every link between pages leads somewhere', () => {
  const broken = pages.flatMap((page) =>
    [...readText(page).matchAll(/\]\((?!https?:)([^)#]+)/g)]
      .map(([, to]) => to!)
      .filter((to) => !existsSync(join(ROOT, dirname(page), to)))
      .map((to) => `${page}: ${to}`),
  );
  expect(broken).toEqual([]);
});

test('every file that a shown command names is shipped', () => {
  const named = pages.flatMap((page) => readText(page).match(/\bexamples\/[\w./-]*\w/g) ?? []);
  expect([...new Set(named)].filter((path) => !existsSync(join(ROOT, path)))).toEqual([]);
  expect(named.length).toBeGreaterThan(5);
});

test('the first two commands of the README are scripts of the package', () => {
  const { scripts } = JSON.parse(readText('package.json')) as { scripts: Record<string, string> };
  const readme = readText('README.md');
  expect(readme).toContain('npm ci && npm run demo');
  expect(readme).toContain('npm ci && npm test');
  expect(Object.keys(scripts)).toEqual(expect.arrayContaining(['demo', 'test']));
});

test('the reader that the page on traces shows is the one that is tested', () => {
  const shown = /```python\n([\s\S]*?)```/.exec(readText('docs/traces.md'))?.[1];
  expect(shown).toBe(readText('examples/read-trace.py'));
});

test('the map that the page on traces shows is one', () => {
  const shown = /```yaml\n([\s\S]*?)```/.exec(readText('docs/traces.md'))?.[1];
  expect(parseImportMap(Buffer.from(shown!), 'docs/traces.md')).toMatchObject({ format: 'csv', unknown: 'reject' });
});

test('pages and examples are part of the package', () => {
  const { files } = JSON.parse(readText('package.json')) as { files: string[] };
  expect(files).toEqual(expect.arrayContaining(['dist', 'examples', 'docs', 'README.md', 'LICENSE']));
});
