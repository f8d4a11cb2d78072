import { createHash } from 'node:crypto';
import type { ImaRecord } from '../../schemas/ima/entry.js';
import { named, record } from './ima-records.js';
import { vector } from './vectors.js';

interface Vectors {
  readonly content: string;
  readonly keys: Readonly<Record<string, { readonly certificate: string; readonly public: string }>>;
  readonly signatures: Readonly<Record<string, string>>;
  readonly portable: {
    readonly ima: string;
    readonly evm: string;
    readonly uid: number;
    readonly gid: number;
    readonly mode: number;
  };
}

const vectors = JSON.parse(vector('ima-signatures/evmctl.json.gz').toString()) as Vectors;

export const CONTENT = Buffer.from(vectors.content, 'hex');
export const KEY_NAMES = Object.keys(vectors.keys);
export const certificateOf = (name: string): Buffer => Buffer.from(vectors.keys[name]!.certificate, 'hex');
export const publicKeyOf = (name: string): Buffer => Buffer.from(vectors.keys[name]!.public, 'hex');

/** `KEY HASH` → `security.ima`. */
export const SIGNATURES = Object.entries(vectors.signatures).map(([name, hex]) => {
  const [key, hash] = name.split(' ') as [string, string];
  return { name, key, hash, signature: Buffer.from(hex, 'hex') };
});

/** A record of template ima-sig over the signed content. */
export const signedRecord = (hash: string, signature: Buffer): ImaRecord =>
  record('ima-sig', [named(hash, createHash(hash).update(CONTENT).digest()), Buffer.from('/bin/x\0'), signature]);

/** A record of template evm-sig of the file whose metadata were signed; `changed` overrides its fields. */
export const portableRecord = (changed: Partial<{ uid: number; mode: number; names: string }> = {}): ImaRecord => {
  const { ima, evm, uid, gid, mode } = { ...vectors.portable, ...changed };
  const values = Buffer.from(ima, 'hex');
  const u32 = (value: number): Buffer => {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32LE(value);
    return bytes;
  };
  return record('evm-sig', [
    named('sha256', createHash('sha256').update(CONTENT).digest()),
    Buffer.from('/bin/x\0'),
    Buffer.from(evm, 'hex'),
    Buffer.from(`${changed.names ?? 'security.ima'}\0`),
    u32(values.length),
    values,
    u32(uid),
    u32(gid),
    u32(mode).subarray(0, 2),
  ]);
};
