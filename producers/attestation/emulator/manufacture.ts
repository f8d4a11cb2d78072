import { execFile } from 'node:child_process';
import { cp, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AttestreamError } from '../../../schemas/errors.js';

/** Folders of an emulated TPM. */
export interface EmulatedTpmFiles {
  /** The TPM's memory. */
  readonly state: string;
  /** Its maker: PEM certificates of the authority that signed the endorsement certificates. */
  readonly rootCertificate: string;
  readonly issuerCertificate: string;
}

export interface ManufactureOptions {
  /** PCR banks that are in use. */
  readonly banks?: readonly string[];
  /** Bits of the RSA endorsement key. */
  readonly rsaKeySize?: 2048 | 3072;
}

const SETUP_TIMEOUT_MS = 120_000;

const run = (program: string, args: readonly string[]): Promise<void> =>
  new Promise((resolve, reject) => {
    execFile(program, args, { timeout: SETUP_TIMEOUT_MS }, (error, stdout, stderr) => {
      if (error === null) resolve();
      else {
        const end = `${stdout}${stderr}`.trim().split('\n').slice(-5).join('\n');
        reject(new AttestreamError('LOCAL_PART_FAILED', `${program} failed: ${error.message}\n${end}`));
      }
    });
  });

/** Where files of a TPM in this folder are. */
export const emulatedTpmFiles = (folder: string): EmulatedTpmFiles => ({
  state: join(folder, 'state'),
  rootCertificate: join(folder, 'ca', 'swtpm-localca-rootca-cert.pem'),
  issuerCertificate: join(folder, 'ca', 'issuercert.pem'),
});

/**
 * Makes a new emulated TPM in `folder`: endorsement keys (RSA, and P-384), and certificates for them in NV by an
 * authority of the folder's own. `ca` is a folder made so before, to share its authority. Needs swtpm and swtpm-tools;
 * throws LOCAL_PART_FAILED.
 */
export const manufactureTpm = async (
  folder: string,
  { banks = ['sha1', 'sha256'], rsaKeySize = 2048 }: ManufactureOptions = {},
  ca?: string,
): Promise<EmulatedTpmFiles> => {
  const files = emulatedTpmFiles(folder);
  const authority = join(folder, 'ca');
  await mkdir(files.state, { recursive: true });
  if (ca === undefined) await mkdir(authority, { recursive: true });
  else await cp(join(ca, 'ca'), authority, { recursive: true });
  const localca = join(folder, 'localca.conf');
  const options = join(folder, 'localca.options');
  const setup = join(folder, 'setup.conf');
  const text = [
    `statedir = ${authority}`,
    `signingkey = ${join(authority, 'signkey.pem')}`,
    `issuercert = ${files.issuerCertificate}`,
    `certserial = ${join(authority, 'certserial')}`,
  ];
  await writeFile(localca, `${text.join('\n')}\n`);
  await writeFile(options, '--platform-manufacturer attestream\n--platform-version 1\n--platform-model emulator\n');
  await writeFile(
    setup,
    [
      'create_certs_tool = swtpm_localca',
      `create_certs_tool_config = ${localca}`,
      `create_certs_tool_options = ${options}`,
      `active_pcr_banks = ${banks.join(',')}`,
      '',
    ].join('\n'),
  );
  await run('swtpm_setup', [
    ...['--tpm2', '--tpmstate', files.state, '--config', setup, '--create-ek-cert', '--overwrite'],
    ...['--pcr-banks', banks.join(','), '--rsa-keysize', String(rsaKeySize)],
  ]);
  return files;
};
