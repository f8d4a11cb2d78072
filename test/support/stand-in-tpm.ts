import { constants, createHash, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import type { Attest } from '../../schemas/tpm/attest.js';
import { TPM_GENERATED_VALUE, TPM_ST_ATTEST_CERTIFY, TPM_ST_ATTEST_QUOTE } from '../../schemas/tpm/attest.js';
import { ATTESTATION_KEY, ENDORSEMENT_KEY_LOW } from '../../schemas/tpm/attributes.js';
import { marshalAttest } from '../../schemas/tpm/marshal-attest.js';
import { publicFromKey } from '../../schemas/tpm/marshal-public.js';
import { endorsementQualifiedName, objectName, qualifiedName } from '../../schemas/tpm/name.js';
import { pcrDigest } from '../../schemas/tpm/pcr-digest.js';
import type { Scheme, TpmPublic } from '../../schemas/tpm/public.js';
import type { PcrSelection } from '../../schemas/tpm/selection.js';
import { marshalSignature } from '../../schemas/tpm/signature.js';

export type Kind = 'ecdsa' | 'rsassa' | 'rsapss' | 'ecdsa384';

/** A key of a stand-in TPM: unlike a real one it signs whatever it is told. */
export interface StandInKey {
  readonly kind: Kind;
  readonly privateKey: KeyObject;
  readonly public: TpmPublic;
}

const made = new Map<string, KeyObject>();

/** Making RSA keys costs most of a suite: each name has one key. */
const privateKey = (kind: Kind, name: string): KeyObject => {
  const id = `${kind} ${name}`;
  let key = made.get(id);
  if (key === undefined) {
    key =
      kind === 'rsassa' || kind === 'rsapss'
        ? generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey
        : generateKeyPairSync('ec', { namedCurve: kind === 'ecdsa' ? 'P-256' : 'P-384' }).privateKey;
    made.set(id, key);
  }
  return key;
};

const schemeOf = (kind: Kind): Scheme => ({
  algorithm: kind === 'ecdsa384' ? 'ecdsa' : kind,
  hash: kind === 'ecdsa384' ? 'sha384' : 'sha256',
});

export const attestationKey = (kind: Kind, name: string, attributes = ATTESTATION_KEY): StandInKey => {
  const key = privateKey(kind, name);
  return {
    kind,
    privateKey: key,
    public: publicFromKey(key, { nameAlg: 'sha256', attributes, scheme: schemeOf(kind) }),
  };
};

const endorsementKey = (kind: Kind, name: string): StandInKey => {
  const key = privateKey(kind, name);
  const symmetric = { algorithm: 'aes', keyBits: 128, mode: 'cfb' };
  const template = {
    nameAlg: 'sha256',
    attributes: ENDORSEMENT_KEY_LOW,
    authPolicy: Buffer.alloc(32, 1),
    symmetric,
    scheme: null,
  };
  return { kind, privateKey: key, public: publicFromKey(key, template) };
};

/** TPMT_SIGNATURE by a key over a message. */
export const signWith = (key: StandInKey, message: Buffer): Buffer => {
  const { algorithm, hash } = schemeOf(key.kind);
  if (algorithm === 'ecdsa') {
    const value = sign(hash!, message, { key: key.privateKey, dsaEncoding: 'ieee-p1363' });
    const half = value.length / 2;
    return marshalSignature({ algorithm, hash: hash!, r: value.subarray(0, half), s: value.subarray(half) });
  }
  const padding = algorithm === 'rsapss' ? constants.RSA_PKCS1_PSS_PADDING : constants.RSA_PKCS1_PADDING;
  const value = sign(hash!, message, { key: key.privateKey, padding, saltLength: 32 });
  return marshalSignature({ algorithm: algorithm as 'rsassa' | 'rsapss', hash: hash!, value });
};

type AttestFields = Omit<Attest, 'bytes' | 'trailing'>;

/** Alters what is about to be signed: the signature is then right, and the one alteration is the only fault. */
export type Tweak = (fields: AttestFields) => AttestFields;

/**
 * A TPM of which everything is known: registers that can be set, counters that can go back, keys that sign anything. What a
 * test makes with it is flawless but for the fault that it asks for.
 */
export class StandInTpm {
  readonly ek: StandInKey;
  aik1: StandInKey;
  aik2: StandInKey;
  resetCount = 7;
  restartCount = 0;
  clock = 1_000_000n;
  safe = true;
  firmwareVersion = 0x2024_0125_0012_0000n;
  readonly registers = new Map<string, Buffer>();

  constructor(
    readonly kind: Kind = 'ecdsa',
    readonly name = 'host',
  ) {
    this.ek = endorsementKey(kind, `${name} ek`);
    this.aik1 = attestationKey(kind, `${name} aik1`);
    this.aik2 = attestationKey(kind, `${name} aik2`);
  }

  /** Qualified name of the endorsement key. */
  get parent(): Buffer {
    return endorsementQualifiedName(objectName(this.ek.public));
  }

  qualified(key: StandInKey): Buffer {
    return qualifiedName(this.parent, objectName(key.public));
  }

  register(bank: string, pcr: number): Buffer {
    return this.registers.get(`${bank}:${pcr}`) ?? Buffer.alloc(createHash(bank).digest().length);
  }

  extend(bank: string, pcr: number, digest: Buffer): void {
    this.registers.set(`${bank}:${pcr}`, createHash(bank).update(this.register(bank, pcr)).update(digest).digest());
  }

  /** A new boot: registers are zeros, the key of the session is another one. */
  reset(aik2: string): void {
    this.resetCount++;
    this.restartCount = 0;
    this.clock += 1000n;
    this.registers.clear();
    this.aik2 = attestationKey(this.kind, `${this.name} ${aik2}`);
  }

  certify(
    qualifyingData: Buffer,
    tweak: Tweak = (fields) => fields,
    signer = this.aik1,
  ): { attest: Buffer; signature: Buffer } {
    return this.#attest(
      {
        ...this.#fields(qualifyingData, signer),
        type: TPM_ST_ATTEST_CERTIFY,
        certify: { name: objectName(this.aik2.public), qualifiedName: this.qualified(this.aik2) },
        quote: null,
      },
      tweak,
      signer,
    );
  }

  quote(
    selection: PcrSelection,
    qualifyingData: Buffer,
    tweak: Tweak = (fields) => fields,
    signer = this.aik2,
  ): { attest: Buffer; signature: Buffer } {
    const hash = schemeOf(signer.kind).hash as 'sha256' | 'sha384';
    return this.#attest(
      {
        ...this.#fields(qualifyingData, signer),
        type: TPM_ST_ATTEST_QUOTE,
        certify: null,
        quote: { selection, pcrDigest: pcrDigest(selection, this.values(selection), hash)! },
      },
      tweak,
      signer,
    );
  }

  values(selection: PcrSelection): { hash: string; pcr: number; value: Buffer }[] {
    return selection.flatMap(({ hash, pcrs }) => pcrs.map((pcr) => ({ hash, pcr, value: this.register(hash, pcr) })));
  }

  #fields(extraData: Buffer, signer: StandInKey) {
    const { clock, resetCount, restartCount, safe, firmwareVersion } = this;
    return {
      magic: TPM_GENERATED_VALUE,
      qualifiedSigner: this.qualified(signer),
      extraData,
      clock,
      resetCount,
      restartCount,
      safe,
      firmwareVersion,
    };
  }

  #attest(fields: AttestFields, tweak: Tweak, signer: StandInKey): { attest: Buffer; signature: Buffer } {
    const attest = marshalAttest(tweak(fields));
    return { attest, signature: signWith(signer, attest) };
  }
}
