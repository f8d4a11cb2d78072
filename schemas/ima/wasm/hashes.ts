import { encodeModule } from './encode.js';
import { hashFunctions, SHA1_TABLE, SHA256_TABLE } from './functions.js';
import { SHA1_CONSTANTS } from './sha1.js';
import { SHA256, SHA384, SHA512 } from './sha2.js';

type Chain = (state: number, digests: number, out: number, count: number) => void;
type Lanes = (
  m0: number,
  m1: number,
  m2: number,
  m3: number,
  blocks: number,
  o0: number,
  o1: number,
  o2: number,
  o3: number,
) => void;

/** The hashes of the banks over one memory, made for this machine when first asked for. Addresses and lengths in bytes. */
export interface Hashes {
  readonly memory: ArrayBuffer;
  readonly pad: (message: number, length: number, end: number) => void;
  readonly sha1x4: Lanes;
  readonly sha256x4: Lanes;
  readonly wide: (message: number, blocks: number, initial: number, out: number) => void;
  readonly chain1: Chain;
  readonly chain256: Chain;
  readonly chain384: Chain;
  readonly chain512: Chain;
}

/** Node has WebAssembly; its types come with the browser's only. */
declare const WebAssembly: {
  readonly Module: new (bytes: Uint8Array<ArrayBuffer>) => object;
  readonly Instance: new (module: object) => { readonly exports: Readonly<Record<string, unknown>> };
};

const PAGE = 65_536;
const PAGES = 8;

/** The same for all instances of a thread. */
let compiled: object | null = null;

/**
 * Makes an instance with `bytes` of memory behind the tables.
 * @param initials where the initial states of SHA-384 and SHA-512 are put
 */
export const makeHashes = (bytes: number, initials: { readonly sha384: number; readonly sha512: number }): Hashes => {
  compiled ??= new WebAssembly.Module(encodeModule(hashFunctions(SHA384.initial), PAGES));
  if (bytes > PAGES * PAGE) throw new RangeError(`${bytes} bytes of memory are wanted, of ${PAGES * PAGE}`);
  const { exports } = new WebAssembly.Instance(compiled);
  const memory = (exports['memory'] as { readonly buffer: ArrayBuffer }).buffer;
  const lanes = (base: number, constants: readonly bigint[]): void => {
    const words = new Uint32Array(memory, base, constants.length * 4);
    for (const [i, value] of constants.entries()) words.fill(Number(value), i * 4, i * 4 + 4);
  };
  lanes(SHA256_TABLE, SHA256.constants);
  lanes(SHA1_TABLE, SHA1_CONSTANTS);
  new BigUint64Array(memory, initials.sha384, 8).set(SHA384.initial);
  new BigUint64Array(memory, initials.sha512, 8).set(SHA512.initial);
  return { ...(exports as unknown as Omit<Hashes, 'memory'>), memory };
};
