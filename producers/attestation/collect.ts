import { readFileSync } from 'node:fs';
import { parseAttest } from '../../schemas/tpm/attest.js';
import type { PcrValue } from '../../schemas/tpm/pcr-digest.js';
import type { PcrSelection } from '../../schemas/tpm/selection.js';
import { findAik1 } from './keys/aik1.js';
import { createAik2, createAttestationKey } from './keys/attestation-key.js';
import { loadEk, type PlatformOptions } from './platform.js';
import { certify, quote } from './tpm/attestation.js';
import { pcrRead } from './tpm/pcr.js';
import { withScope } from './tpm/scope.js';

export interface CollectOptions {
  readonly keys: PlatformOptions;
  /** What both signatures answer: 1 to 64 bytes. */
  readonly nonce: Buffer;
  readonly selection: PcrSelection;
  /** Files that explain the registers; null: none. */
  readonly imaList: string | null;
  readonly firmwareLog: string | null;
}

/** Evidence that stands for itself, in the form that `evidence verify` reads (docs/commands.md). */
export interface EvidenceBundle {
  readonly enrolled: { readonly ekPublic: string; readonly aik1Name: string };
  readonly aik1Public: string;
  readonly aik2Public: string;
  readonly certify: { readonly attest: string; readonly signature: string; readonly qualifyingData: string };
  readonly quote: {
    readonly attest: string;
    readonly signature: string;
    readonly qualifyingData: string;
    readonly selection: Readonly<Record<string, readonly number[]>>;
  };
  readonly pcrs: Readonly<Record<string, Readonly<Record<string, string>>>>;
  readonly logs: readonly { readonly kind: 'ima' | 'tcg'; readonly format?: 'binary'; readonly data: string }[];
}

const b64 = (bytes: Buffer): string => bytes.toString('base64');

/** Times that registers are read around a quote until they stood still. */
const ATTEMPTS = 5;

const banksOf = (values: readonly PcrValue[]): EvidenceBundle['pcrs'] => {
  const banks: Record<string, Record<string, string>> = {};
  for (const { hash, pcr, value } of values) {
    const bank = banks[hash] ?? {};
    banks[hash] = bank;
    bank[pcr] = value.toString('hex');
  }
  return banks;
};

const read = (path: string | null): Buffer | null => (path === null ? null : readFileSync(path));

/**
 * One certification and one quote by fresh AIK2, with everything that explains them. AIK1 is the enrolled one, or one made
 * for this bundle alone where the host was never enrolled. Throws TPM errors, and SYSTEM errors for files that cannot be read.
 */
export const collectEvidence = (options: CollectOptions): Promise<EvidenceBundle> => {
  const { keys, nonce, selection } = options;
  const { tpm } = keys;
  return withScope(tpm, async (scope) => {
    const ek = await loadEk(keys, scope);
    const aik1 = (await findAik1(tpm, ek)) ?? (await createAttestationKey(tpm, scope, ek, keys.kind));
    const aik2 = await createAik2(tpm, scope, ek, keys.kind);
    await scope.release(ek.handle);
    const certified = await certify(tpm, aik2, aik1, nonce);
    let values: readonly PcrValue[] = [];
    let quoted = certified;
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const before = await pcrRead(tpm, selection);
      quoted = await quote(tpm, aik2, nonce, selection);
      const after = await pcrRead(tpm, selection);
      values = after.values;
      if (!before.changed && !after.changed && before.updateCounter === after.updateCounter) break;
    }
    // Read last, so that the list holds at least what was quoted.
    const imaList = read(options.imaList);
    const firmwareLog = read(options.firmwareLog);
    const selected = parseAttest(quoted.attest).quote?.selection ?? selection;
    return {
      enrolled: { ekPublic: b64(ek.public.bytes), aik1Name: aik1.name.toString('hex') },
      aik1Public: b64(aik1.public.bytes),
      aik2Public: b64(aik2.public.bytes),
      certify: {
        attest: b64(certified.attest),
        signature: b64(certified.signature),
        qualifyingData: nonce.toString('hex'),
      },
      quote: {
        attest: b64(quoted.attest),
        signature: b64(quoted.signature),
        qualifyingData: nonce.toString('hex'),
        selection: Object.fromEntries(selected.map(({ hash, pcrs }) => [hash, pcrs])),
      },
      pcrs: banksOf(values),
      logs: [
        ...(imaList === null ? [] : [{ kind: 'ima' as const, format: 'binary' as const, data: b64(imaList) }]),
        ...(firmwareLog === null ? [] : [{ kind: 'tcg' as const, data: b64(firmwareLog) }]),
      ],
    };
  });
};
