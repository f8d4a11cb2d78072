import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { arm64Parts } from './arm64-vm-parts.js';
import { cpio } from './cpio.js';
import { ROOT } from './sources.js';

/** Drivers on the way to the disk, in the order in which they need each other. */
const MODULES = ['virtio_ring', 'virtio', 'virtio_mmio', 'virtio_blk'];
const APPLETS = [
  'sh',
  'mount',
  'sleep',
  'usleep',
  'cat',
  'kill',
  'poweroff',
  'ip',
  'uname',
  'grep',
  'insmod',
  'switch_root',
  'umount',
  'echo',
];
/** Two cores that others use, too, emulate a start of Node in a minute; idle ones in ten seconds. */
const PATIENCE_MS = 300_000;

const REACH_THE_DISK = `#!/bin/busybox sh
B=/bin/busybox
$B mount -t proc proc /proc; $B mount -t sysfs sys /sys; $B mount -t devtmpfs dev /dev
for m in /m/*; do $B insmod $m; done
n=0; while [ ! -b /dev/vda ] && [ $n -lt 500 ]; do $B usleep 10000; n=$((n+1)); done
$B mount -t ext4 -o rw /dev/vda /n && $B mount --move /dev /n/dev && $B umount /proc && $B umount -l /sys && exec $B switch_root /n /sbin/init
$B echo BOOT-FAILED; $B poweroff -f
`;

/** A disk that a machine starts from and runs one script on. */
export interface Arm64Image {
  readonly folder: string;
}

const compile = (into: string): void => {
  const tsc = join(ROOT, 'node_modules/typescript/bin/tsc');
  // Whether the types hold is for other checks to say: what matters here is what comes out.
  spawnSync(
    process.execPath,
    [
      tsc,
      '-p',
      join(ROOT, 'tsconfig.build.json'),
      '--outDir',
      into,
      '--declaration',
      'false',
      '--noEmitOnError',
      'false',
    ],
    { cwd: ROOT, stdio: 'ignore' },
  );
  for (const data of ['schemas/events'])
    cpSync(join(ROOT, data), join(into, data), { recursive: true, filter: (file) => !file.endsWith('.ts') });
};

/** The packages that the shipped command needs, as installed here but for the one with machine code. */
const dependencies = (into: string): void => {
  const { packages } = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, { dev?: boolean; optional?: boolean; devOptional?: boolean }>;
  };
  for (const [path, { dev, optional, devOptional }] of Object.entries(packages))
    if (
      path !== '' &&
      !dev &&
      !optional &&
      !devOptional &&
      existsSync(join(ROOT, path)) &&
      path.lastIndexOf('node_modules') === 0
    )
      cpSync(join(ROOT, path), join(into, path), {
        recursive: true,
        filter: (file) => !/\.(?:md|map|d\.[cm]?ts)$|\/koffi\/(?:vendor|doc)(?:\/|$)/.test(file),
      });
  cpSync(join(arm64Parts(), 'koffi'), join(into, 'node_modules/@koromix/koffi-linux-arm64'), { recursive: true });
};

/** Makes the disk: the product as built from these sources, Node, the libraries, and `files` (path in the machine → contents). */
export const makeArm64Image = (folder: string, files: Readonly<Record<string, Buffer>>): Arm64Image => {
  const parts = arm64Parts();
  const root = join(folder, 'root');
  cpSync(join(parts, 'root'), root, { recursive: true, verbatimSymlinks: true });
  for (const name of ['bin', 'sbin', 'dev', 'proc', 'sys', 'run', 'tmp', 'app', 'usr/local/bin'])
    mkdirSync(join(root, name), { recursive: true });
  for (const applet of APPLETS)
    if (!existsSync(join(root, 'bin', applet))) symlinkSync('busybox', join(root, 'bin', applet));
  cpSync(join(parts, 'node/bin/node'), join(root, 'usr/local/bin/node'));
  compile(join(root, 'app/dist'));
  cpSync(join(ROOT, 'package.json'), join(root, 'app/package.json'));
  dependencies(join(root, 'app'));
  for (const [path, bytes] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), bytes);
    chmodSync(join(root, path), 0o755);
  }
  execFileSync('/sbin/mke2fs', [
    '-q',
    '-t',
    'ext4',
    '-O',
    '^has_journal',
    '-m',
    '0',
    '-d',
    root,
    join(folder, 'disk.img'),
    '400M',
  ]);
  const release = readdirSync(join(parts, 'kernel/lib/modules'))[0]!;
  const all = readdirSync(join(parts, 'kernel/lib/modules', release), { recursive: true, encoding: 'utf8' });
  const drivers = MODULES.flatMap((name, i) => {
    const path = all.find((candidate) => new RegExp(`/${name}\\.ko(?:\\.xz)?$`).test(candidate));
    if (path === undefined) return [];
    const bytes = readFileSync(join(parts, 'kernel/lib/modules', release, path));
    const module = path.endsWith('.xz') ? execFileSync('xz', ['-dc'], { input: bytes, maxBuffer: 64 << 20 }) : bytes;
    return [{ name: `m/${i}.ko`, mode: 0o100644, data: module }];
  });
  const folders = ['bin', 'dev', 'proc', 'sys', 'm', 'n'].map((name) => ({
    name,
    mode: 0o40755,
    data: Buffer.alloc(0),
  }));
  const busybox = { name: 'bin/busybox', mode: 0o100755, data: readFileSync(join(parts, 'root/bin/busybox')) };
  const init = { name: 'init', mode: 0o100755, data: Buffer.from(REACH_THE_DISK) };
  writeFileSync(join(folder, 'initramfs.gz'), gzipSync(cpio([...folders, busybox, init, ...drivers]), { level: 1 }));
  // QEMU takes the kernel as it is or gzipped; Debian's is plain.
  return { folder };
};

const kernelFile = (): string => {
  const boot = join(arm64Parts(), 'kernel/boot');
  return join(boot, readdirSync(boot).find((name) => name.startsWith('vmlinuz-'))!);
};

/** Starts a machine with this processor, waits until its /sbin/init has powered it off, and gives what it wrote to the console. */
export const runArm64Machine = async ({ folder }: Arm64Image, processor: string): Promise<string> => {
  const console = join(folder, `console-${processor.replace(/\W/g, '-')}.log`);
  const log = openSync(join(folder, 'qemu.log'), 'a');
  const qemu = spawn(
    'qemu-system-aarch64',
    [
      ...['-M', 'virt,gic-version=3', '-accel', 'tcg', '-cpu', processor, '-smp', '2', '-m', '1536', '-nodefaults'],
      ...['-display', 'none', '-no-reboot', '-serial', `file:${console}`, '-kernel', kernelFile()],
      ...['-initrd', join(folder, 'initramfs.gz'), '-append', 'console=ttyAMA0 quiet panic=-1'],
      ...['-drive', `file=${join(folder, 'disk.img')},format=raw,if=none,id=d0,snapshot=on`],
      ...['-device', 'virtio-blk-device,drive=d0'],
    ],
    { stdio: ['ignore', log, log] },
  );
  const timer = setTimeout(() => qemu.kill('SIGKILL'), PATIENCE_MS);
  try {
    await once(qemu, 'exit');
    return existsSync(console) ? readFileSync(console, 'utf8') : '';
  } finally {
    clearTimeout(timer);
    qemu.kill('SIGKILL');
  }
};

/** A gzipped program of the vectors for arm64. */
export const arm64Program = (name: string): Buffer =>
  gunzipSync(readFileSync(join(ROOT, 'test/vectors/arm64/bin', `${name}.gz`)));
