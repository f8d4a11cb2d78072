import { execFileSync } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { sourceOfBuffer } from '../../../producers/memory/elf/byte-source.js';
import { crc32 } from '../../../producers/memory/elf/crc32.js';
import {
  debugLink,
  downloadFolders,
  findAlternateFile,
  findDebugFile,
} from '../../../producers/memory/elf/debug-file.js';
import { type Elf, parseElf } from '../../../producers/memory/elf/elf.js';
import { resolveInRoot } from '../../../producers/memory/elf/in-root.js';
import { hasMiniDebug, readMiniDebug } from '../../../producers/memory/elf/mini-debug.js';
import { openRegularFile } from '../../../producers/memory/elf/regular-file.js';
import { SymbolTable } from '../../../producers/memory/elf/symbols.js';
import { openModule } from '../../../producers/memory/locate/module.js';
import { mutated } from '../../support/mutate.js';
import { temporaryFolder } from '../../support/tmp.js';
import { vector } from '../../support/vectors.js';

const elfOf = (name: string): Elf => parseElf(sourceOfBuffer(vector(`elf/${name}.gz`)));
const folder = temporaryFolder('debug-files');
const put = (path: string, bytes: Buffer): void => {
  mkdirSync(join(folder, path, '..'), { recursive: true });
  writeFileSync(join(folder, path), bytes);
};

describe('separate debug files', () => {
  const linked = elfOf('linked.so');
  const debug = vector('elf/tiny.debug.gz');
  const id = linked.buildId;
  const search = (root: string, downloads: string[] = []): Parameters<typeof findDebugFile>[1] => ({
    path: '/app/linked.so',
    roots: [join(folder, root)],
    downloads: downloads.map((name) => join(folder, name)),
  });
  const found = (root: string, downloads?: string[]): string | null => {
    const file = findDebugFile(linked, search(root, downloads));
    file?.close();
    return file?.path.replace(folder, '') ?? null;
  };

  test('are found by build id, in what was downloaded, and by link in each of its folders', () => {
    const byId = `usr/lib/debug/.build-id/${id.slice(0, 2)}/${id.slice(2)}.debug`;
    for (const [root, path] of [
      ['a', byId],
      ['b', 'app/tiny.debug'],
      ['c', 'app/.debug/tiny.debug'],
      ['d', 'usr/lib/debug/app/tiny.debug'],
    ] as const) {
      put(join(root, path), debug);
      expect(found(root)).toBe(`/${path}`);
    }
    put(`cache/${id}/debuginfo`, debug);
    expect(found('nothing', ['cache'])).toBe(`/cache/${id}/debuginfo`);
    expect(found('nothing')).toBeNull();
  });

  test('are not taken where the build id differs, wherever they lie', () => {
    const other = Buffer.from(debug);
    const at = other.indexOf(Buffer.from(id, 'hex'));
    other[at] = other[at]! ^ 1;
    put('e/app/tiny.debug', other);
    put(`e/usr/lib/debug/.build-id/${id.slice(0, 2)}/${id.slice(2)}.debug`, other);
    expect(found('e')).toBeNull();
  });

  test('are not taken where the addresses differ, as after prelinking', () => {
    const moved = Buffer.from(debug);
    const segments = Number(moved.readBigUInt64LE(0x20));
    for (let i = 0; i < moved.readUInt16LE(0x38); i++) {
      const vaddr = segments + i * 56 + 16;
      moved.writeBigUInt64LE(moved.readBigUInt64LE(vaddr) + 0x10000n, vaddr);
    }
    put('f/app/tiny.debug', moved);
    expect(found('f')).toBeNull();
  });

  test('without build ids the checksum decides', () => {
    const strip = (bytes: Buffer): Buffer => {
      const at = bytes.indexOf(Buffer.from(id, 'hex'));
      // Another kind of note.
      bytes.writeUInt32LE(99, at - 8);
      return bytes;
    };
    const bare = strip(vector('elf/linked.so.gz'));
    const bareDebug = strip(Buffer.from(debug));
    put('g/app/tiny.debug', bareDebug);
    const link = debugLink(linked)!;
    expect(link).toEqual({ name: 'tiny.debug', crc: crc32(debug) });
    const elf = parseElf(sourceOfBuffer(bare));
    expect(elf.buildId).toBe('');
    expect(findDebugFile(elf, search('g'))).toBeNull();
    const place = bare.indexOf(Buffer.from('tiny.debug\0')) + 12;
    expect(bare.readUInt32LE(place)).toBe(link.crc);
    bare.writeUInt32LE(crc32(bareDebug), place);
    const file = findDebugFile(parseElf(sourceOfBuffer(bare)), search('g'));
    expect(file?.path).toBe('/app/tiny.debug');
    file?.close();
  });

  test('a link that names another folder is none', () => {
    for (const name of ['../../../etc', '/etc/pass', '..', '.', '']) {
      const bytes = vector('elf/linked.so.gz');
      const at = bytes.indexOf(Buffer.from('tiny.debug\0'));
      bytes.fill(0, at, at + 11);
      bytes.write(name, at);
      expect(debugLink(parseElf(sourceOfBuffer(bytes)))).toBeNull();
    }
  });

  test('a file shared by several must have the build id that is named', () => {
    const shared = vector('elf/tiny.so.gz');
    const at = shared.indexOf(Buffer.from(elfOf('tiny.so').buildId, 'hex'));
    Buffer.from(Array.from({ length: 20 }, (_, i) => i + 1)).copy(shared, at);
    put('h/app/tiny.dwz', shared);
    const file = findAlternateFile(linked, '/app/linked.so', search('h'));
    expect(file?.path).toBe('/app/tiny.dwz');
    file?.close();
    put('i/app/tiny.dwz', vector('elf/tiny.so.gz'));
    expect(findAlternateFile(linked, '/app/linked.so', search('i'))).toBeNull();
  });

  test('downloads are looked for where debuginfod keeps them', () => {
    expect(downloadFolders({ DEBUGINFOD_CACHE_PATH: '/x' })).toEqual(['/x']);
    expect(downloadFolders({ XDG_CACHE_HOME: '/c', HOME: '/h' })).toEqual(['/c/debuginfod_client']);
    expect(downloadFolders({ HOME: '/h' })).toEqual(['/h/.cache/debuginfod_client']);
  });
});

