import { createHash, createHmac } from 'node:crypto';
import type { HashName } from './algorithms.js';
import { u32 } from './writer.js';

const ZERO = Buffer.alloc(1);

/** Blocks 1, 2, … until there are `bits` bits; all bit counts here are whole bytes. */
const counted = (bits: number, block: (counter: Buffer) => Buffer): Buffer => {
  const blocks: Buffer[] = [];
  let length = 0;
  for (let counter = 1; length * 8 < bits; counter++) {
    const next = block(u32(counter));
    blocks.push(next);
    length += next.length;
  }
  return Buffer.concat(blocks).subarray(0, bits / 8);
};

/** KDFa (TPM 2.0 Library, part 1, 11.4.10.2): counter mode over HMAC. */
export const kdfa = (
  hash: HashName,
  key: Buffer,
  label: string,
  contextU: Buffer,
  contextV: Buffer,
  bits: number,
): Buffer =>
  counted(bits, (counter) =>
    createHmac(hash, key)
      .update(counter)
      .update(label, 'latin1')
      .update(ZERO)
      .update(contextU)
      .update(contextV)
      .update(u32(bits))
      .digest(),
  );

/** KDFe (TPM 2.0 Library, part 1, 11.4.10.3): from a shared point's x and both parties' x. */
export const kdfe = (hash: HashName, z: Buffer, use: string, partyU: Buffer, partyV: Buffer, bits: number): Buffer =>
  counted(bits, (counter) =>
    createHash(hash)
      .update(counter)
      .update(z)
      .update(use, 'latin1')
      .update(ZERO)
      .update(partyU)
      .update(partyV)
      .digest(),
  );
