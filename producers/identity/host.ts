import { readFileSync } from 'node:fs';
import { taggedHash, u64be } from '../../schemas/tagged-hash.js';
import { boottimeMicros } from './boottime.js';

const readId = (path: string): string => {
  try {
    return readFileSync(path, 'latin1').trim();
  } catch {
    return '';
  }
};

export interface HostIdentity {
  /** Lower-case hex, 32 bytes. */
  readonly host: string;
  /** machine-id: survives a reboot; boot-id: does not, there is no machine id here. */
  readonly from: 'machine-id' | 'boot-id';
  /** Boot id of the kernel; '' if it tells none. */
  readonly boot: string;
}

/** Who this machine is where no TPM says so. */
export const hostIdentity = (): HostIdentity => {
  const boot = readId('/proc/sys/kernel/random/boot_id');
  const machine = readId('/etc/machine-id') || readId('/var/lib/dbus/machine-id');
  const usable = machine !== '' && machine !== 'uninitialized';
  return {
    host: taggedHash('attestream/host/1', usable ? machine : boot).toString('hex'),
    from: usable ? 'machine-id' : 'boot-id',
    boot,
  };
};

export interface StreamIdentity {
  /** 32 bytes, of (host, boot, start). */
  readonly stream: Buffer;
  /** CLOCK_BOOTTIME, µs. */
  readonly start: number;
  /** µs from CLOCK_BOOTTIME to real time, fixed for the life of the stream. */
  readonly offset: number;
}

/** A stream that begins now. Two within one microsecond of one host would share an identity: `salt` keeps them apart. */
export const beginStream = ({ host, boot }: HostIdentity, salt = process.pid): StreamIdentity => {
  const start = boottimeMicros();
  return {
    stream: taggedHash('attestream/stream/1', host, boot, Buffer.concat([u64be(start), u64be(salt)])),
    start,
    offset: Date.now() * 1000 - start,
  };
};
