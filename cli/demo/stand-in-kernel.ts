import { createHash } from 'node:crypto';
import { appendFileSync, writeFileSync } from 'node:fs';
import { pcrExtend, pcrRead } from '../../producers/attestation/tpm/pcr.js';
import type { Tpm } from '../../producers/attestation/tpm/tpm.js';

const IMA_PCR = 10;
const TEMPLATE = 'ima-ng';

const sha = (algorithm: 'sha1' | 'sha256', ...parts: readonly Buffer[]): Buffer => {
  const hash = createHash(algorithm);
  for (const part of parts) hash.update(part);
  return hash.digest();
};

const u32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
};

const sized = (bytes: Buffer): Buffer => Buffer.concat([u32(bytes.length), bytes]);

/** Digest that this kernel measures of a program: there is none, so its name stands for it. */
export const programDigest = (name: string): Buffer => sha('sha256', Buffer.from(name));

/**
 * What a kernel with IMA does about the programs that it starts: an entry in its list, and its hash into register 10. A
 * demonstration has an emulated TPM and no kernel that would know of it.
 */
export class StandInKernel {
  readonly #tpm: Tpm;
  readonly #list: string;

  constructor(tpm: Tpm, list: string) {
    this.#tpm = tpm;
    this.#list = list;
  }

  /** A new boot: an empty list that begins with what the firmware left in the registers. */
  async boot(): Promise<void> {
    writeFileSync(this.#list, '');
    const { values } = await pcrRead(this.#tpm, [{ hash: 'sha256', pcrs: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9] }]);
    await this.#measure('boot_aggregate', sha('sha256', ...values.map(({ value }) => value)));
  }

  /** A program is started. */
  run(name: string): Promise<void> {
    return this.#measure(name, programDigest(name));
  }

  async #measure(name: string, digest: Buffer): Promise<void> {
    const data = Buffer.concat([
      sized(Buffer.concat([Buffer.from('sha256:\0'), digest])),
      sized(Buffer.from(`${name}\0`)),
    ]);
    const sha1 = sha('sha1', data);
    appendFileSync(this.#list, Buffer.concat([u32(IMA_PCR), sha1, sized(Buffer.from(TEMPLATE)), sized(data)]));
    await pcrExtend(this.#tpm, IMA_PCR, { sha1, sha256: sha('sha256', data) });
  }
}
