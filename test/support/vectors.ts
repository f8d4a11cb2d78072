import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { ROOT } from './sources.js';

const FOLDER = join(ROOT, 'test/vectors');

/** A file below test/vectors, unpacked. */
export const vector = (path: string): Buffer => {
  const bytes = readFileSync(join(FOLDER, path));
  return path.endsWith('.gz') ? gunzipSync(bytes) : bytes;
};

/** Names in a folder below test/vectors, sorted. */
export const vectorNames = (folder: string): string[] => readdirSync(join(FOLDER, folder)).sort();

/** PCR values as `BANK PCR HEX` lines. */
export const pcrVector = (path: string): { bank: string; pcr: number; value: Buffer }[] =>
  vector(path)
    .toString('latin1')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const [bank, pcr, hex] = line.split(' ');
      return { bank: bank!, pcr: Number(pcr), value: Buffer.from(hex!, 'hex') };
    });
