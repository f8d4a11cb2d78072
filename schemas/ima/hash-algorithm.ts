/** Hash algorithms by the kernel's number (include/uapi/linux/hash_info.h), with the kernel's name and the digest's bytes. */
const KERNEL_HASHES: readonly (readonly [name: string, bytes: number])[] = [
  ['md4', 16],
  ['md5', 16],
  ['sha1', 20],
  ['rmd160', 20],
  ['sha256', 32],
  ['sha384', 48],
  ['sha512', 64],
  ['sha224', 28],
  ['rmd128', 16],
  ['rmd256', 32],
  ['rmd320', 40],
  ['wp256', 32],
  ['wp384', 48],
  ['wp512', 64],
  ['tgr128', 16],
  ['tgr160', 20],
  ['tgr192', 24],
  ['sm3', 32],
  ['streebog256', 32],
  ['streebog512', 64],
  ['sha3-256', 32],
  ['sha3-384', 48],
  ['sha3-512', 64],
];

const BYTES = new Map(KERNEL_HASHES);

/** Name of the kernel's hash number; null if it has none of that number. */
export const kernelHashName = (id: number): string | null => KERNEL_HASHES[id]?.[0] ?? null;

/** The kernel's number of a hash; -1 if it does not know the name. */
export const kernelHashId = (name: string): number => KERNEL_HASHES.findIndex(([known]) => known === name);

/** Bytes of a digest; 0 for an algorithm that the kernel does not know. */
export const kernelHashBytes = (name: string): number => BYTES.get(name) ?? 0;
