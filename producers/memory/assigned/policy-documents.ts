import type { EventLog, Partition } from '../../../infra/log/event-log.js';
import { isAttestreamError } from '../../../schemas/errors.js';
import { isRecord, MAX_POLICY_BYTES, parseDocumentText } from '../../../schemas/policy/document.js';
import { policyDigest, policyFromDocument } from '../../../schemas/policy/parse.js';
import type { Policy } from '../../../schemas/policy/policy.js';
import type { PolicyRecord } from '../../../schemas/records.js';
import { partitionOf } from '../../../schemas/topics.js';

const TOPIC = 'policies';

/** What is known of a policy that an assignment names; `none`: it says nothing of processes. */
type Known =
  | { readonly is: 'waiting'; next: number }
  | { readonly is: 'policy'; readonly policy: Policy }
  | { readonly is: 'none' };

const bears = (document: unknown, digest: string): boolean => {
  try {
    return policyDigest(document) === digest;
  } catch {
    return false; // YAML has values that JSON has no words for
  }
};

/** Documents of the policies that are in force, read from the log by their digests. Of others only the keys are looked at. */
export class PolicyDocuments {
  readonly #known = new Map<string, Known>();
  readonly #refuse: (code: string, message: string) => void;
  #arrived = 0;

  constructor(refuse: (code: string, message: string) => void) {
    this.#refuse = refuse;
  }

  /** These are in force now: no others are kept. */
  want(digests: readonly string[]): void {
    const wanted = new Set(digests);
    for (const digest of this.#known.keys()) if (!wanted.has(digest)) this.#known.delete(digest);
    for (const digest of wanted) if (!this.#known.has(digest)) this.#known.set(digest, { is: 'waiting', next: 0 });
  }

  get(digest: string): Policy | undefined {
    const known = this.#known.get(digest);
    return known?.is === 'policy' ? known.policy : undefined;
  }

  isWaiting(digest: string): boolean {
    return this.#known.get(digest)?.is === 'waiting';
  }

  get waiting(): readonly string[] {
    return [...this.#known.keys()].filter((digest) => this.isWaiting(digest));
  }

  /** How many documents have arrived so far. */
  get arrived(): number {
    return this.#arrived;
  }

  /** Reads what the log holds by now of those that are waited for. Throws the log's errors. */
  async look(log: EventLog): Promise<void> {
    const bounds = await log.bounds(TOPIC);
    if (bounds.length === 0) return;
    const homes = new Map<number, string[]>();
    for (const digest of this.waiting) {
      const partition = partitionOf(digest, bounds.length);
      homes.set(partition, [...(homes.get(partition) ?? []), digest]);
    }
    for (const [partition, digests] of homes) {
      const { first, end } = bounds[partition]!;
      const waiting = digests.map((digest) => this.#known.get(digest)).filter((known) => known?.is === 'waiting');
      const from = Math.max(first, Math.min(...waiting.map(({ next }) => next)));
      if (from < end) await this.#read(log, { topic: TOPIC, partition }, from, end);
      for (const known of waiting) known.next = end;
    }
  }

  async #read(log: EventLog, at: Partition, from: number, end: number): Promise<void> {
    for await (const batch of log.read(at, from, end))
      for (let i = 0; i < batch.length; i++) {
        const [keyStart, keyEnd] = [batch.keys[2 * i]!, batch.keys[2 * i + 1]!];
        const [index, start, stop] = [batch.schemas[i]!, batch.values[2 * i]!, batch.values[2 * i + 1]!];
        if (keyStart < 0 || index < 0 || start < 0 || log.schemas.at(index).record !== 'Policy') continue;
        const digest = batch.bytes.toString('utf8', keyStart, keyEnd);
        if (!this.isWaiting(digest)) continue;
        try {
          const body = Buffer.from(batch.bytes.subarray(start, stop));
          this.#take(digest, (log.schemas.at(index).decode(body) as PolicyRecord).document);
        } catch (error) {
          this.#refuse(
            'RECORD_INVALID',
            `the document of policy ${digest} does not decode: ${(error as Error).message}`,
          );
        }
      }
  }

  /** Whoever may write the topic may write nonsense: only what bears its digest counts. */
  #take(digest: string, text: string): void {
    if (Buffer.byteLength(text) > MAX_POLICY_BYTES) return; // such large ones are of hosts
    try {
      const { document } = parseDocumentText(text, digest);
      if (!bears(document, digest)) {
        this.#refuse('POLICY_INVALID', `a document that is filed as policy ${digest} is another one`);
        return;
      }
      this.#arrived++;
      this.#known.set(digest, { is: 'none' });
      if (isRecord(document) && document['kind'] === 'host') return;
      this.#known.set(digest, { is: 'policy', policy: policyFromDocument(document, digest) });
    } catch (error) {
      if (!isAttestreamError(error)) throw error;
      this.#refuse(error.code, `the document of policy ${digest}: ${error.message.slice(0, 300)}`);
    }
  }
}
