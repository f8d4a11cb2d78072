import { createHash } from 'node:crypto';
import canonicalize from 'canonicalize';
import type { Verdict } from '../../schemas/records.js';
import { canonicalVerdict } from '../../schemas/verdict-json.js';

const MODULUS = 1n << 256n;

/** head₀: 32 zero bytes. */
export const FIRST_HEAD: Buffer = Buffer.alloc(32);

/** head = SHA-256(head ‖ RFC 8785 of the output without coordinates). */
export const nextHead = (head: Buffer, verdict: Verdict): Buffer =>
  createHash('sha256')
    .update(head)
    .update(canonicalize(canonicalVerdict(verdict))!)
    .digest();

/** What a verdict concludes, whatever led to it: no id, trigger, rests or probability. */
const conclusion = (verdict: Verdict): bigint => {
  const { kind, state, host, container, process, slice, policy, at, bindings } = verdict;
  const text = canonicalize({ kind, state, subject: { host, container, process, slice }, policy, at, bindings })!;
  return BigInt(`0x${createHash('sha256').update(text).digest('hex')}`);
};

const toBytes = (n: bigint): Buffer => Buffer.from(n.toString(16).padStart(64, '0'), 'hex');
const fromBytes = (bytes: Buffer): bigint => (bytes.length === 0 ? 0n : BigInt(`0x${bytes.toString('hex')}`));

/** `withdrawn` says that an earlier verdict no longer holds: it takes a conclusion away and is none itself. */
const concludes = (verdict: Verdict): boolean => verdict.state !== 'withdrawn';

/**
 * The multiset of a host's conclusions as the sum of their SHA-256 modulo 2^256: independent of order, and a superseded
 * verdict can be taken out again without keeping all the others.
 */
export const nextConclusions = (sum: Buffer, verdict: Verdict, supersedes: Verdict | undefined): Buffer => {
  let n = fromBytes(sum);
  if (concludes(verdict)) n += conclusion(verdict);
  if (supersedes !== undefined && concludes(supersedes)) n += MODULUS - conclusion(supersedes);
  return toBytes(n % MODULUS);
};

export interface HostDigest {
  readonly host: string;
  readonly head: Buffer;
  readonly conclusions: Buffer;
}

/** SHA-256 over (host, value) sorted by host, each as u32be length ‖ bytes: independent of partitions, workers and restarts. */
export const runDigest = (hosts: readonly HostDigest[], of: 'head' | 'conclusions'): string => {
  const hash = createHash('sha256');
  const length = Buffer.alloc(4);
  for (const entry of [...hosts].sort((a, b) => (a.host < b.host ? -1 : a.host > b.host ? 1 : 0))) {
    for (const bytes of [Buffer.from(entry.host, 'utf8'), entry[of]]) {
      length.writeUInt32BE(bytes.length);
      hash.update(length).update(bytes);
    }
  }
  return `sha256:${hash.digest('hex')}`;
};
