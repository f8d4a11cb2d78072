import type { ImaRecord } from '../../schemas/ima/entry.js';
import type { EventStream } from '../stream/event-stream.js';
import { FIRMWARE_LOG, firmwareLogParts, kernelCommandLine } from './firmware-log.js';
import { ImaList, KERNEL_LIST } from './ima-list.js';
import type { Published } from './published.js';

export interface MeasurementsOptions {
  readonly events: EventStream;
  /** Event time, µs. */
  readonly now: () => number;
  /** Binary measurement list; null: this host has none. */
  readonly imaList?: string | null;
  readonly firmwareLog?: string | null;
  /** What an earlier agent of this boot told already. */
  readonly published: Published;
}

/** Newest records that are kept: more than a kernel adds within a quote. */
const NEWEST = 512;

/** Records between which the log is waited for. */
const AT_ONCE = 512;

/** Tells the log what firmware and kernel measured, each record once per boot and by its index. */
export class Measurements {
  readonly #options: MeasurementsOptions;
  readonly #list: ImaList | null;
  /** Records before it were told by an earlier agent. */
  #told: number;
  #firmware: boolean;
  readonly #newest: ImaRecord[] = [];

  private constructor(options: MeasurementsOptions, list: ImaList | null) {
    this.#options = options;
    this.#list = list;
    this.#told = options.published.list;
    this.#firmware = options.published.firmware;
  }

  /** Opens the list. A path that was named must be there; the kernel's own may be absent. Throws SYSTEM errors. */
  static open(options: MeasurementsOptions): Measurements {
    const { imaList } = options;
    if (imaList === null) return new Measurements(options, null);
    try {
      return new Measurements(options, new ImaList(imaList ?? KERNEL_LIST));
    } catch (error) {
      if (imaList !== undefined) throw error;
      return new Measurements(options, null);
    }
  }

  /** Whether there is a list to follow. */
  get hasList(): boolean {
    return this.#list !== null;
  }

  /** Records of the kernel's list that were told. */
  get count(): number {
    return this.#list?.index ?? 0;
  }

  get firmwareTold(): boolean {
    return this.#firmware;
  }

  /** Cheap. */
  get grown(): boolean {
    return this.#list?.grown ?? false;
  }

  /** The newest records that were told, oldest first: what may have been extended just before or during a quote. */
  get newest(): readonly ImaRecord[] {
    return this.#newest;
  }

  /** Tells everything that the list holds now; the number of its records. */
  async catchUp(): Promise<number> {
    if (this.#list === null) return 0;
    for (;;) {
      const { records, first, restarted } = this.#list.next(AT_ONCE);
      // Another kernel's list, without a boot between: it is told from its beginning.
      if (restarted) this.#told = 0;
      records.forEach((record, i) => {
        if (first + i >= this.#told) this.#put(first + i, record);
        this.#newest.push(record);
      });
      if (this.#newest.length > NEWEST) this.#newest.splice(0, this.#newest.length - NEWEST);
      if (records.length === 0) break;
      await this.#options.events.breathe();
    }
    return this.#list.index;
  }

  #put(index: number, record: ImaRecord): void {
    const { events, now } = this.#options;
    events.put('ListEntry', { at: now(), list: 'kernel', container: '', index, ...record });
  }

  /** Tells records again that were told before, from an index on. */
  async again(from: number): Promise<void> {
    if (this.#list === null) return;
    const end = this.#list.index;
    const list = new ImaList(this.#options.imaList ?? KERNEL_LIST);
    try {
      while (list.index < end) {
        const { records, first } = list.next(Math.min(AT_ONCE, end - list.index));
        if (records.length === 0) break;
        records.forEach((record, i) => {
          if (first + i >= from) this.#put(first + i, record);
        });
        await this.#options.events.breathe();
      }
    } finally {
      list.close();
    }
  }

  /** Tells the firmware's log, once unless `again`. */
  firmware(again = false): void {
    if (this.#firmware && !again) return;
    const { events, now, firmwareLog } = this.#options;
    if (firmwareLog === null) return;
    const parts = firmwareLogParts(firmwareLog ?? FIRMWARE_LOG);
    parts.forEach((data, index) => {
      const commandLine = index === parts.length - 1 ? kernelCommandLine() : '';
      events.put('FirmwareLog', { at: now(), index, of: parts.length, data, commandLine });
    });
    this.#firmware = true;
  }

  close(): void {
    this.#list?.close();
  }
}
