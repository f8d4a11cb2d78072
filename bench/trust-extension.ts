import 'reflect-metadata';
import { execFileSync } from 'node:child_process';
import {
  createCipheriv,
  createDecipheriv,
  createHash,
  type KeyObject,
  randomBytes,
  timingSafeEqual,
  webcrypto,
  X509Certificate,
} from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  PublicKey,
  X509CertificateGenerator,
} from '@peculiar/x509';
import { startSwtpm } from '../producers/attestation/emulator/local-swtpm.js';
import { manufactureTpm } from '../producers/attestation/emulator/manufacture.js';
import { createAik1, evictAik1 } from '../producers/attestation/keys/aik1.js';
import {
  type AttestationKey,
  type AttestationKeyKind,
  createAik2,
} from '../producers/attestation/keys/attestation-key.js';
import { chooseEk, type EndorsementKey } from '../producers/attestation/keys/ek.js';
import { activateCredential } from '../producers/attestation/tpm/activate-credential.js';
import { certify } from '../producers/attestation/tpm/attestation.js';
import { COMMANDS } from '../producers/attestation/tpm/command-code.js';
import { withScope } from '../producers/attestation/tpm/scope.js';
import { type Tpm, tpmOver } from '../producers/attestation/tpm/tpm.js';
import { openSocket } from '../producers/attestation/transport/socket-transport.js';
import type { TpmTransport } from '../producers/attestation/transport/transport.js';
import { taggedHash } from '../schemas/tagged-hash.js';
import { parseAttest, TPM_GENERATED_VALUE, TPM_ST_ATTEST_CERTIFY } from '../schemas/tpm/attest.js';
import { attestationKeyFaults } from '../schemas/tpm/attributes.js';
import { ekTemplateOf } from '../schemas/tpm/ek-template.js';
import { type Credential, makeCredential } from '../schemas/tpm/make-credential.js';
import { endorsementQualifiedName, objectName, qualifiedName } from '../schemas/tpm/name.js';
import { parsePublic } from '../schemas/tpm/public.js';
import { publicKeyObject } from '../schemas/tpm/public-key.js';
import { parseSignature, signatureFits, verifySignature } from '../schemas/tpm/signature.js';
import type { Figure } from './figure.js';

/**
 * Milliseconds that a discrete TPM takes for a command, in round numbers: what the design assumes for extend and for
 * signatures, and the same order for other private-key work. Added to the account, not slept.
 */
const HARDWARE_MS: Readonly<Record<number, number>> = {
  [COMMANDS.PCR_Extend]: 12,
  [COMMANDS.Quote]: 300,
  [COMMANDS.Certify]: 300,
  [COMMANDS.ActivateCredential]: 300,
  [COMMANDS.Create]: 300,
  [COMMANDS.CreatePrimary]: 300,
  [COMMANDS.Load]: 100,
  [COMMANDS.EvictControl]: 100,
};
const HARDWARE_OTHER_MS = 12;
/** A hardware TPM looks for the primes of an RSA key for seconds. */
const HARDWARE_RSA_KEY_MS = 6000;

/** Where time, bytes and messages of one way of rotating went. */
interface Account {
  tpmMs: number;
  /** Of it, making keys: the same work in both ways, and by chance long or short for RSA. */
  makingMs: number;
  hardwareMs: number;
  verifierMs: number;
  authorityMs: number;
  /** Of it, putting certificates together and signing them, which another library may do faster. */
  issuingMs: number;
  /** What host, authority and verifier send each other beyond the evidence that is sent anyway. */
  bytes: number;
  messages: number;
}

const newAccount = (): Account => ({
  tpmMs: 0,
  makingMs: 0,
  hardwareMs: 0,
  verifierMs: 0,
  authorityMs: 0,
  issuingMs: 0,
  bytes: 0,
  messages: 0,
});

/** Lets whoever is set as `to` pay for the commands that pass. */
const metered = (transport: TpmTransport, rsa: () => boolean): { transport: TpmTransport; bill: { to: Account } } => {
  const bill = { to: newAccount() };
  const transmit = async (command: Buffer): Promise<Buffer> => {
    const began = performance.now();
    const answer = await transport.transmit(command);
    const took = performance.now() - began;
    const code = command.readUInt32BE(6);
    const makesKey = code === COMMANDS.Create || code === COMMANDS.CreatePrimary;
    bill.to.tpmMs += took;
    if (makesKey) bill.to.makingMs += took;
    bill.to.hardwareMs += makesKey && rsa() ? HARDWARE_RSA_KEY_MS : (HARDWARE_MS[code] ?? HARDWARE_OTHER_MS);
    return answer;
  };
  return { transport: { ...transport, transmit }, bill };
};

