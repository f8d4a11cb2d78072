import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Where a peer's sources are, and where what is built of them may lie. Null where they are not part of the installation. */
export const peerFolder = (name: string): { readonly source: string; readonly cache: string } | null => {
  // This file runs as it is and from dist/.
  for (const up of ['.', '..', '../..']) {
    const source = fileURLToPath(new URL(`${up}/bench/peers/${name}`, import.meta.url));
    if (existsSync(source)) return { source, cache: join(source, '../../../.cache/bench-peers', name) };
  }
  return null;
};
