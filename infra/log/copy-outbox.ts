import type { Entry, EventLog } from './event-log.js';

const FLUSH_BYTES = 1 << 20;

interface Box {
  entries: Entry[];
  bytes: number;
}

/** Collects entries per destination partition, so that an append carries many. */
export class CopyOutbox {
  readonly #boxes = new Map<number, Box>();

  constructor(
    private readonly to: EventLog,
    private readonly topic: string,
    /** Records in one append. */
    private readonly most: number,
    private readonly sent: (records: number) => Promise<void>,
  ) {}

  /** True if the partition's box is full and must be sent now. */
  put(partition: number, entry: Entry): boolean {
    let box = this.#boxes.get(partition);
    if (box === undefined) {
      box = { entries: [], bytes: 0 };
      this.#boxes.set(partition, box);
    }
    box.entries.push(entry);
    box.bytes += (entry.key?.length ?? 0) + (entry.value?.length ?? 0);
    return box.entries.length >= this.most || box.bytes >= FLUSH_BYTES;
  }

  async send(partition: number): Promise<void> {
    const box = this.#boxes.get(partition);
    if (box === undefined) return;
    this.#boxes.delete(partition);
    await this.to.append({ topic: this.topic, partition }, box.entries);
    await this.sent(box.entries.length);
  }

  async flush(): Promise<void> {
    for (const partition of [...this.#boxes.keys()]) await this.send(partition);
  }
}
