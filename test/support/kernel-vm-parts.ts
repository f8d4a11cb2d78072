import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { cacheFolder, onPath } from '../../infra/kafka/jvm.js';

/** Debian's kernel for virtual machines: IMA, EVM and the TPM drivers built in, hashing every PCR bank for itself. */
const KERNEL_PACKAGE = 'linux-image-6.12-cloud-amd64';

/** What the machine is made of: a file that proves the part is there, and the package that brings it. */
const PARTS: readonly { readonly file: string; readonly package: string }[] = [
  { file: 'qemu-system-x86_64', package: 'qemu-system-x86' },
  { file: '/usr/share/seabios/bios-256k.bin', package: 'seabios' },
  { file: '/usr/share/OVMF/OVMF_CODE_4M.fd', package: 'ovmf' },
  { file: 'swtpm', package: 'swtpm' },
  { file: 'swtpm_setup', package: 'swtpm-tools' },
  { file: '/bin/busybox', package: 'busybox-static' },
  { file: '/sbin/mke2fs', package: 'e2fsprogs' },
  { file: 'xz', package: 'xz-utils' },
];

const there = (file: string): boolean => (file.startsWith('/') ? existsSync(file) : onPath(file));

const apt = (...args: string[]): boolean =>
  spawnSync('apt-get', ['-q', '-y', ...args], {
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    stdio: 'ignore',
    timeout: 240_000,
  }).status === 0;

/** The version of the kernel that the package lists know now; '' if they know none. */
const kernelPackage = (): string => {
  const { stdout } = spawnSync('apt-cache', ['depends', KERNEL_PACKAGE], { encoding: 'utf8' });
  return /Depends: (linux-image-\S+)/.exec(stdout ?? '')?.[1] ?? '';
};

/** Folder of an unpacked kernel package in the cache: `boot/vmlinuz-*` and `lib/modules/*`. null if none was fetched yet. */
const cachedKernel = (): string | null => {
  const parent = cacheFolder('kernel');
  const found = existsSync(parent) ? readdirSync(parent).filter((name) => name.startsWith('linux-image-')) : [];
  return found.length === 0 ? null : join(parent, found.sort().at(-1)!);
};

/** The package is unpacked, never installed. A half-fetched one is not left where it would be taken for a whole one. */
const fetchKernel = (): string | null => {
  if (kernelPackage() === '') apt('update');
  const name = kernelPackage();
  if (name === '') return null;
  const parent = cacheFolder('kernel');
  mkdirSync(parent, { recursive: true });
  const work = mkdtempSync(join(parent, 'fetch-'));
  try {
    const download = (): boolean =>
      spawnSync('apt-get', ['-q', 'download', name], { cwd: work, stdio: 'ignore', timeout: 240_000 }).status === 0;
    if (!download()) {
      apt('update');
      if (!download()) return null;
    }
    const file = readdirSync(work).find((entry) => entry.endsWith('.deb'));
    if (file === undefined) return null;
    execFileSync('dpkg', ['-x', file, 'kernel'], { cwd: work });
    const target = join(parent, name);
    if (!existsSync(target)) renameSync(join(work, 'kernel'), target);
    return target;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
};

let found: string | null = null;

/** Folder of the kernel's files. Only after `kernelVmParts` said that nothing is missing. */
export const kernelFolder = (): string => {
  if (found === null) throw new Error('the kernel was not fetched');
  return found;
};

/** All that a virtual machine needs, installed and fetched if this is a Debian machine and we are root; else what is missing. */
export const kernelVmParts = (): string | null => {
  if (process.arch !== 'x64' || process.platform !== 'linux') return 'the machine is made for Linux on x86-64';
  const missing = (): string[] => PARTS.filter(({ file }) => !there(file)).map((part) => part.package);
  if (missing().length > 0 && process.getuid?.() === 0 && onPath('apt-get')) {
    if (!apt('install', '--no-install-recommends', ...missing())) {
      apt('update');
      apt('install', '--no-install-recommends', ...missing());
    }
  }
  if (missing().length > 0) return `${missing().join(', ')} not installed`;
  found ??= cachedKernel() ?? fetchKernel();
  return found === null ? `${KERNEL_PACKAGE} cannot be fetched` : null;
};
