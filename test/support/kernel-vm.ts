import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { MachineImage } from './kernel-vm-image.js';

export interface MachineOptions {
  /** An existing, empty folder for state and sockets. */
  readonly folder: string;
  readonly image: MachineImage;
  /** Kernel arguments; default: IMA's `tcb` policy. */
  readonly arguments?: string;
  /** `uefi` measures kernel, command line and initramfs into PCR 4 and 9; `bios` is quicker and does not. */
  readonly firmware?: 'uefi' | 'bios';
  /** MiB */
  readonly memory?: number;
}

export interface Answer {
  readonly status: number;
  readonly output: string;
}

const BOOT_PATIENCE = 120_000;
const SWTPM_PATIENCE = 10_000;
const FIRMWARE = '/usr/share/OVMF/OVMF';

const socketOf = async (path: string, owner: ChildProcess, patience: number): Promise<void> => {
  for (const end = Date.now() + patience; !existsSync(path); await sleep(10))
    if (Date.now() > end || owner.exitCode !== null) throw new Error(`${path} was not made in time`);
};

/**
 * A virtual machine with Debian's kernel, IMA and a TPM, emulated in software. Reached through a serial port; sees this
 * machine's loopback as 10.0.2.2. Reboots keep the TPM's state.
 */
export class KernelVm {
  readonly #tpm: ChildProcess;
  readonly #qemu: ChildProcess;
  readonly #control: Socket;
  readonly #folder: string;
  readonly #lines: string[] = [];
  #partial = '';
  #wake: (() => void) | null = null;
  #boot = '';

