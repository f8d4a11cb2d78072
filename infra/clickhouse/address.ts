import { readFileSync } from 'node:fs';
import { AttestreamError } from '../../schemas/errors.js';

/** Where the rows go: a folder with a server of ours on it, or a server somebody runs. */
export type Address =
  | { readonly kind: 'embedded'; readonly folder: string; readonly database: string }
  | {
      readonly kind: 'server';
      readonly url: string;
      readonly username: string;
      readonly password: string;
      readonly database: string;
    };

export const DEFAULT_DATABASE = 'attestream';

const IDENTIFIER = /^[A-Za-z_][A-Za-z0-9_]{0,63}$/;

const databaseName = (name: string): string => {
  if (!IDENTIFIER.test(name))
    throw new AttestreamError('USAGE', `${JSON.stringify(name)} cannot be the name of a ClickHouse database`);
  return name;
};

/** Secrets need not stand in argv or in the environment: ATTESTREAM_CLICKHOUSE_PASSWORD_FILE names a file. */
const passwordOf = (url: URL, environment: NodeJS.ProcessEnv): string => {
  if (url.password !== '') return decodeURIComponent(url.password);
  const file = environment['ATTESTREAM_CLICKHOUSE_PASSWORD_FILE'];
  if (file === undefined || file === '') return environment['ATTESTREAM_CLICKHOUSE_PASSWORD'] ?? '';
  try {
    return readFileSync(file, 'utf8').replace(/\r?\n$/, '');
  } catch (cause) {
    throw new AttestreamError(
      'USAGE',
      `the file that ATTESTREAM_CLICKHOUSE_PASSWORD_FILE names cannot be read: ${(cause as Error).message}`,
      { path: file },
      { cause },
    );
  }
};

/** Reads `embedded:DIR` or `http(s)://USER:PASSWORD@HOST:PORT/DATABASE`. Throws USAGE. */
export const parseAddress = (text: string, environment: NodeJS.ProcessEnv = process.env): Address => {
  const embedded = /^embedded:(?:\/\/(?=\/))?(.*)$/s.exec(text);
  if (embedded !== null) {
    if (embedded[1] === '')
      throw new AttestreamError('USAGE', 'embedded: needs a folder, as in embedded:./attestream-data');
    return { kind: 'embedded', folder: embedded[1]!, database: DEFAULT_DATABASE };
  }
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw new AttestreamError(
      'USAGE',
      `${JSON.stringify(text)} is no ClickHouse address: embedded:DIR or http://HOST:8123`,
    );
  }
  if (url.protocol !== 'http:' && url.protocol !== 'https:')
    throw new AttestreamError('USAGE', `ClickHouse is spoken to by http: or https:, not by ${url.protocol}`);
  const path = decodeURIComponent(url.pathname).replace(/^\/|\/$/g, '');
  return {
    kind: 'server',
    url: url.origin,
    username: url.username === '' ? 'default' : decodeURIComponent(url.username),
    password: passwordOf(url, environment),
    database: databaseName(path === '' ? DEFAULT_DATABASE : path),
  };
};
