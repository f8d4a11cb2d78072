import type { Batch, EventLog } from '../../infra/log/event-log.js';
import { parsePolicy } from '../../schemas/policy/parse.js';
import type { Policy } from '../../schemas/policy/policy.js';
import type { PolicyRecord } from '../../schemas/records.js';

/** Policies of the topic `policies` by digest: read before a batch that assigns one, so that the fold never waits. */
export class PolicyStore {
  readonly #log: EventLog;
  readonly #policies = new Map<string, Policy>();
  readonly #next: number[] = [];

  constructor(log: EventLog) {
    this.#log = log;
  }

  byDigest(digest: string): Policy | undefined {
    return this.#policies.get(digest);
  }

  /** Reads what was added to the topic since the last time. A document that is no policy, or not the one it is filed as, is left out. */
  async refresh(): Promise<void> {
    const { schemas } = this.#log;
    for (const [partition, { first, end }] of (await this.#log.bounds('policies')).entries()) {
      const from = this.#next[partition] ?? first;
      for await (const batch of this.#log.read({ topic: 'policies', partition }, from, end))
        for (let i = 0; i < batch.length; i++) {
          const schema = batch.schemas[i]!;
          if (schema < 0 || batch.values[2 * i]! < 0 || schemas.at(schema).record !== 'Policy') continue;
          const { document, digest } = schemas
            .at(schema)
            .decode(batch.bytes.subarray(batch.values[2 * i]!, batch.values[2 * i + 1]!)) as PolicyRecord;
          try {
            const policy = parsePolicy(document, digest);
            if (policy.digest === digest) this.#policies.set(digest, policy);
          } catch {
            // Whoever may write the topic may write nonsense: it names no policy, so no assignment can put it into force.
          }
        }
      this.#next[partition] = end;
    }
  }

  /** Loads before a batch what its assignments may name. */
  async prepare(batch: Batch, schemas: EventLog['schemas']): Promise<void> {
    for (let i = 0; i < batch.length; i++)
      if (batch.schemas[i]! >= 0 && schemas.at(batch.schemas[i]!).record === 'Assignment') {
        await this.refresh();
        return;
      }
  }
}
