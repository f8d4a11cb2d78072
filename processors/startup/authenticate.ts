import { createHash } from 'node:crypto';
import { coreDigest, decodeCore, headsDigest, vpcrDigest } from '../../schemas/evidence/core.js';
import { certifyQualifyingData, quoteQualifyingData } from '../../schemas/evidence/qualifying-data.js';
import type { HostPolicy } from '../../schemas/policy/host/host-policy.js';
import type { Evidence, EvidenceCore } from '../../schemas/records.js';
import type { Attest } from '../../schemas/tpm/attest.js';
import { endorsementQualifiedName, objectName } from '../../schemas/tpm/name.js';
import type { TpmPublic } from '../../schemas/tpm/public.js';
import { parseSignature } from '../../schemas/tpm/signature.js';
import { Attested } from './checks/attested.js';
import { bootCheck, type Counters, counterChecks, countersOf } from './checks/boot.js';
import { certifyChecks } from './checks/certify.js';
import { type Check, type Failure, runChecks } from './checks/check.js';
import { type Answered, answeredEpoch, type Epoch, epochChecks } from './checks/epoch.js';
import { quoteChecks } from './checks/quote.js';
import type { Enrolment, HostState, Session } from './host-state.js';
import { knownKey } from './known-key.js';

/** What evidence amounts to once its signatures and its freshness are beyond doubt. */
export interface Authenticated {
  readonly core: EvidenceCore;
  /** SHA-256 of the core in hex. */
  readonly digest: string;
  readonly answered: Answered;
  readonly session: Session;
  readonly quote: Attest;
  /** Hash of the quote's signature: what the registers are hashed with. */
  readonly hash: string;
}

