import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openCapture } from '../../producers/memory/capture/capture.js';
import { lookAtCapture } from '../../producers/memory/capture/look-at-capture.js';
import type { FuzzTarget } from '../support/fuzz.js';
import { ROOT } from '../support/sources.js';

const FROM = join(ROOT, 'test/vectors/arm64/c-O2.epoll');
const folder = mkdtempSync(join(tmpdir(), 'attestream-fuzz-capture-'));
process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
cpSync(FROM, join(folder, 'capture'), { recursive: true });
cpSync(join(ROOT, 'test/vectors/arm64/bin/c-O2.gz'), join(folder, 'bin/c-O2.gz'));
writeFileSync(
  join(folder, 'capture/capture.json'),
  JSON.stringify({ at: 1, hashes: { maps: '00' }, buildIds: { '/root/bin/c-O2': '00' }, files: { '/x': '../../etc' } }),
);
const names = readdirSync(join(folder, 'capture')).filter((name) => name !== 'truth.json');
const originals = names.map((name) => readFileSync(join(folder, 'capture', name)));

/** A capture of which one file is mutated; the first byte says which. Names, ranges and registers are the hostile part. */
export const target: FuzzTarget = {
  seeds: () => originals.map((bytes, i) => Buffer.concat([Buffer.from([i]), bytes.subarray(0, 8192)])),
  maxBytes: 16 * 1024,
  run: (input) => {
    const which = (input[0] ?? 0) % names.length;
    const path = join(folder, 'capture', names[which]!);
    writeFileSync(path, input.subarray(1));
    try {
      lookAtCapture(openCapture(join(folder, 'capture')), 'all');
    } finally {
      writeFileSync(path, originals[which]!);
    }
  },
};
