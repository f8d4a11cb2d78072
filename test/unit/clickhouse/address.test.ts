import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { parseAddress } from '../../../infra/clickhouse/address.js';
import { temporaryFolder } from '../../support/tmp.js';

const folder = temporaryFolder('address');

test('a folder, and a server with everything or nothing said', () => {
  expect(parseAddress('embedded:data/x', {})).toEqual({ kind: 'embedded', folder: 'data/x', database: 'attestream' });
  expect(parseAddress('embedded:///srv/x', {})).toMatchObject({ folder: '/srv/x' });
  expect(parseAddress('https://me:p%40ss@db:8443/iot', {})).toEqual({
    kind: 'server',
    url: 'https://db:8443',
    username: 'me',
    password: 'p@ss',
    database: 'iot',
  });
  expect(parseAddress('http://db:8123', {})).toMatchObject({
    username: 'default',
    password: '',
    database: 'attestream',
  });
});

test('the password may stand in a file or in the environment', () => {
  const file = join(folder, 'password');
  writeFileSync(file, 'from file\n');
  const both = { ATTESTREAM_CLICKHOUSE_PASSWORD_FILE: file, ATTESTREAM_CLICKHOUSE_PASSWORD: 'from environment' };
  expect(parseAddress('http://me@db:8123', both)).toMatchObject({ password: 'from file' });
  expect(parseAddress('http://me@db:8123', { ATTESTREAM_CLICKHOUSE_PASSWORD: 'from environment' })).toMatchObject({
    password: 'from environment',
  });
  expect(() =>
    parseAddress('http://me@db:8123', { ATTESTREAM_CLICKHOUSE_PASSWORD_FILE: join(folder, 'none') }),
  ).toThrow(expect.objectContaining({ code: 'USAGE' }));
});

test.each(['embedded:', 'localhost:8123', 'tcp://db:9000', 'http://db/a-b', 'http://db/a%60b', ''])(
  '%j is refused',
  (text) => {
    expect(() => parseAddress(text, {})).toThrow(expect.objectContaining({ code: 'USAGE' }));
  },
);