export interface AuthenticationInput {
  readonly state: HostState;
  readonly evidence: Evidence;
  /** Ticks that stand before the evidence in its partition, by verifier. */
  readonly epochs: ReadonlyMap<string, readonly Epoch[]>;
  readonly policy: HostPolicy | null;
  /** Evidence that waited was fresh when it came. */
  readonly answered?: Answered;
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

/** Most register values that evidence may carry: all registers of eight banks. */
const MAX_HINTS = 8 * 24;

/**
 * Steps 18 to 22 of startup.md §4, in order, up to the first failure: host, freshness, AIK1's word for AIK2, AIK2's word on the
 * registers and on the core, the platform's counters.
 */
export const authenticate = (input: AuthenticationInput): Authenticated | Failure => {
  const { state, evidence } = input;
  const { enrolment } = state;
  if (state.revoked !== null) return { code: 'host.revoked', message: `the host was revoked: ${state.revoked.reason}` };
  if (enrolment === null) return { code: 'host.unknown', message: 'no verifier enrolled this host' };
  const digest = coreDigest(evidence.core);
  if (input.answered === undefined && state.cores.includes(hex(digest)))
    return { code: 'evidence.replayed', message: 'it was accepted already' };
  const fresh = freshness(input);
  if ('code' in fresh) return fresh;
  const { core, answered } = fresh;
  const keys = keysOf(state, enrolment, evidence);
  if ('code' in keys) return keys;
  const session = sessionOf(input, fresh, keys);
  if ('code' in session) return session;
  const quote = new Attested(evidence.quote.attest, evidence.quote.signature);
  const counters = (): Counters => countersOf(quote.attest);
  const { failure } = runChecks([
    ...quoteChecks({
      quote,
      aik2: keys.aik2,
      qualifyingData: quoteQualifyingData(state.host, evidence.core),
      parent: keys.parent,
      asked: askedSelection(answered, input.policy),
    }),
    bootCheck(counters, { ...session, clock: 0n }),
    ...counterChecks(counters, state.attestation),
    historyCheck(state, core),
    [
      'core.heads',
      () => (headsDigest(evidence.heads).equals(core.headsDigest) ? null : 'its heads are not those signed'),
    ],
    [
      'core.vpcr',
      () => (vpcrDigest(evidence.vpcrTable).equals(core.vpcrDigest) ? null : 'its table is not the one signed'),
    ],
  ]);
  if (failure !== null) return failure;
  const { hash } = parseSignature(evidence.quote.signature);
  return { core, digest: hex(digest), answered, session, quote: quote.attest, hash };
};

interface Fresh {
  readonly core: EvidenceCore;
  readonly answered: Answered;
}

const freshness = ({ state, evidence, epochs, answered: known }: AuthenticationInput): Fresh | Failure => {
  let core: EvidenceCore | null = null;
  const { failure } = runChecks([
    [
      'core.malformed',
      () => {
        core = decodeCore(evidence.core);
        return evidence.pcrHints.length > MAX_HINTS ? `${evidence.pcrHints.length} register values` : null;
      },
    ],
    ['core.host', () => (core?.host === state.host ? null : 'it is the evidence of another host')],
  ]);
  if (failure !== null || core === null)
    return failure ?? { code: 'core.malformed', message: 'the core cannot be read' };
  const { leaves } = core as EvidenceCore;
  const answered = known ?? answeredEpoch(new Set(leaves.map(hex)), epochs);
  const { failure: late } = runChecks(known === undefined ? epochChecks(answered) : []);
  if (late !== null || answered === null)
    return late ?? { code: 'epoch.leaf', message: 'it answers no tick of a verifier that is known here' };
  return { core, answered };
};

interface Keys {
  readonly aik1: TpmPublic;
  readonly aik2: TpmPublic;
  readonly aik2Area: string;
  /** Qualified name of the endorsement key. */
  readonly parent: Buffer;
}

const keysOf = (state: HostState, enrolment: Enrolment, evidence: Evidence): Keys | Failure => {
  const aik2Area = hex(evidence.aik2Public);
  let aik2: TpmPublic | null = null;
  const { failure } = runChecks([
    [
      'aik2.malformed',
      () => {
        aik2 = knownKey(state, aik2Area);
        objectName(aik2);
        return null;
      },
    ],
  ]);
  if (failure !== null || aik2 === null) return failure ?? { code: 'aik2.malformed', message: 'AIK2 cannot be read' };
  return {
    aik1: knownKey(state, enrolment.aik1Public),
    aik2,
    aik2Area,
    parent: endorsementQualifiedName(Buffer.from(enrolment.nameEk, 'hex')),
  };
};

/** The session that evidence belongs to: the known one, or a new one by the certification that it carries. */
const sessionOf = (
  { state, evidence, epochs, policy }: AuthenticationInput,
  { core, answered }: Fresh,
  { aik1, aik2, aik2Area, parent }: Keys,
): Session | Failure => {
  const { certify } = evidence;
  const known = state.session;
  const coreCheck = (digest: string): Check => [
    'certify.core',
    () => (hex(core.certifyDigest) === digest ? null : 'the quote was made with another certification of AIK2'),
  ];
  if (certify === null) {
    if (known === null || known.aik2Public !== aik2Area)
      return { code: 'certify.missing', message: 'AIK1 has not vouched for this AIK2' };
    const { failure } = runChecks([coreCheck(known.certifyDigest)]);
    if (failure !== null) return failure;
    if (policy?.certify === 'epoch' && known.certified !== answered.epoch.number)
      return { code: 'certify.missing', message: "the policy asks for AIK1's word in each epoch" };
    return known;
  }
  const attested = new Attested(certify.attest, certify.signature);
  const leaves = new Set(certify.leaves.map(hex));
  const digest = createHash('sha256').update(certify.attest).digest('hex');
  let certified = -1;
  const { failure } = runChecks([
    ...certifyChecks({
      certify: attested,
      aik1,
      aik2,
      qualifyingData: certifyQualifyingData(state.host, certify.leaves),
      parent,
    }),
    [
      'certify.leaf',
      () => {
        const own =
          policy?.certify === 'epoch'
            ? leaves.has(answered.epoch.leaf)
              ? answered.epoch
              : null
            : (answeredEpoch(leaves, epochs)?.epoch ?? null);
        certified = own?.number ?? -1;
        return own === null ? 'AIK1 vouched for AIK2 at no tick of a verifier that is known here' : null;
      },
    ],
    coreCheck(digest),
  ]);
  if (failure !== null) return failure;
  const { resetCount, restartCount } = attested.attest;
  const aik2Name = hex(objectName(aik2));
  const former = known === null ? state.formerKeys : [...state.formerKeys, { ...known, name: known.aik2Name }];
  const reused = former.some((key) => key.name === aik2Name && key.resetCount !== resetCount);
  return { aik2Public: aik2Area, aik2Name, certifyDigest: digest, resetCount, restartCount, reused, certified };
};

const askedSelection = ({ epoch }: Answered, policy: HostPolicy | null): Epoch['selection'] => {
  const asked = [...(epoch.selection ?? []), ...(policy?.selection ?? [])];
  return asked.length === 0 ? null : asked;
};

/** One TPM makes one history: a second core after the same one means that two speak as one. */
const historyCheck = (state: HostState, core: EvidenceCore): Check => [
  'identity.cloned',
  () => {
    const before = state.cores.lastIndexOf(hex(core.prevEvidence));
    return before >= 0 && before < state.cores.length - 1 ? 'two histories follow one piece of evidence' : null;
  },
];
