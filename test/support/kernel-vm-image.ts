import { execFileSync } from 'node:child_process';
import { chmodSync, cpSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { kernelFolder } from './kernel-vm-parts.js';

const BUSYBOX = '/bin/busybox';

/** Modules on the way to disk, serial ports and network, in the order in which they need each other. */
const MODULES = [
  'virtio_ring',
  'virtio',
  'virtio_pci_legacy_dev',
  'virtio_pci_modern_dev',
  'virtio_pci',
  'virtio_blk',
  'virtio_console',
  'failover',
  'net_failover',
  'virtio_net',
  'overlay',
];

/** One member of a cpio archive ("newc"), padded to four bytes. */
const member = (name: string, mode: number, data: Buffer): Buffer => {
  const hex = (value: number): string => value.toString(16).padStart(8, '0');
  const fields = [0, mode, 0, 0, 1, 0, data.length, 0, 0, 0, 0, name.length + 1, 0].map(hex).join('');
  const padded = (bytes: Buffer): Buffer => Buffer.concat([bytes, Buffer.alloc(-bytes.length & 3)]);
  return Buffer.concat([padded(Buffer.from(`070701${fields}${name}\0`, 'latin1')), padded(data)]);
};

const REACH_THE_DISK = `#!/bin/busybox sh
B=/bin/busybox
$B mount -t proc proc /proc; $B mount -t sysfs sys /sys; $B mount -t devtmpfs dev /dev
for m in /m/*; do $B insmod $m || $B echo "insmod $m failed"; done
n=0; while [ ! -b /dev/vda ] && [ $n -lt 250 ]; do $B usleep 20000; n=$((n+1)); done
$B mount -t ext4 -o rw /dev/vda /n && $B mount --move /dev /n/dev && $B umount /proc && $B umount -l /sys && exec $B switch_root /n /sbin/init
$B echo BOOT-FAILED; $B poweroff -f
`;

const kernelFile = (): string => {
  const boot = join(kernelFolder(), 'boot');
  return join(boot, readdirSync(boot).find((name) => name.startsWith('vmlinuz-'))!);
};

const moduleFiles = (): readonly string[] => {
  const root = join(kernelFolder(), 'lib/modules');
  const all = readdirSync(root, { recursive: true, encoding: 'utf8' });
  return MODULES.flatMap((name) => all.filter((path) => new RegExp(`/${name}\\.ko(\\.xz)?$`).test(path))).map((path) =>
    join(root, path),
  );
};

/** An initramfs that loads the drivers and goes over to the disk. */
const initramfs = (): Buffer => {
  const folders = ['bin', 'dev', 'proc', 'sys', 'm', 'n'].map((name) => member(name, 0o40755, Buffer.alloc(0)));
  const modules = moduleFiles().map((path, index) => {
    const bytes = path.endsWith('.xz')
      ? execFileSync('xz', ['-dc', path], { maxBuffer: 64 << 20 })
      : readFileSync(path);
    return member(`m/${String(index).padStart(2, '0')}`, 0o100644, bytes);
  });
  return gzipSync(
    Buffer.concat([
      ...folders,
      member('bin/busybox', 0o100755, readFileSync(BUSYBOX)),
      member('init', 0o100755, Buffer.from(REACH_THE_DISK)),
      ...modules,
      member('TRAILER!!!', 0, Buffer.alloc(0)),
    ]),
    { level: 1 },
  );
};

/**
 * Init of the machine. Each line that comes through the serial port is a script in base64; its exit status and its output go
 * back as one line. Scripts are kept on tmpfs, which the kernel does not measure.
 */
const INIT = `#!/bin/sh
export PATH=/bin:/sbin:/usr/bin:/usr/sbin HOME=/root
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t securityfs sec /sys/kernel/security
mount -t tmpfs run /run; mount -t tmpfs tmp /tmp
ip link set lo up; ip addr add 10.0.2.15/24 dev eth0; ip link set eth0 up; ip route add default via 10.0.2.2
for d in /sys/class/virtio-ports/*; do [ "$(cat $d/name)" = control ] && port=/dev/\${d##*/}; done
exec 3<>$port
echo "ready $(cat /proc/sys/kernel/random/boot_id)" >&3
while :; do
  if read -r line <&3; then
    echo "$line" | base64 -d >/run/script
    sh /run/script >/run/output 2>&1 </dev/null
    echo "$? $(base64 /run/output | tr -d '\\n')" >&3
  else usleep 20000; fi
done
`;

export interface MachineImage {
  readonly kernel: string;
  readonly initramfs: string;
  /** ext4: under the `tcb` policy files on tmpfs are not measured. */
  readonly disk: string;
}

export interface ImageFile {
  /** Absolute, in the machine. */
  readonly path: string;
  /** A file or folder of this machine, or what the file holds. */
  readonly from: string | { readonly text: string };
}

/** Programs of this machine together with the libraries that they load, under the same paths. */
export const withLibraries = (program: string): readonly ImageFile[] => {
  const listed = execFileSync('ldd', [program], { encoding: 'utf8' });
  const libraries = [...listed.matchAll(/(?:=> )?(\/\S+) \(0x/g)].map((match) => match[1]!);
  return [program, ...new Set(libraries)].map((path) => ({ path, from: path }));
};

/** Kernel, initramfs and a disk of `megabytes` with busybox and the given files, all in `folder`. */
export const buildImage = (folder: string, files: readonly ImageFile[], megabytes = 256): MachineImage => {
  const root = join(folder, 'root');
  for (const name of ['bin', 'sbin', 'dev', 'proc', 'sys', 'run', 'tmp', 'root', 'etc'])
    mkdirSync(join(root, name), { recursive: true });
  cpSync(BUSYBOX, join(root, 'bin/busybox'));
  for (const applet of execFileSync(BUSYBOX, ['--list'], { encoding: 'utf8' }).split('\n'))
    if (applet !== '' && applet !== 'busybox') symlinkSync('busybox', join(root, 'bin', applet));
  writeFileSync(join(root, 'sbin/init'), INIT);
  chmodSync(join(root, 'sbin/init'), 0o755);
  for (const { path, from } of files) {
    const target = join(root, path);
    mkdirSync(dirname(target), { recursive: true });
    if (typeof from === 'string') cpSync(from, target, { recursive: true, dereference: true });
    else writeFileSync(target, from.text);
  }
  const image = { kernel: kernelFile(), initramfs: join(folder, 'initramfs'), disk: join(folder, 'disk') };
  writeFileSync(image.initramfs, initramfs());
  execFileSync('/sbin/mke2fs', [
    ...['-q', '-t', 'ext4', '-O', '^has_journal', '-m', '0', '-d', root, image.disk, `${megabytes}M`],
  ]);
  return image;
};
