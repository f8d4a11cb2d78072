import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { AttestreamError } from '../../../schemas/errors.js';

/** The engine's shared library, and the version of the package that brought it. */
export interface Engine {
  readonly library: string;
  readonly version: string;
}

const require = createRequire(import.meta.url);

/** Finds libchdb and the bridge to it; both are optional dependencies of 500 MB. Throws EMBEDDED_MISSING. */
export const findEngine = (): Engine => {
  try {
    require.resolve('ffi-rs');
    const { version } = JSON.parse(readFileSync(require.resolve('chdb/package.json'), 'utf8')) as { version: string };
    const { libchdbPath } = require('chdb/libchdb') as { libchdbPath(): string };
    return { library: libchdbPath(), version };
  } catch (cause) {
    throw new AttestreamError(
      'EMBEDDED_MISSING',
      'the embedded ClickHouse is not installed: run `npm i chdb ffi-rs`, or name a server as http://USER@HOST:8123',
      {},
      { cause },
    );
  }
};

/** Major and minor of a version compared, as numbers; what differs only in its patch reads the same files. */
export const isNewer = (version: string, than: string): boolean => {
  const [a, b] = [version, than].map((text) => text.split('.').map((part) => Number.parseInt(part, 10) || 0)) as [
    number[],
    number[],
  ];
  return (a[0] ?? 0) !== (b[0] ?? 0) ? (a[0] ?? 0) > (b[0] ?? 0) : (a[1] ?? 0) > (b[1] ?? 0);
};
