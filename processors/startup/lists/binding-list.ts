import { createHash } from 'node:crypto';
import type { ImaRecord } from '../../../schemas/ima/entry.js';
import { type ImaBank, templateHash } from '../../../schemas/ima/template-hash.js';

const MAX_TAIL = 1 << 16;
const MAX_ENTRY = 4096;

/**
 * A host's binding list in one boot (`binding-log/v1`): one template hash per entry was extended into the binding register of
 * every bank. Kept as the kernel's list is.
 */
export interface BindingList {
  count: number;
  /** Values of the proven prefix by bank; empty until a quote proved its start. */
  readonly values: Map<string, Buffer>;
  readonly tail: Map<number, ImaRecord>;
}

export const emptyBindingList = (): BindingList => ({ count: 0, values: new Map(), tail: new Map() });

/** The record is copied. False if there is no room for it. */
export const addBindingEntry = (list: BindingList, index: number, record: ImaRecord): boolean => {
  if (index < list.count) return true;
  if (list.tail.size >= MAX_TAIL || record.data.length > MAX_ENTRY) return false;
  list.tail.set(index, {
    pcr: record.pcr,
    template: record.template,
    templateDigest: Buffer.from(record.templateDigest),
    data: Buffer.from(record.data),
  });
  return true;
};

export const missingBindingEntry = (list: BindingList, count: number): number | null => {
  for (let index = list.count; index < count; index++) if (!list.tail.has(index)) return index;
  return null;
};

export interface BindingPrefix {
  readonly count: number;
  readonly values: ReadonlyMap<string, Buffer>;
}

/**
 * The prefix up to `until` that explains the quoted values of the register in all their banks; null: none does.
 * @param start value per bank that the register had before the first entry: zeros, or what the firmware's log explains
 */
export const bindingPrefix = (
  list: BindingList,
  quoted: readonly { readonly bank: ImaBank; readonly value: Buffer }[],
  start: (bank: ImaBank) => Buffer,
  until: number,
): BindingPrefix | null => {
  const values = new Map<ImaBank, Buffer>(quoted.map(({ bank }) => [bank, list.values.get(bank) ?? start(bank)]));
  // A bank that was not quoted before cannot be followed from the middle.
  if (list.count > 0 && quoted.some(({ bank }) => !list.values.has(bank))) return null;
  for (let count = list.count; ; count++) {
    if (quoted.every(({ bank, value }) => values.get(bank)!.equals(value))) return { count, values };
    const record = count < until ? list.tail.get(count) : undefined;
    if (record === undefined) return null;
    for (const [bank, value] of values)
      values.set(
        bank,
        createHash(bank)
          .update(value)
          .update(templateHash(bank, false, record.data))
          .digest(),
      );
  }
};

export const moveBindingCursor = (list: BindingList, { count, values }: BindingPrefix): void => {
  for (let index = list.count; index < count; index++) list.tail.delete(index);
  list.count = count;
  for (const [bank, value] of values) list.values.set(bank, value);
};
