import type { ImaRecord } from './entry.js';
import { nameBytes, splitFields } from './template.js';

/** `struct h_misc` ends in a 16-bit mode, padded to the alignment of its first member: 64-bit kernels, 32-bit ones. */
const MISC_SIZES: readonly number[] = [24, 20];

/**
 * What a portable EVM signature is over, as far as a record of a template with the file's metadata says it (evm_crypto.c): values of the
 * protected extended attributes in their order, then owner, group and mode. Null if the record does not hold them, or lacks
 * `security.ima`, without which the kernel makes none.
 */
export const evmPortableMessages = (record: ImaRecord): readonly Buffer[] | null => {
  const fields = new Map(splitFields(record.template, record.data).map(({ id, data }) => [id, data]));
  const [names, values, uid, gid, mode] = ['xattrnames', 'xattrvalues', 'iuid', 'igid', 'imode'].map((id) =>
    fields.get(id),
  );
  if (names === undefined || values === undefined) return null;
  if (uid?.length !== 4 || gid?.length !== 4 || mode?.length !== 2) return null;
  if (!nameBytes(names).toString('latin1').split('|').includes('security.ima')) return null;
  return MISC_SIZES.map((size) => {
    const misc = Buffer.alloc(size);
    // Inode and generation stand first, and are zero in a portable signature.
    const at = size === 24 ? 12 : 8;
    uid.copy(misc, at);
    gid.copy(misc, at + 4);
    mode.copy(misc, at + 8);
    return Buffer.concat([values, misc]);
  });
};
