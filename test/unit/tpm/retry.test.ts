import { describe, expect, test } from '@jest/globals';
import { capabilityHandles, capabilityPcrBanks } from '../../../producers/attestation/tpm/capability.js';
import { nvRead } from '../../../producers/attestation/tpm/nv.js';
import { pcrRead } from '../../../producers/attestation/tpm/pcr.js';
import { getRandom } from '../../../producers/attestation/tpm/random.js';
import { type Tpm, tpmOver } from '../../../producers/attestation/tpm/tpm.js';
import { sized, u8, u16, u32 } from '../../../schemas/tpm/writer.js';

const answer = (rc: number, body: Buffer = Buffer.alloc(0)): Buffer =>
  Buffer.concat([u16(0x8001), u32(10 + body.length), u32(rc), body]);

/** A TPM that gives these answers in turn, the last one for ever. */
const scripted = (...answers: readonly Buffer[]) => {
  const commands: Buffer[] = [];
  const pauses: number[] = [];
  const tpm: Tpm = tpmOver(
    {
      address: 'scripted',
      transmit: async (command) => {
        commands.push(command);
        return answers[Math.min(commands.length, answers.length) - 1]!;
      },
      close: async () => undefined,
    },
    { patienceMs: 1000, sleep: async (ms) => void pauses.push(ms) },
  );
  return { tpm, commands, pauses };
};

describe('"not now"', () => {
  test.each([0x908, 0x90a, 0x920, 0x922])('0x%s: the same command is sent again until it is taken', async (rc) => {
    const { tpm, commands, pauses } = scripted(
      answer(rc),
      answer(rc),
      answer(rc),
      answer(0, sized(Buffer.alloc(8, 3))),
    );
    expect(await getRandom(tpm, 8)).toEqual(Buffer.alloc(8, 3));
    expect(commands).toHaveLength(4);
    expect(new Set(commands.map((command) => command.toString('hex'))).size).toBe(1);
    expect(pauses).toEqual([2, 4, 8]);
  });

  test('patience ends', async () => {
    const { tpm, pauses } = scripted(answer(0x922));
    await expect(getRandom(tpm, 8)).rejects.toMatchObject({ code: 'TPM_COMMAND_FAILED', rc: 0x922 });
    const waited = pauses.reduce((sum, pause) => sum + pause, 0);
    expect(waited).toBeGreaterThanOrEqual(1000);
    expect(waited).toBeLessThan(2000);
  });

  test.each([0x921, 0x902, 0x98e, 0x101])('0x%s is not waited for', async (rc) => {
    const { tpm, commands } = scripted(answer(rc));
    await expect(getRandom(tpm, 8)).rejects.toMatchObject({ rc });
    expect(commands).toHaveLength(1);
  });
});

describe('answers that lie', () => {
  const refused = async (work: (tpm: Tpm) => Promise<unknown>, bytes: Buffer): Promise<void> => {
    await expect(work(scripted(bytes).tpm)).rejects.toMatchObject({ code: 'TPM_BLOB_INVALID' });
  };
  const read = (tpm: Tpm) => pcrRead(tpm, [{ hash: 'sha256', pcrs: [0, 1] }]);

  test('about their size, or that end too soon', async () => {
    const bytes = answer(0, sized(Buffer.alloc(8)));
    bytes.writeUInt32BE(99, 2);
    await refused((tpm) => getRandom(tpm, 8), bytes);
    await refused((tpm) => getRandom(tpm, 8), Buffer.alloc(4));
    await refused((tpm) => getRandom(tpm, 8), answer(0, u16(8)));
  });

  test('with nothing where there must be something, or more than was asked for', async () => {
    await refused((tpm) => getRandom(tpm, 8), answer(0, sized()));
    await refused((tpm) => getRandom(tpm, 8), answer(0, sized(Buffer.alloc(9))));
  });

  test('with more digests than registers, or 2³¹ handles', async () => {
    const selection = Buffer.concat([u32(1), u16(0x0b), u8(3), Buffer.of(3, 0, 0)]);
    await refused(read, answer(0, Buffer.concat([u32(1), selection, u32(9)])));
    await refused(read, answer(0, Buffer.concat([u32(1), selection, u32(1), sized(Buffer.alloc(32))])));
    const handles = answer(0, Buffer.concat([u8(0), u32(1), u32(0x80000000)]));
    await refused((tpm) => capabilityHandles(tpm, 0), handles);
    await refused(capabilityPcrBanks, answer(0, Buffer.concat([u8(0), u32(1), u32(0)])));
  });

  test('"there is more" without end ends', async () => {
    const { tpm, commands } = scripted(answer(0, Buffer.concat([u8(1), u32(1), u32(1), u32(0x80000000)])));
    expect(await capabilityHandles(tpm, 0x80000000)).toHaveLength(64);
    expect(commands).toHaveLength(64);
  });

  test('a register that is never given does not keep the reader asking', async () => {
    const none = Buffer.concat([u32(1), u32(1), u16(0x0b), u8(3), Buffer.alloc(3), u32(0)]);
    const { tpm, commands } = scripted(answer(0, none));
    expect((await read(tpm)).values).toEqual([]);
    expect(commands).toHaveLength(1);
  });

  test('a register that changes while the rest is read is told', async () => {
    const part = (counter: number, bit: number): Buffer =>
      answer(
        0,
        Buffer.concat([
          ...[u32(counter), u32(1), u16(0x0b), u8(3), Buffer.of(bit, 0, 0)],
          ...[u32(1), sized(Buffer.alloc(32, bit))],
        ]),
      );
    expect(await read(scripted(part(7, 1), part(8, 2)).tpm)).toMatchObject({ changed: true, updateCounter: 8 });
    expect(await read(scripted(part(7, 1), part(7, 2)).tpm)).toMatchObject({ changed: false });
    // Never the second register: refused, not asked for without end.
    await refused(read, part(7, 1));
  });

  test('an NV index that gives nothing is an error', async () => {
    const area = Buffer.concat([u32(0x01500001), u16(0x0b), u32(0x20040000), sized(), u16(10)]);
    const publicArea = answer(0, Buffer.concat([sized(area), sized()]));
    const property = answer(0, Buffer.concat([u8(0), u32(6), u32(0)]));
    const nothing = Buffer.concat([u16(0x8002), u32(16), u32(0), u32(2), sized()]);
    const { tpm } = scripted(publicArea, property, nothing);
    await expect(nvRead(tpm, 0x01500001)).rejects.toMatchObject({ code: 'TPM_BLOB_INVALID' });
  });
});