describe('packed symbols', () => {
  test('are named once they are unpacked, and waiting is never needed', async () => {
    const module = openModule('/app/mini.so', sourceOfBuffer(vector('elf/mini.so.gz')), null);
    expect(module.symbols.named('inner')).toBeNull();
    await module.ready();
    expect(module.ready()).toBeNull();
    expect(module.symbols.named('inner')?.names).toEqual(['inner']);
    const whole = new SymbolTable(elfOf('tiny.so')).named('inner')!;
    expect(module.symbols.covering(whole.start + 1)).toMatchObject({ start: whole.start, size: whole.size });
  });

  test('are not awaited by a module that is closed', async () => {
    const module = openModule('/app/mini.so', sourceOfBuffer(vector('elf/mini.so.gz')), null);
    const ready = module.ready();
    module.close();
    await ready;
    expect(module.symbols.named('inner')).toBeNull();
  });

  test('damage anywhere in them gives symbols or none', async () => {
    const bytes = vector('elf/mini.so.gz');
    const section = elfOf('mini.so').sections.find(({ name }) => name === '.gnu_debugdata')!;
    let unpacked = 0;
    for (let seed = 1; seed <= 150; seed++) {
      const packed = mutated([bytes.subarray(section.offset, section.offset + section.size)], seed, 0, section.size);
      const damaged = Buffer.from(bytes);
      damaged.fill(0, section.offset, section.offset + section.size);
      packed.copy(damaged, section.offset, 0, section.size);
      const elf = parseElf(sourceOfBuffer(damaged));
      expect(hasMiniDebug(elf)).toBe(true);
      if ((await readMiniDebug(elf)) !== null) unpacked++;
    }
    expect(unpacked).toBeLessThan(150);
    expect(await readMiniDebug(elfOf('mini.so'))).not.toBeNull();
  });
});

describe('paths that somebody else chose', () => {
  test('absolute links stay within the root, and circles end', () => {
    const root = join(folder, 'root');
    mkdirSync(join(root, 'real/deep'), { recursive: true });
    mkdirSync(join(root, 'etc'), { recursive: true });
    writeFileSync(join(root, 'real/file'), '');
    symlinkSync('/real', join(root, 'absolute'));
    symlinkSync('../../../../../real/file', join(root, 'real/deep/up'));
    symlinkSync('loop', join(root, 'loop'));
    symlinkSync('/etc/passwd', join(root, 'secret'));
    expect(resolveInRoot(root, '/absolute/file')).toBe(`${root}/real/file`);
    expect(resolveInRoot(root, '/real/deep/up')).toBe(`${root}/real/file`);
    expect(resolveInRoot(root, '/loop')).toBeNull();
    expect(resolveInRoot(root, '/secret')).toBeNull();
    expect(resolveInRoot(root, '/nothing/here')).toBeNull();
    expect(resolveInRoot(root, '/../../real/./file')).toBe(`${root}/real/file`);
    expect(resolveInRoot('', '/absolute/file')).toBe('/absolute/file');
  });

  test('neither a FIFO nor a device nor a folder is opened', () => {
    const fifo = join(folder, 'fifo');
    execFileSync('mkfifo', [fifo]);
    const began = performance.now();
    for (const path of [fifo, '/dev/zero', '/dev/tty', folder, '/nonexistent'])
      expect(openRegularFile(path)).toBeNull();
    expect(performance.now() - began).toBeLessThan(10_000);
  });
});
