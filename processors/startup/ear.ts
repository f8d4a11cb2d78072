import { CHECK_VALUES, type CheckCode } from './checks/check.js';

/** A verdict on a host as it is published. */
export interface PublishedHostVerdict {
  readonly id: string;
  readonly state: string;
  readonly policy: string;
  /** µs */
  readonly at: number;
  readonly subject: { readonly host: string };
  readonly bindings: {
    readonly reasons?: readonly { readonly code: string; readonly level: string }[];
    readonly notChecked?: readonly string[];
  };
}

/** Claims of AR4SI's trustworthiness vector (draft-ietf-rats-ar4si). */
const CLAIMS = [
  'instance-identity',
  'configuration',
  'executables',
  'file-system',
  'hardware',
  'runtime-opaque',
  'storage-opaque',
  'sourced-data',
] as const;
type Claim = (typeof CLAIMS)[number];

const AFFIRMING = 2;
const CONTRAINDICATED = 96;

/** What each kind of check speaks of. */
const CLAIM_OF: readonly (readonly [codes: RegExp, claim: Claim])[] = [
  [/^(?:host|identity|ek|aik1|aik2|certify|core)\./, 'instance-identity'],
  [/^ima\.coverage/, 'configuration'],
  [/^ima\.violation/, 'file-system'],
  [/^(?:ima|agent)\./, 'executables'],
  [/^(?:firmware|tpm|clock)\./, 'hardware'],
  [/^(?:quote|pcr|boot|binding|stream|epoch|evidence)\./, 'sourced-data'],
];

/** Claims that hold where nothing speaks against them, and what would have had to be checked for it. */
const HELD: readonly (readonly [claim: Claim, checks: readonly string[]])[] = [
  ['instance-identity', []],
  ['executables', ['ima.prefix']],
  ['file-system', ['ima.prefix']],
  ['hardware', ['firmware.prefix']],
  ['configuration', ['ima.prefix']],
  ['sourced-data', []],
];

const vectorOf = ({ state, bindings }: PublishedHostVerdict): Record<Claim, number> => {
  const vector = Object.fromEntries(CLAIMS.map((claim) => [claim, 0])) as Record<Claim, number>;
  if (state === 'none') return vector;
  const unchecked = new Set(bindings.notChecked ?? []);
  for (const [claim, checks] of HELD) if (!checks.some((check) => unchecked.has(check))) vector[claim] = AFFIRMING;
  for (const { code, level } of bindings.reasons ?? []) {
    const claim = CLAIM_OF.find(([codes]) => codes.test(code))?.[1];
    if (claim === undefined) continue;
    const own = Object.hasOwn(CHECK_VALUES, code) ? CHECK_VALUES[code as CheckCode] : CONTRAINDICATED;
    vector[claim] = Math.max(vector[claim], level === 'contraindicated' ? Math.max(CONTRAINDICATED, own) : own);
  }
  return vector;
};

/** Claims of an EAT attestation result (draft-fv-rats-ear) for one host, as its newest verdict says; not yet signed. */
export const attestationResult = (
  verdict: PublishedHostVerdict,
  verifier: { readonly developer: string; readonly build: string },
): Readonly<Record<string, unknown>> => ({
  eat_profile: 'tag:github.com,2023:veraison/ear',
  iat: Math.floor(verdict.at / 1_000_000),
  'ear.verifier-id': verifier,
  submods: {
    host: {
      'ear.status': verdict.state,
      'ear.trustworthiness-vector': vectorOf(verdict),
      ...(verdict.policy === '' ? {} : { 'ear.appraisal-policy-id': verdict.policy }),
      'attestream.host': verdict.subject.host,
      'attestream.verdict': verdict.id,
    },
  },
});
