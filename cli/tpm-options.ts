import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import type { AttestationKeyKind } from '../producers/attestation/keys/attestation-key.js';
import type { PlatformOptions } from '../producers/attestation/platform.js';
import { type Tpm, tpmOver } from '../producers/attestation/tpm/tpm.js';
import { DEFAULT_ADDRESS, openTransport } from '../producers/attestation/transport/open-transport.js';
import { AttestreamError } from '../schemas/errors.js';
import { textSetting } from './configuration.js';

/** Flags of every command that uses a TPM. */
export interface TpmFlags {
  readonly ek?: string;
  readonly algorithm?: string;
  readonly endorsementAuth?: string;
  readonly ownerAuth?: string;
}

const KINDS: Readonly<Record<string, AttestationKeyKind>> = {
  'ecc-p256': { type: 'ecc', curve: 'nistp256', hash: 'sha256' },
  'ecc-p384': { type: 'ecc', curve: 'nistp384', hash: 'sha384' },
  'rsa2048-ssa': { type: 'rsa', keyBits: 2048, scheme: 'rsassa', hash: 'sha256' },
  'rsa2048-pss': { type: 'rsa', keyBits: 2048, scheme: 'rsapss', hash: 'sha256' },
  'rsa3072-ssa': { type: 'rsa', keyBits: 3072, scheme: 'rsassa', hash: 'sha384' },
  'rsa3072-pss': { type: 'rsa', keyBits: 3072, scheme: 'rsapss', hash: 'sha384' },
};

export const withTpmOptions = (command: Command): Command =>
  command
    .option('--tpm <address>', `device:PATH, unix:PATH or swtpm:HOST:PORT (default: ${DEFAULT_ADDRESS})`)
    .option('--ek <template>', 'endorsement key by its template, as L-1 or H-3 (default: the one with a certificate)')
    .option(
      '--algorithm <name>',
      `of attestation keys that are made: ${Object.keys(KINDS).join(', ')} (default: ecc-p256)`,
    )
    .option('--endorsement-auth <file>', "file with the authorisation of the TPM's endorsement hierarchy")
    .option('--owner-auth <file>', "file with the authorisation of the TPM's owner hierarchy");

const authOf = (file: string): Buffer => {
  try {
    return Buffer.from(readFileSync(file, 'latin1').replace(/\r?\n$/, ''), 'latin1');
  } catch (cause) {
    throw new AttestreamError('USAGE', `cannot be read: ${(cause as Error).message}`, { path: file }, { cause });
  }
};

/** Opens the TPM that flags and settings name, for as long as `use` takes. */
export const withTpm = async <T>(
  command: Command,
  flags: TpmFlags,
  use: (keys: PlatformOptions, tpm: Tpm) => Promise<T>,
): Promise<T> => {
  const kind = flags.algorithm === undefined ? undefined : KINDS[flags.algorithm];
  if (flags.algorithm !== undefined && kind === undefined)
    throw new AttestreamError(
      'USAGE',
      `--algorithm is one of ${Object.keys(KINDS).join(', ')}, not ${JSON.stringify(flags.algorithm)}`,
    );
  const tpm = tpmOver(await openTransport(textSetting(command, 'tpm') ?? DEFAULT_ADDRESS));
  try {
    return await use(
      {
        tpm,
        auth: {
          ...(flags.endorsementAuth === undefined ? {} : { endorsement: authOf(flags.endorsementAuth) }),
          ...(flags.ownerAuth === undefined ? {} : { owner: authOf(flags.ownerAuth) }),
        },
        ...(flags.ek === undefined ? {} : { ekTemplate: flags.ek }),
        ...(kind === undefined ? {} : { kind }),
      },
      tpm,
    );
  } finally {
    await tpm.close();
  }
};