const timed = async <T>(
  account: Account,
  who: 'verifierMs' | 'authorityMs' | 'issuingMs',
  work: () => T | Promise<T>,
): Promise<T> => {
  const began = performance.now();
  const result = await work();
  account[who] += performance.now() - began;
  return result;
};

const must = (holds: boolean, what: string): void => {
  if (!holds) throw new Error(`the benchmark is broken: ${what}`);
};

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const DAY_MS = 86_400_000;

/** A certificate authority with an ECDSA P-256 key, as real ones have. */
class Authority {
  private serial = 1;
  private constructor(
    readonly certificate: X509Certificate,
    private readonly keys: webcrypto.CryptoKeyPair,
    private readonly name: string,
  ) {}

  static async create(name: string): Promise<Authority> {
    const keys = (await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify'])) as webcrypto.CryptoKeyPair;
    const certificate = await X509CertificateGenerator.createSelfSigned({
      serialNumber: '01',
      name: `CN=${name}`,
      notBefore: new Date(Date.now() - DAY_MS),
      notAfter: new Date(Date.now() + 365 * DAY_MS),
      signingAlgorithm: ALGORITHM,
      keys,
      extensions: [
        new BasicConstraintsExtension(true, 1, true),
        new KeyUsagesExtension(KeyUsageFlags.keyCertSign, true),
      ],
    });
    return new Authority(new X509Certificate(Buffer.from(certificate.rawData)), keys, name);
  }

  /** DER of a certificate for this key. */
  async certify(subject: string, key: KeyObject): Promise<Buffer> {
    const certificate = await X509CertificateGenerator.create({
      serialNumber: (++this.serial).toString(16).padStart(16, '0'),
      issuer: `CN=${this.name}`,
      subject: `CN=${subject}`,
      notBefore: new Date(Date.now() - DAY_MS),
      notAfter: new Date(Date.now() + DAY_MS),
      signingAlgorithm: ALGORITHM,
      publicKey: new PublicKey(key.export({ type: 'spki', format: 'der' })),
      signingKey: this.keys.privateKey,
      extensions: [
        new BasicConstraintsExtension(false, undefined, true),
        new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
        await AuthorityKeyIdentifierExtension.create(this.keys.publicKey),
      ],
    });
    return Buffer.from(certificate.rawData);
  }
}

/** Whether the issuer's key signed this certificate and it is valid now. */
const isIssued = (certificate: X509Certificate, issuer: X509Certificate): boolean => {
  const now = Date.now();
  return (
    certificate.checkIssued(issuer) &&
    certificate.verify(issuer.publicKey) &&
    Date.parse(certificate.validFrom) <= now &&
    now <= Date.parse(certificate.validTo)
  );
};

const seal = (key: Buffer, plain: Buffer): Buffer => {
  const iv = randomBytes(12);
  const cipher = createCipheriv('aes-256-gcm', key, iv);
  return Buffer.concat([iv, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
};

const unseal = (key: Buffer, sealed: Buffer): Buffer => {
  const cipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, 12));
  cipher.setAuthTag(sealed.subarray(-16));
  return Buffer.concat([cipher.update(sealed.subarray(12, -16)), cipher.final()]);
};

const size = (...parts: readonly Buffer[]): number => parts.reduce((sum, { length }) => sum + length, 0);

/** What a host is to whom it asks something of. */
interface Host {
  readonly tpm: Tpm;
  readonly bill: { to: Account };
  readonly ek: EndorsementKey;
  readonly ekCertificate: Buffer;
  readonly kind: AttestationKeyKind;
}

const openWith = async ({ tpm, ek }: Host, key: AttestationKey, credential: Credential): Promise<Buffer> =>
  activateCredential(tpm, key, { handle: ek.handle, authorisation: await ek.authorise() }, credential);

/** Verifier or authority: is this a genuine EK, and what is the credential by which the key proves to be beside it? */
const challenge = (ekDer: Buffer, ekBytes: Buffer, keyBytes: Buffer, secret: Buffer, maker: X509Certificate | null) => {
  const ek = parsePublic(ekBytes);
  const key = parsePublic(keyBytes);
  must(ekTemplateOf(ek) !== null, 'EK template');
  must(attestationKeyFaults(key.attributes).length === 0, 'attributes');
  if (maker !== null) {
    const certificate = new X509Certificate(ekDer);
    must(isIssued(certificate, maker), 'EK certificate');
    must(certificate.publicKey.equals(publicKeyObject(ek)), 'EK');
  }
  return { ek, key, credential: makeCredential(ek, objectName(key), secret) };
};

/** Once: AIK1 is made, and the verifier convinced of it. Request, challenge, answer, and the word that it is enrolled. */
const enrol = async (host: Host, maker: Authority, account: Account): Promise<AttestationKey> => {
  host.bill.to = account;
  const aik1 = await withScope(host.tpm, (scope) => createAik1(host.tpm, scope, host.ek, host.kind));
  const { ek, ekCertificate } = host;
  const secret = randomBytes(32);
  const { credential } = await timed(account, 'verifierMs', () =>
    challenge(ekCertificate, ek.public.bytes, aik1.public.bytes, secret, maker.certificate),
  );
  const opened = await openWith(host, aik1, credential);
  await timed(account, 'verifierMs', () => must(timingSafeEqual(opened, secret), 'credential'));
  account.bytes += size(ekCertificate, ek.public.bytes, aik1.public.bytes, credential.credentialBlob);
  account.bytes += size(credential.encryptedSecret, opened, aik1.public.bytes);
  account.messages += 4;
  return aik1;
};

/** AIK1 vouches for a new AIK2. What is sent travels with the evidence: no message of its own. */
const extend = async (host: Host, aik1: AttestationKey, nameEk: Buffer, account: Account): Promise<void> => {
  host.bill.to = account;
  const qualifying = taggedHash('attestream/certify/1', nameEk, randomBytes(32));
  const { area, attest, signature } = await withScope(host.tpm, async (scope) => {
    const aik2 = await createAik2(host.tpm, scope, host.ek, host.kind);
    return { area: aik2.public.bytes, ...(await certify(host.tpm, aik2, aik1, qualifying)) };
  });
  account.bytes += size(area, attest, signature);
  await timed(account, 'verifierMs', () => {
    const made = parseSignature(signature);
    must(signatureFits(aik1.public, made) && verifySignature(aik1.public, attest, made), 'signature');
    const said = parseAttest(attest);
    const key = parsePublic(area);
    const qnEk = endorsementQualifiedName(nameEk);
    must(said.magic === TPM_GENERATED_VALUE && said.type === TPM_ST_ATTEST_CERTIFY && said.trailing === 0, 'kind');
    must(said.extraData.equals(qualifying), 'nonce');
    must(said.qualifiedSigner.equals(qualifiedName(qnEk, aik1.name)), 'signer');
    must(said.certify!.name.equals(objectName(key)), 'name');
    must(said.certify!.qualifiedName.equals(qualifiedName(qnEk, objectName(key))), 'qualified name');
    must(attestationKeyFaults(key.attributes).length === 0, 'attributes');
    publicKeyObject(key);
  });
};

/**
 * The classic exchange for each new key, in its shortest form: the request, and an answer that holds the certificate
 * encrypted with what only the right TPM can recover. The authority looks at the EK's chain once and remembers.
 */
const certifyByAuthority = async (
  host: Host,
  ca: Authority,
  known: Set<string>,
  maker: Authority,
  account: Account,
): Promise<void> => {
  host.bill.to = account;
  const { ek, ekCertificate } = host;
  await withScope(host.tpm, async (scope) => {
    const aik = await createAik2(host.tpm, scope, ek, host.kind);
    account.bytes += size(ekCertificate, ek.public.bytes, aik.public.bytes);
    const { credential, sealed } = await timed(account, 'authorityMs', async () => {
      const secret = randomBytes(32);
      const pin = createHash('sha256').update(ekCertificate).digest('hex');
      const root = known.has(pin) ? null : maker.certificate;
      const made = challenge(ekCertificate, ek.public.bytes, aik.public.bytes, secret, root);
      known.add(pin);
      const certificate = await timed(account, 'issuingMs', () =>
        ca.certify('attestation key', publicKeyObject(made.key)),
      );
      return { credential: made.credential, sealed: seal(secret, certificate) };
    });
    account.bytes += size(credential.credentialBlob, credential.encryptedSecret, sealed);
    account.messages += 2;
    const certificate = unseal(await openWith(host, aik, credential), sealed);
    account.bytes += certificate.length;
    await timed(account, 'verifierMs', () => {
      const made = new X509Certificate(certificate);
      must(isIssued(made, ca.certificate), 'certificate');
      must(made.publicKey.type === 'public', 'key');
    });
  });
};

/** RSA less often: the emulator looks for primes for a quarter of a second. */
const KINDS: readonly { name: string; template: string; rotations: number; kind: AttestationKeyKind }[] = [
  { name: 'ECC P-256', template: 'L-2', rotations: 100, kind: { type: 'ecc', curve: 'nistp256', hash: 'sha256' } },
  {
    name: 'RSA 2048',
    template: 'L-1',
    rotations: 20,
    kind: { type: 'rsa', keyBits: 2048, scheme: 'rsassa', hash: 'sha256' },
  },
];

const figures = (name: string, rotations: number, enrolled: Account, ours: Account, theirs: Account): Figure[] => {
  const figure = (what: string, unit: string, of: (account: Account) => number, digits = 2): Figure => {
    // Enrolment is part of the price of the rotations.
    const [mine, other] = [of(enrolled) + of(ours), of(theirs)];
    const per = unit.endsWith('/rotation') ? rotations : 1;
    return {
      name: `${name}: ${what}`,
      figure: Number((mine / per).toFixed(digits)),
      unit,
      baseline: Number((other / per).toFixed(digits)),
      ratio: mine === 0 ? null : Number((other / mine).toFixed(2)),
    };
  };
  const remote = (account: Account): number => account.verifierMs + account.authorityMs;
  return [
    figure(`enrol + ${rotations} rotations, against an authority`, 'ms/rotation', (a) => a.tpmMs + remote(a)),
    figure('… TPM (emulated)', 'ms/rotation', ({ tpmMs }) => tpmMs),
    figure('… TPM, making keys left out', 'ms/rotation', ({ tpmMs, makingMs }) => tpmMs - makingMs),
    figure('… verifier alone', 'ms/rotation', ({ verifierMs }) => verifierMs, 3),
    figure('… authority alone', 'ms/rotation', ({ authorityMs }) => authorityMs, 3),
    figure('… verifier and authority', 'ms/rotation', remote, 3),
    figure('… the same, issuing left out', 'ms/rotation', (a) => remote(a) - a.issuingMs, 3),
    figure('bytes beyond the evidence', 'B/rotation', ({ bytes }) => bytes, 0),
    figure('messages', `/${rotations} rotations`, ({ messages }) => messages, 0),
    figure('all, with the latency of a hardware TPM', 'ms/rotation', (a) => a.hardwareMs + remote(a), 0),
  ];
};

const measure = async (
  tpm: Tpm,
  bill: { to: Account },
  { name, template, rotations, kind }: (typeof KINDS)[number],
  maker: Authority,
): Promise<Figure[]> =>
  withScope(tpm, async (scope) => {
    const enrolled = newAccount();
    bill.to = enrolled;
    const ek = await chooseEk(tpm, scope, { id: template });
    const ekCertificate = await maker.certify('endorsement key', publicKeyObject(ek.public));
    const host: Host = { tpm, bill, ek, ekCertificate, kind };
    const ca = await Authority.create('attestation authority');
    const known = new Set<string>();
    const aik1 = await enrol(host, maker, enrolled);
    const [ours, theirs] = [newAccount(), newAccount()];
    // Code that has run before is faster: both ways warm up, and then take turns.
    for (let i = 0; i < (kind.type === 'rsa' ? 2 : 10); i++) {
      await extend(host, aik1, ek.name, newAccount());
      await certifyByAuthority(host, ca, new Set(), maker, newAccount());
    }
    for (let i = 0; i < rotations; i++) {
      await extend(host, aik1, ek.name, ours);
      await certifyByAuthority(host, ca, known, maker, theirs);
    }
    bill.to = newAccount();
    return figures(name, rotations, enrolled, ours, theirs);
  });

/** A host's new attestation keys: vouched for by the key that is known already, against certificates from an authority. */
export const bench = async (): Promise<Figure[]> => {
  // Missing: this fails as the runner expects of a machine without it.
  execFileSync('swtpm', ['--version'], { stdio: 'ignore' });
  const folder = mkdtempSync(join(tmpdir(), 'attestream-bench-'));
  const { state } = await manufactureTpm(folder);
  const swtpm = await startSwtpm(state);
  try {
    let rsa = false;
    const to = { host: '127.0.0.1', port: swtpm.port };
    const { transport, bill } = metered(openSocket(swtpm.address, to, { keepOpen: true }), () => rsa);
    const tpm = tpmOver(transport);
    const maker = await Authority.create('maker of the TPM');
    const all: Figure[] = [];
    for (const kind of KINDS) {
      rsa = kind.kind.type === 'rsa';
      all.push(...(await measure(tpm, bill, kind, maker)));
      await evictAik1(tpm);
    }
    await tpm.close();
    return all;
  } finally {
    await swtpm.stop();
    rmSync(folder, { recursive: true, force: true });
  }
};
