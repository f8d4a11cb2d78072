import { createHash } from 'node:crypto';
import { algorithmId, algorithmName, hashSize, isHashName } from './algorithms.js';
import type { TpmPublic } from './public.js';
import { blobInvalid } from './reader.js';
import { u16, u32 } from './writer.js';

/** TPM_RH_ENDORSEMENT: the hierarchy that endorsement keys are primary objects of. */
const ENDORSEMENT_HIERARCHY = 0x4000000b;

const digestName = (nameAlg: string, ...parts: readonly Buffer[]): Buffer => {
  if (!isHashName(nameAlg)) throw blobInvalid(`no name can be made with ${nameAlg}`, 0);
  const hash = createHash(nameAlg);
  for (const part of parts) hash.update(part);
  return Buffer.concat([u16(algorithmId(nameAlg) ?? 0), hash.digest()]);
};

/** The nameAlg that a name begins with. Throws TPM_BLOB_INVALID for what is no name of an object. */
export const nameAlgOf = (name: Buffer): string => {
  const alg = name.length >= 2 ? algorithmName(name.readUInt16BE(0)) : '';
  if (hashSize(alg) !== name.length - 2) throw blobInvalid(`${name.length} bytes are not the name of an object`, 0);
  return alg;
};

/** Name = nameAlg ‖ H(TPMT_PUBLIC) (TPM 2.0 Library, part 1, 16). */
export const objectName = (area: TpmPublic): Buffer => digestName(area.nameAlg, area.bytes);

/** QN(child) = nameAlg ‖ H(QN(parent) ‖ Name(child)), with the child's nameAlg (TPM 2.0 Library, part 1, 26.5). */
export const qualifiedName = (parentQualifiedName: Buffer, name: Buffer): Buffer =>
  digestName(nameAlgOf(name), parentQualifiedName, name);

/** QN of a primary object of the endorsement hierarchy, whose own name is its handle. */
export const endorsementQualifiedName = (nameEk: Buffer): Buffer => qualifiedName(u32(ENDORSEMENT_HIERARCHY), nameEk);
