import { createHash } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import { describeEvent } from '../../../schemas/tcg/event-description.js';
import { isDataMeasured } from '../../../schemas/tcg/event-digest.js';
import { parseEventLog } from '../../../schemas/tcg/event-log.js';
import { replayEventLog, startupLocality } from '../../../schemas/tcg/event-replay.js';
import { kernelCommandLines } from '../../../schemas/tcg/kernel-command-line.js';
import { pcrVector, vector } from '../../support/vectors.js';

const u16 = (value: number): Buffer => Buffer.from([value & 255, value >> 8]);
const u32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
};
const hash = (bank: string, ...parts: Buffer[]): Buffer => {
  const made = createHash(bank);
  for (const part of parts) made.update(part);
  return made.digest();
};
const legacy = (pcr: number, type: number, data: Buffer, digest = hash('sha1', data)): Buffer =>
  Buffer.concat([u32(pcr), u32(type), digest, u32(data.length), data]);
const SPEC = Buffer.concat([
  Buffer.from('Spec ID Event03\0'),
  Buffer.from([0, 0, 0, 0, 0, 2, 0, 2]),
  u32(2),
  ...[u16(4), u16(20), u16(11), u16(32)],
  Buffer.from([0]),
]);
const HEAD = legacy(0, 3, SPEC, Buffer.alloc(20));
const agile = (pcr: number, type: number, data: Buffer, measured = data): Buffer =>
  Buffer.concat([
    ...[u32(pcr), u32(type), u32(2), u16(4), hash('sha1', measured), u16(11), hash('sha256', measured)],
    ...[u32(data.length), data],
  ]);

describe.each(['seabios', 'ovmf'])('the log of %s', (name) => {
  const log = parseEventLog(vector(`tcg/${name}.gz`));

  test('gives PCR 0 to 9 of every bank', () => {
    const values = replayEventLog(log);
    const pcrs = pcrVector(`tcg/${name}.pcrs.txt.gz`).filter(({ pcr }) => pcr < 10);
    expect(pcrs.length).toBe(40);
    for (const { bank, pcr, value } of pcrs)
      expect([bank, pcr, values.get(bank)!.get(pcr) ?? Buffer.alloc(value.length)]).toEqual([bank, pcr, value]);
  });

  test('has names for all of its events', () => {
    expect(log.format).toBe('crypto-agile');
    expect(log.events.filter(({ typeName }) => typeName.startsWith('0x'))).toEqual([]);
  });
});

test('events of UEFI are told in words', () => {
  const { events } = parseEventLog(vector('tcg/ovmf.gz'));
  const words = events.map(describeEvent);
  expect(words).toContain('SecureBoot = 0 of 8be4df61-93ca-11d2-aa0d-00e098032b8c');
  expect(words).toContain('11655104 bytes from kernel');
  expect(words).toContain('end of the firmware');
  expect(words).toContain('LOADED_IMAGE::LoadOptions');
  expect(events.filter(isDataMeasured).map(({ typeName }) => typeName)).toContain('EV_EFI_VARIABLE_DRIVER_CONFIG');
});

test('the legacy format: SHA-1 alone', () => {
  const bytes = Buffer.concat([legacy(4, 5, Buffer.from('Calling INT 19h')), legacy(4, 4, u32(0))]);
  const log = parseEventLog(bytes);
  expect(log).toMatchObject({ format: 'sha1', banks: ['sha1'] });
  const first = hash('sha1', Buffer.alloc(20), hash('sha1', Buffer.from('Calling INT 19h')));
  expect(replayEventLog(log).get('sha1')!.get(4)).toEqual(hash('sha1', first, hash('sha1', u32(0))));
  expect(parseEventLog(Buffer.alloc(0)).events).toEqual([]);
});

test('PCR 0 begins with the locality that the TPM was started from', () => {
  const locality = Buffer.concat([Buffer.from('StartupLocality\0'), Buffer.from([3])]);
  const log = parseEventLog(Buffer.concat([HEAD, agile(0, 3, locality, Buffer.alloc(0)), agile(0, 4, u32(0))]));
  expect(startupLocality(log.events)).toBe(3);
  const first = Buffer.alloc(32);
  first[31] = 3;
  expect(replayEventLog(log).get('sha256')!.get(0)).toEqual(hash('sha256', first, hash('sha256', u32(0))));
});

