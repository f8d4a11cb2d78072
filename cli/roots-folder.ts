import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { Command } from 'commander';
import type { Certificate } from '../processors/run/enrolment/certificate.js';
import type { Anchors } from '../processors/run/enrolment/chain.js';
import { AttestreamError } from '../schemas/errors.js';
import { textSetting } from './configuration.js';
import { ioOf } from './io.js';

/** Files that are read from the folder at most. */
const MAX_FILES = 1024;
const MAX_BYTES = 1024 * 1024;

/** The folder of trust anchors: `--roots`, the setting, or the user's own. */
export const rootsFolder = (command: Command): string => {
  const { env } = ioOf(command);
  return (
    textSetting(command, 'roots') ?? join(env['XDG_CONFIG_HOME'] || join(homedir(), '.config'), 'attestream/roots')
  );
};

const filesOf = (folder: string): readonly string[] => {
  try {
    return readdirSync(folder)
      .filter((name) => /\.(pem|crt|cer|der)$/.test(name))
      .sort()
      .slice(0, MAX_FILES)
      .map((name) => join(folder, name));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
};

export interface KeptCertificate {
  readonly certificate: Certificate;
  readonly file: string;
}

/** Certificates of a file. Throws CERTIFICATE_INVALID, USAGE. */
export const certificatesIn = async (file: string): Promise<readonly KeptCertificate[]> => {
  const { readCertificates } = await import('../processors/run/enrolment/certificate.js');
  let bytes: Buffer;
  try {
    if (statSync(file).size > MAX_BYTES) throw new Error(`larger than ${MAX_BYTES} bytes`);
    bytes = readFileSync(file);
  } catch (cause) {
    throw new AttestreamError('USAGE', `cannot be read: ${(cause as Error).message}`, { path: file }, { cause });
  }
  return readCertificates(bytes, file).map((certificate) => ({ certificate, file }));
};

export const keptCertificates = async (folder: string): Promise<readonly KeptCertificate[]> =>
  (await Promise.all(filesOf(folder).map(certificatesIn))).flat();

/** Whether a certificate stands for itself: all others in the folder are issuers on the way to one that does. */
export const isRoot = ({ subject, issuer }: Certificate): boolean => subject === issuer;

/** Keeps certificates under their fingerprints; those that were not there before. */
export const keepCertificates = (folder: string, certificates: readonly Certificate[]): ReadonlySet<string> => {
  mkdirSync(folder, { recursive: true });
  const added = new Set<string>();
  for (const { fingerprint, bytes } of certificates) {
    const pem = `-----BEGIN CERTIFICATE-----\n${(bytes.toString('base64').match(/.{1,64}/g) ?? []).join('\n')}\n-----END CERTIFICATE-----\n`;
    try {
      writeFileSync(join(folder, `${fingerprint}.pem`), pem, { flag: 'wx' });
      added.add(fingerprint);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
  }
  return added;
};

/** What enrolment trusts: certificates of the folder that stand for themselves, and the others as issuers. */
export const anchorsOf = async (command: Command, allowExpiredIssuers: boolean): Promise<Anchors> => {
  const kept = (await keptCertificates(rootsFolder(command))).map(({ certificate }) => certificate);
  return {
    roots: kept.filter(isRoot),
    intermediates: kept.filter((certificate) => !isRoot(certificate)),
    allowExpiredIssuers,
  };
};
