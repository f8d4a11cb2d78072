import { createHash, createPublicKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { encodeRecord, SchemaTable } from '../schemas/codec.js';
import { CHAIN_START, nextChainHead } from '../schemas/event-chain.js';
import { challengeLeaf } from '../schemas/evidence/challenge.js';
import { coreDigest, encodeCore, headsDigest, NO_EVIDENCE, vpcrDigest } from '../schemas/evidence/core.js';
import { enrolCommitment, hostId } from '../schemas/evidence/enrolment.js';
import { certifyQualifyingData, quoteQualifyingData } from '../schemas/evidence/qualifying-data.js';
import type { RecordName, Records, Tick } from '../schemas/records.js';
import { signRecord } from '../schemas/signed.js';
import { taggedHash } from '../schemas/tagged-hash.js';
import { type Attest, TPM_GENERATED_VALUE, TPM_ST_ATTEST_CERTIFY, TPM_ST_ATTEST_QUOTE } from '../schemas/tpm/attest.js';
import { ATTESTATION_KEY, ENDORSEMENT_KEY_LOW } from '../schemas/tpm/attributes.js';
import { marshalAttest } from '../schemas/tpm/marshal-attest.js';
import { publicFromKey } from '../schemas/tpm/marshal-public.js';
import { endorsementQualifiedName, objectName, qualifiedName } from '../schemas/tpm/name.js';
import { pcrDigest } from '../schemas/tpm/pcr-digest.js';
import type { TpmPublic } from '../schemas/tpm/public.js';
import { selectionFromText } from '../schemas/tpm/selection.js';
import { marshalSignature } from '../schemas/tpm/signature.js';

/** A record with its host, for the topic `measurements`. */
export interface Placed {
  readonly host: string;
  readonly name: RecordName;
  readonly value: Buffer;
}

export const ENTRIES = 780;
const SELECTION = 'sha256:0,1,2,3,4,5,6,7,8,9,10,12';
const TIME = 1_700_000_000_000_000;

const SCHEMA_TABLE = new SchemaTable();

const keyPair = (): KeyObject => generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;

const field = (bytes: Buffer): Buffer => {
  const length = Buffer.alloc(4);
  length.writeUInt32LE(bytes.length);
  return Buffer.concat([length, bytes]);
};

const sha256 = (bytes: string | Buffer): Buffer => createHash('sha256').update(bytes).digest();

/** Template data (ima-ng) of a list such as a small distribution's boot writes. */
export const LIST: readonly { readonly path: string; readonly data: Buffer }[] = Array.from(
  { length: ENTRIES },
  (_, i) => {
    const path = `/usr/lib/x86_64-linux-gnu/lib${i}.so.${i % 7}`;
    const data = Buffer.concat([
      field(Buffer.concat([Buffer.from('sha256:\0'), sha256(path)])),
      field(Buffer.from(`${path}\0`)),
    ]);
    return { path, data };
  },
);

export const policyOfList = (): Readonly<Record<string, unknown>> => ({
  kind: 'host',
  id: 'bench',
  files: Object.fromEntries(LIST.map(({ path }) => [path, `sha256:${sha256(path).toString('hex')}`])),
  coverage: 'none',
});

const REGISTER_10 = LIST.reduce<Buffer>(
  (value, { data }) => sha256(Buffer.concat([value, sha256(data)])),
  Buffer.alloc(32),
);

const signed = (key: KeyObject, message: Buffer): Buffer => {
  const value = sign('sha256', message, { key, dsaEncoding: 'ieee-p1363' });
  return marshalSignature({ algorithm: 'ecdsa', hash: 'sha256', r: value.subarray(0, 32), s: value.subarray(32) });
};

/** The verifier's tick of this number. */
export const tickOf = (verifier: KeyObject, number: number): Tick =>
  signRecord(
    'Tick',
    {
      number,
      nonce: sha256(`nonce ${number}`),
      issued: TIME + number * 5_000_000,
      interval: 5_000_000,
      grace: 10_000_000,
      k: 1,
      selection: SELECTION,
    },
    verifier,
  );

/** A host with ECC P-256 keys that makes its records as agent, TPM and verifier would. */
export class BenchHost {
  readonly #ek = keyPair();
  readonly #aik1 = keyPair();
  readonly #aik2 = keyPair();
  readonly #scheme = { nameAlg: 'sha256', attributes: ATTESTATION_KEY, scheme: { algorithm: 'ecdsa', hash: 'sha256' } };
  readonly #ekPublic = publicFromKey(this.#ek, {
    nameAlg: 'sha256',
    attributes: ENDORSEMENT_KEY_LOW,
    symmetric: { algorithm: 'aes', keyBits: 128, mode: 'cfb' },
    scheme: null,
  });
  readonly #aik1Public = publicFromKey(this.#aik1, this.#scheme);
  readonly #aik2Public = publicFromKey(this.#aik2, this.#scheme);
  readonly #parent = endorsementQualifiedName(objectName(this.#ekPublic));
  readonly host = hostId(objectName(this.#ekPublic));
  readonly #stream = taggedHash('bench', this.host);
  #seq = 0;
  #head: Buffer = CHAIN_START;
  #clock = 1000n;
  #previous = NO_EVIDENCE;
  #certify: Records['Evidence']['certify'] = null;

  constructor(
    readonly verifier: KeyObject,
    readonly index: number,
  ) {}

  #own<N extends RecordName>(name: N, fields: Omit<Records[N], 'stream' | 'seq' | 'at'>): Placed {
    const record = { ...fields, stream: this.#stream, seq: this.#seq, at: TIME } as unknown as Records[N];
    const value = encodeRecord(name, record);
    const { fingerprint } = SCHEMA_TABLE.at(SCHEMA_TABLE.current(name));
    this.#head = nextChainHead(this.#head, this.#seq++, 'measurements', fingerprint, value);
    return { host: this.host, name, value };
  }

  enrol(): readonly Placed[] {
    const requestId = Buffer.alloc(16, 1);
    const nameEk = objectName(this.#ekPublic);
    const nameAik1 = objectName(this.#aik1Public);
    const secret = Buffer.alloc(32, 2);
    const spki = createPublicKey(this.#ek).export({ type: 'spki', format: 'der' });
    const common = { number: this.index, issued: TIME };
    const keys = { ekPublic: this.#ekPublic.bytes, aik1Public: this.#aik1Public.bytes };
    const commitment = enrolCommitment(requestId, nameEk, nameAik1, secret);
    const none = Buffer.alloc(0);
    const { host, verifier } = this;
    return [
      {
        host: '',
        name: 'Approval',
        value: encodeRecord(
          'Approval',
          signRecord('Approval', { ...common, label: 'h', ekSpki: sha256(spki), rootSet: '' }, verifier),
        ),
      },
      this.#own('StreamOpened', { kind: 'agent', boot: 'boot', offset: 0, agent: 'bench', previous: [] }),
      this.#own('EnrolRequest', {
        requestId,
        label: 'h',
        ekCertificates: [],
        ekTemplate: 'L-2',
        ...keys,
        agentVersion: '',
      }),
      {
        host,
        name: 'EnrolChallenge',
        value: encodeRecord(
          'EnrolChallenge',
          signRecord(
            'EnrolChallenge',
            {
              ...common,
              host,
              requestId,
              nameEk,
              nameAik1,
              credentialBlob: none,
              encryptedSecret: none,
              commitment,
              expires: 9,
            },
            verifier,
          ),
        ),
      },
      this.#own('EnrolAnswer', { requestId, secret }),
      {
        host,
        name: 'Enrolled',
        value: encodeRecord(
          'Enrolled',
          signRecord(
            'Enrolled',
            {
              ...common,
              host,
              requestId,
              label: 'h',
              ...keys,
              nameAik1,
              basis: 'approved',
              anchors: [],
              notChecked: [],
            },
            verifier,
          ),
        ),
      },
    ];
  }

  list(): readonly Placed[] {
    return LIST.map(({ data }, index) =>
      this.#own('ListEntry', {
        list: 'kernel',
        container: '',
        index,
        pcr: 10,
        template: 'ima-ng',
        templateDigest: createHash('sha1').update(data).digest(),
        data,
      }),
    );
  }

  #attest(key: KeyObject, area: TpmPublic, extraData: Buffer, body: Pick<Attest, 'certify' | 'quote'>) {
    const attest = marshalAttest({
      magic: TPM_GENERATED_VALUE,
      type: body.quote === null ? TPM_ST_ATTEST_CERTIFY : TPM_ST_ATTEST_QUOTE,
      qualifiedSigner: qualifiedName(this.#parent, objectName(area)),
      extraData,
      clock: this.#clock++,
      resetCount: 1,
      restartCount: 0,
      safe: true,
      firmwareVersion: 1n,
      ...body,
    });
    return { attest, signature: signed(key, attest) };
  }

  /** Evidence for a tick; the first carries the session's certification. */
  evidence(tick: Tick): Placed {
    const leaves = [challengeLeaf(tick)];
    const first = this.#certify === null;
    if (this.#certify === null) {
      const name = objectName(this.#aik2Public);
      const body = { certify: { name, qualifiedName: qualifiedName(this.#parent, name) }, quote: null };
      const made = this.#attest(this.#aik1, this.#aik1Public, certifyQualifyingData(this.host, leaves), body);
      this.#certify = { ...made, leaves };
    }
    const heads = [{ topic: 'measurements', stream: this.#stream, seq: this.#seq - 1, head: this.#head }];
    const core = encodeCore({
      host: this.host,
      bootNonce: Buffer.alloc(32),
      leaves,
      certifyDigest: sha256(this.#certify.attest),
      headsDigest: headsDigest(heads),
      vpcrDigest: vpcrDigest([]),
      nI0: ENTRIES,
      nB0: 0,
      prevEvidence: this.#previous,
      assignment: '',
    });
    this.#previous = coreDigest(core);
    const selection = selectionFromText(SELECTION);
    const hints = selection[0]!.pcrs.map((pcr) => ({
      hash: 'sha256',
      pcr,
      value: pcr === 10 ? REGISTER_10 : Buffer.alloc(32),
    }));
    const quote = this.#attest(this.#aik2, this.#aik2Public, quoteQualifyingData(this.host, core), {
      certify: null,
      quote: { selection, pcrDigest: pcrDigest(selection, hints, 'sha256')! },
    });
    return this.#own('Evidence', {
      core,
      heads,
      vpcrTable: [],
      aik2Public: this.#aik2Public.bytes,
      certify: first ? this.#certify : null,
      quote,
      pcrHints: hints,
      nI1: ENTRIES,
      nB1: 0,
    });
  }
}