  private constructor(folder: string, tpm: ChildProcess, qemu: ChildProcess, control: Socket) {
    this.#folder = folder;
    this.#tpm = tpm;
    this.#qemu = qemu;
    this.#control = control;
    control.setEncoding('latin1');
    control.on('data', (text: string) => {
      const parts = (this.#partial + text).split('\n');
      this.#partial = parts.pop()!;
      this.#lines.push(...parts);
      this.#wake?.();
    });
    control.on('error', () => this.#wake?.());
    qemu.once('exit', () => this.#wake?.());
  }

  static async start(options: MachineOptions): Promise<KernelVm> {
    const { folder, image, firmware = 'bios', memory = 640 } = options;
    const state = join(folder, 'tpm');
    const tpmSocket = join(folder, 'tpm.sock');
    mkdirSync(state, { recursive: true });
    execFileSync(
      'swtpm_setup',
      ['--tpm2', '--tpmstate', state, '--pcr-banks', 'sha1,sha256,sha384,sha512', '--overwrite'],
      {
        stdio: 'ignore',
      },
    );
    const tpm = spawn(
      'swtpm',
      ['socket', '--tpm2', '--tpmstate', `dir=${state}`, '--ctrl', `type=unixio,path=${tpmSocket}`, '--terminate'],
      { stdio: 'ignore' },
    );
    let qemu: ChildProcess | undefined;
    try {
      await socketOf(tpmSocket, tpm, SWTPM_PATIENCE);
      const uefi: string[] = [];
      if (firmware === 'uefi') {
        copyFileSync(`${FIRMWARE}_VARS_4M.fd`, join(folder, 'vars'));
        uefi.push('-drive', `if=pflash,format=raw,unit=0,readonly=on,file=${FIRMWARE}_CODE_4M.fd`);
        uefi.push('-drive', `if=pflash,format=raw,unit=1,file=${join(folder, 'vars')}`);
      }
      const wanted = options.arguments ?? 'ima_policy=tcb ima_template=ima-ng ima_hash=sha256';
      const machine = spawn(
        'qemu-system-x86_64',
        [
          ...['-M', 'q35', '-accel', 'tcg', '-cpu', 'max', '-m', String(memory), '-nodefaults', '-display', 'none'],
          ...['-serial', `file:${join(folder, 'console')}`, ...uefi],
          ...['-kernel', image.kernel, '-initrd', image.initramfs],
          ...['-append', `console=ttyS0 quiet panic=-1 ${wanted}`],
          ...['-drive', `file=${image.disk},format=raw,if=none,id=disk,snapshot=on`],
          ...['-device', 'virtio-blk-pci,drive=disk', '-device', 'virtio-serial-pci'],
          ...['-chardev', `socket,id=control,path=${join(folder, 'control.sock')},server=on,wait=off`],
          ...['-device', 'virtserialport,chardev=control,name=control'],
          ...['-netdev', 'user,id=net', '-device', 'virtio-net-pci,netdev=net,romfile='],
          ...['-chardev', `socket,id=tpm,path=${tpmSocket}`, '-tpmdev', 'emulator,id=tpm,chardev=tpm'],
          ...['-device', 'tpm-tis,tpmdev=tpm'],
        ],
        { stdio: ['ignore', 'ignore', 'pipe'] },
      );
      qemu = machine;
      let complaint = '';
      machine.stderr.on('data', (bytes: Buffer) => {
        complaint = (complaint + bytes.toString()).slice(-2000);
      });
      try {
        await socketOf(join(folder, 'control.sock'), machine, SWTPM_PATIENCE);
      } catch (cause) {
        throw new Error(`QEMU did not start: ${complaint}`, { cause });
      }
      const control = connect(join(folder, 'control.sock'));
      await once(control, 'connect');
      const vm = new KernelVm(folder, tpm, machine, control);
      await vm.#ready();
      return vm;
    } catch (error) {
      qemu?.kill('SIGKILL');
      tpm.kill('SIGKILL');
      throw error;
    }
  }

  /** What the machine printed since its first boot, at most the end of it. */
  get console(): string {
    const file = join(this.#folder, 'console');
    return existsSync(file) ? readFileSync(file, 'latin1').slice(-4000) : '';
  }

  /** Boot id of the kernel. */
  get boot(): string {
    return this.#boot;
  }

  async #line(patience: number): Promise<string> {
    const end = Date.now() + patience;
    for (;;) {
      const line = this.#lines.shift();
      if (line !== undefined) return line;
      if (this.#qemu.exitCode !== null) throw new Error(`the machine ended:\n${this.console}`);
      const left = end - Date.now();
      if (left <= 0) throw new Error(`the machine did not answer in ${patience} ms:\n${this.console}`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      this.#wake = null;
    }
  }

  async #ready(): Promise<void> {
    for (;;) {
      const [word, boot] = (await this.#line(BOOT_PATIENCE)).split(' ');
      if (word !== 'ready' || boot === undefined || boot === this.#boot) continue;
      this.#boot = boot;
      return;
    }
  }

  /** Runs a shell script as root in the machine, one at a time. */
  async try(script: string, patience = 60_000): Promise<Answer> {
    this.#control.write(`${Buffer.from(script).toString('base64')}\n`);
    const [status, output = ''] = (await this.#line(patience)).split(' ');
    return { status: Number(status), output: Buffer.from(output, 'base64').toString('utf8') };
  }

  /** Output of a script that must succeed. */
  async run(script: string, patience?: number): Promise<string> {
    const { status, output } = await this.try(script, patience);
    if (status !== 0) throw new Error(`exit ${status} of: ${script}\n${output}`);
    return output;
  }

  /** The kernel goes down and comes up again; the disk is as it was left, the TPM goes through a reset. */
  async reboot(): Promise<void> {
    this.#control.write(`${Buffer.from('sync; reboot -f').toString('base64')}\n`);
    await this.#ready();
  }

  /** The machine switches itself off. */
  async powerOff(): Promise<void> {
    if (this.#qemu.exitCode !== null) return;
    this.#control.write(`${Buffer.from('sync; poweroff -f').toString('base64')}\n`);
    await once(this.#qemu, 'exit');
  }

  /** Ends everything, whatever state it is in. */
  async stop(): Promise<void> {
    this.#control.destroy();
    for (const child of [this.#qemu, this.#tpm]) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      const ended = once(child, 'exit');
      child.kill('SIGKILL');
      await ended;
    }
  }
}
