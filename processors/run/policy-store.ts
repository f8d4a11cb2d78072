import type { Batch, EventLog } from '../../infra/log/event-log.js';
import { recordsOf } from '../../infra/log/records.js';
import { isAttestreamError } from '../../schemas/errors.js';

/**
 * Policies of one kind in the topic `policies` by digest: read before a batch that assigns one, so that the fold never waits.
 */
export class PolicyStore<P extends { readonly digest: string }> {
  readonly #log: EventLog;
  readonly #parse: (text: string, file: string) => P;
  readonly #policies = new Map<string, P>();
  readonly #next = new Map<number, number>();

  /** @param parse throws POLICY_INVALID for a document of another kind */
  constructor(log: EventLog, parse: (text: string, file: string) => P) {
    this.#log = log;
    this.#parse = parse;
  }

  byDigest(digest: string): P | undefined {
    return this.#policies.get(digest);
  }

  /** Reads what was added to the topic since the last time. A document that is no policy, or not the one it is filed as, is left out. */
  async refresh(): Promise<void> {
    const from = (partition: number, first: number): number => Math.max(first, this.#next.get(partition) ?? first);
    const found = recordsOf(this.#log, 'policies', 'Policy', ({ partition }, first) => from(partition, first));
    for await (const { partition, offset, record } of found) {
      this.#next.set(partition, offset + 1);
      try {
        const policy = this.#parse(record.document, record.digest);
        if (policy.digest === record.digest) this.#policies.set(record.digest, policy);
      } catch (error) {
        // Whoever may write the topic may write nonsense: it names no policy, so no assignment can put it into force.
        if (!isAttestreamError(error)) throw error;
      }
    }
  }

  /** Loads before a batch what its assignments may name. */
  async prepare(batch: Batch): Promise<void> {
    const { schemas } = this.#log;
    for (let i = 0; i < batch.length; i++)
      if (batch.schemas[i]! >= 0 && schemas.at(batch.schemas[i]!).record === 'Assignment') {
        await this.refresh();
        return;
      }
  }
}
