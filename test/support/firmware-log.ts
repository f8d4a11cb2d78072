import { createHash } from 'node:crypto';
import type { MeasuredHost } from './measured-host.js';

const u32 = (n: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(n);
  return bytes;
};

const u16 = (n: number): Buffer => u32(n).subarray(0, 2);

const EV_POST_CODE = 1;
const EV_NO_ACTION = 3;
const EV_IPL = 13;
const SHA256 = 0x000b;

/** A crypto-agile event log of one SHA-256 bank (TCG PC Client Platform Firmware Profile, section 10). */
const eventLog = (events: readonly { pcr: number; type: number; digest: Buffer; data: Buffer }[]): Buffer => {
  const specId = Buffer.concat([
    Buffer.from('Spec ID Event03\0'),
    u32(0),
    Buffer.from([0, 2, 0, 2]),
    u32(1),
    u16(SHA256),
    u16(32),
    Buffer.from([0]),
  ]);
  return Buffer.concat([
    u32(0),
    u32(EV_NO_ACTION),
    Buffer.alloc(20),
    u32(specId.length),
    specId,
    ...events.map(({ pcr, type, digest, data }) =>
      Buffer.concat([u32(pcr), u32(type), u32(1), u16(SHA256), digest, u32(data.length), data]),
    ),
  ]);
};

/** The log of what `MeasuredHost.begin` lets the firmware extend, and a boot loader's event with the kernel's command line. */
export const firmwareLog = (commandLine: string | null = null): Buffer =>
  eventLog([
    ...Array.from({ length: 8 }, (_, pcr) => ({
      pcr,
      type: EV_POST_CODE,
      digest: createHash('sha256').update(`firmware ${pcr}`).digest(),
      data: Buffer.from(`code ${pcr}`),
    })),
    ...(commandLine === null
      ? []
      : [
          {
            pcr: 8,
            type: EV_IPL,
            digest: createHash('sha256').update(commandLine).digest(),
            data: Buffer.from(`kernel_cmdline: ${commandLine}`),
          },
        ]),
  ]);

/** Sends a log in two parts. */
export const sendFirmwareLog = (host: MeasuredHost, log: Buffer): MeasuredHost => {
  const half = Math.floor(log.length / 2);
  host.put('FirmwareLog', { index: 0, of: 2, data: log.subarray(0, half) });
  host.put('FirmwareLog', { index: 1, of: 2, data: log.subarray(half) });
  return host;
};
