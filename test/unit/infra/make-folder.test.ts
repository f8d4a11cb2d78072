import { existsSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { makeFolder } from '../../../infra/make-folder.js';
import { temporaryFolder } from '../../support/tmp.js';

const folder = temporaryFolder('folder');

test('makes what is missing above a folder, and leaves one that exists', () => {
  const root = join(folder, 'first');
  makeFolder(join(root, 'a', 'b', 'c'), 0o700);
  expect(statSync(join(root, 'a', 'b', 'c')).mode & 0o777).toBe(0o700);
  writeFileSync(join(root, 'a', 'kept'), '');
  makeFolder(join(root, 'a'));
  expect(existsSync(join(root, 'a', 'kept'))).toBe(true);
});

test('says what is in the way, also where the file system knows no folders', () => {
  const root = join(folder, 'second');
  makeFolder(root);
  writeFileSync(join(root, 'file'), '');
  expect(() => makeFolder(join(root, 'file'))).toThrow(/EEXIST/);
  expect(() => makeFolder(join(root, 'file', 'below'))).toThrow(/ENOTDIR/);
  expect(() => makeFolder('/proc/nothing/below')).toThrow(/ENOENT/);
});