test('what was set aside and never written ends the log', () => {
  for (const fill of [0, 0xff]) {
    const bytes = Buffer.concat([HEAD, agile(7, 4, u32(0)), Buffer.alloc(1000, fill)]);
    expect(parseEventLog(bytes).events.length).toBe(2);
  }
});

describe('the kernel command line', () => {
  const linesOf = (event: Buffer, claimed?: string): string[] =>
    kernelCommandLines(parseEventLog(Buffer.concat([HEAD, event])).events, claimed ?? null).map(
      ({ text, source }) => `${source}: ${text}`,
    );
  const text = '/vmlinuz root=/dev/sda1 ima_policy=tcb';

  test('of GRUB, of systemd-stub and of the EFI stub', () => {
    expect(linesOf(agile(8, 0xd, Buffer.from(`kernel_cmdline: ${text}\0`), Buffer.from(text)))).toEqual([
      `grub: ${text}`,
    ]);
    const wide = Buffer.from(`${text}\0`, 'utf16le');
    expect(linesOf(agile(12, 0xd, wide))).toEqual([`systemd-stub: ${text}`]);
    const ovmf = parseEventLog(vector('tcg/ovmf.gz')).events;
    const claimed = vector('tcg/ovmf.cmdline').toString();
    expect(kernelCommandLines(ovmf, claimed)).toEqual([{ text: claimed.trim(), pcr: 9, source: 'efi-stub' }]);
  });

  test('a text that is not what was hashed proves nothing', () => {
    const lie = Buffer.from(`kernel_cmdline: ${text} ima_policy=tcb\0`);
    expect(linesOf(agile(8, 0xd, lie, Buffer.from(text)))).toEqual([]);
    expect(linesOf(agile(12, 0xd, Buffer.from(`${text}\0`, 'utf16le'), Buffer.from('other')))).toEqual([]);
    const ovmf = parseEventLog(vector('tcg/ovmf.gz')).events;
    expect(kernelCommandLines(ovmf, 'quiet ima_policy=tcb')).toEqual([]);
    expect(kernelCommandLines(ovmf)).toEqual([]);
  });

  test('in another PCR it is none', () => {
    expect(linesOf(agile(4, 0xd, Buffer.from(`kernel_cmdline: ${text}`), Buffer.from(text)))).toEqual([]);
  });
});

describe('what lies is refused', () => {
  const event = agile(7, 4, u32(0));
  const changed = (bytes: Buffer, at: number, value: number): Buffer => {
    const copy = Buffer.from(bytes);
    copy.writeUInt32LE(value, at);
    return copy;
  };
  test.each([
    ['a PCR that no TPM has', Buffer.concat([HEAD, changed(event, 0, 24)])],
    ['a number of digests', Buffer.concat([HEAD, changed(event, 8, 0x7fffffff)])],
    ['a digest too few', Buffer.concat([HEAD, changed(event, 8, 1)])],
    ['an algorithm that the head lacks', Buffer.concat([HEAD, event.subarray(0, 12), u16(12), event.subarray(14)])],
    ['the same algorithm twice', Buffer.concat([HEAD, event.subarray(0, 34), u16(4), event.subarray(36)])],
    ['a size beyond the end', Buffer.concat([HEAD, changed(event, event.length - 8, 0xffffffff)])],
    ['an end within an event', Buffer.concat([HEAD, event.subarray(0, 40)])],
    ['a head with too many algorithms', changed(HEAD, 32 + 24, 0xffffffff)],
    [
      'a head of another version',
      Buffer.concat([HEAD.subarray(0, 32), Buffer.from('Spec ID Event99\0'), HEAD.subarray(48)]),
    ],
    ['text', Buffer.from('this is not a firmware log, but a sentence about one')],
  ])('%s', (_what, bytes) => {
    expect(() => parseEventLog(bytes)).toThrow(expect.objectContaining({ code: 'TCG_INVALID' }));
  });
});
