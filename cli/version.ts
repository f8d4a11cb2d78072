import { existsSync, readFileSync } from 'node:fs';

/** The package's version; the sources lie one folder higher than what is compiled from them. */
export const version = (): string => {
  for (const path of ['../package.json', '../../package.json']) {
    const file = new URL(path, import.meta.url);
    if (existsSync(file)) return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
  }
  return '0.0.0';
};
