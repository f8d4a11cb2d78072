import type { Credential } from './make-credential.js';
import { TpmReader } from './reader.js';
import { sized, u32 } from './writer.js';

/** What `tpm2_makecredential` begins its files with, and their version. */
const MAGIC = 0xbadcc0de;
const VERSION = 1;

/** A credential as `tpm2_makecredential` writes and `tpm2_activatecredential` reads it. Throws TPM_BLOB_INVALID. */
export const parseCredentialFile = (bytes: Buffer): Credential => {
  const reader = new TpmReader(bytes, 'credential file');
  const magic = reader.u32('magic');
  const version = reader.u32('version');
  if (magic !== MAGIC || version !== VERSION) throw reader.invalid('it does not begin as one of version 1', 0);
  const credentialBlob = reader.sized('credential blob');
  const encryptedSecret = reader.sized('encrypted secret');
  reader.end();
  return { credentialBlob, encryptedSecret };
};

/** See `parseCredentialFile`. */
export const marshalCredentialFile = ({ credentialBlob, encryptedSecret }: Credential): Buffer =>
  Buffer.concat([u32(MAGIC), u32(VERSION), sized(credentialBlob), sized(encryptedSecret)]);
