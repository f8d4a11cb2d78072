import 'reflect-metadata';
import { KeyObject, webcrypto } from 'node:crypto';
import {
  BasicConstraintsExtension,
  ExtendedKeyUsageExtension,
  Extension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
} from '@peculiar/x509';
import { type Certificate, readCertificate } from '../../processors/run/enrolment/certificate.js';

export interface Issued {
  readonly certificate: Certificate;
  readonly name: string;
  readonly keys: CryptoKeyPair;
  readonly publicKey: KeyObject;
}

type CryptoKeyPair = webcrypto.CryptoKeyPair;

export interface Issue {
  /** Common name; '': none. */
  readonly name: string;
  /** Signs itself without. */
  readonly by?: Issued;
  readonly authority?: boolean;
  readonly pathLength?: number;
  readonly forEndorsementKey?: boolean;
  readonly purpose?: string;
  /** A critical extension of this identifier. */
  readonly critical?: string;
  /** ms */
  readonly until?: number;
  /** Another certificate's keys, instead of new ones. */
  readonly keys?: Issued;
  /** SPKI of a key that lives elsewhere, as in a TPM. */
  readonly spki?: Buffer;
}

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;

let serial = 1;

/** A certificate as makers of TPMs issue them: for an endorsement key with a critical directory name and no subject. */
export const issue = async (wanted: Issue): Promise<Issued> => {
  const own =
    wanted.keys?.keys ?? ((await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify'])) as CryptoKeyPair);
  const { name, by, authority = false, purpose } = wanted;
  const publicKey =
    wanted.spki === undefined
      ? own.publicKey
      : await webcrypto.subtle.importKey('spki', new Uint8Array(wanted.spki), ALGORITHM, true, ['verify']);
  const text = (of: string): string => (of === '' ? '' : `CN=${of}`);
  const made = await X509CertificateGenerator.create(
    {
      serialNumber: (serial++).toString(16).padStart(4, '0'),
      subject: text(name),
      issuer: text(by?.name ?? name),
      notBefore: new Date(Date.UTC(2020, 0, 1)),
      notAfter: new Date(wanted.until ?? Date.UTC(2036, 0, 1)),
      signingAlgorithm: ALGORITHM,
      publicKey,
      signingKey: (by?.keys ?? own).privateKey,
      extensions: [
        new BasicConstraintsExtension(authority, wanted.pathLength, true),
        new KeyUsagesExtension(authority ? KeyUsageFlags.keyCertSign : KeyUsageFlags.keyAgreement, true),
        ...(wanted.forEndorsementKey === true ? [new ExtendedKeyUsageExtension(['2.23.133.8.1'])] : []),
        ...(purpose === undefined ? [] : [new ExtendedKeyUsageExtension([purpose])]),
        ...(wanted.forEndorsementKey === true
          ? [
              new SubjectAlternativeNameExtension(
                [{ type: 'dn', value: '2.23.133.2.1=id:00001014+2.23.133.2.2=model+2.23.133.2.3=id:1' }],
                true,
              ),
            ]
          : []),
        ...(wanted.critical === undefined ? [] : [new Extension(wanted.critical, true, new Uint8Array([5, 0]))]),
      ],
    } as never,
    webcrypto as never,
  );
  return {
    certificate: readCertificate(Buffer.from(made.rawData)),
    name,
    keys: own,
    publicKey: KeyObject.from(publicKey as never),
  };
};
