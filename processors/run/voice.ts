import { createHash, type Hash, type KeyObject } from 'node:crypto';
import type { Batch, Output } from '../../infra/log/event-log.js';
import { encodeRecord, type SchemaTable } from '../../schemas/codec.js';
import { signRecord } from '../../schemas/signed.js';
import type { ToSay } from '../engine/fold.js';

/** SHA-256 over the values of a partition in order, since the last receipt. */
class Consumed {
  #hash: Hash = createHash('sha256');
  first = -1;
  last = -1;

  take({ length, offsets, bytes, values }: Batch): void {
    const head = Buffer.allocUnsafe(4);
    for (let i = 0; i < length; i++) {
      const start = values[2 * i]!;
      const end = values[2 * i + 1]!;
      head.writeUInt32BE(start < 0 ? 0xffffffff : end - start);
      this.#hash.update(head);
      if (start >= 0) this.#hash.update(bytes.subarray(start, end));
      if (this.first < 0) this.first = offsets[i]!;
      this.last = offsets[i]!;
    }
  }

  digest(): Buffer {
    return this.#hash.digest();
  }
}

/**
 * Signs in a processor's name: what its fold wants said, and a receipt for what each commit consumed in which order. The only
 * part of a processor that holds a key or reads a clock.
 */
export class Voice {
  readonly #key: KeyObject;
  readonly #schemas: SchemaTable;
  #consumed = new Consumed();

  /** @param key Ed25519 private key */
  constructor(key: KeyObject, schemas: SchemaTable) {
    this.#key = key;
    this.#schemas = schemas;
  }

  consume(batch: Batch): void {
    this.#consumed.take(batch);
  }

  /** Records of a commit, signed: wishes of the fold, keyed by host, and the receipt. */
  speak(toSay: readonly ToSay[], topic: string, partition: number, newestTick: number): Output[] {
    const outputs: Output[] = toSay.map(({ name, topic: to, record }) => {
      const value =
        name === 'Request'
          ? encodeRecord(name, signRecord(name, record, this.#key))
          : encodeRecord(name, signRecord(name, record, this.#key));
      return { topic: to, entry: { key: Buffer.from(record.host), schema: this.#schemas.current(name), value } };
    });
    const { first, last } = this.#consumed;
    if (first < 0) return outputs;
    const now = Date.now() * 1000;
    const receipt = signRecord(
      'Receipt',
      {
        // Rises with the partition, so that a later receipt of the same range is a second one.
        number: last,
        issued: now,
        topic,
        partition,
        first,
        last,
        digest: this.#consumed.digest(),
        tick: newestTick,
        receivedAt: now,
      },
      this.#key,
    );
    this.#consumed = new Consumed();
    const schema = this.#schemas.current('Receipt');
    return [...outputs, { topic: 'journal', entry: { key: null, schema, value: encodeRecord('Receipt', receipt) } }];
  }
}
