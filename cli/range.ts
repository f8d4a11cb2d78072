import type { EventLog, Partition } from '../infra/log/event-log.js';
import { AttestreamError } from '../schemas/errors.js';
import { OUTPUT_FORMATS } from './output.js';

/** Where reading begins. */
export type RangeStart =
  | { readonly at: 'beginning' }
  | { readonly at: 'end' }
  /** The last `count` records of each partition. */
  | { readonly at: 'last'; readonly count: number }
  | { readonly at: 'offset'; readonly offset: number }
  | { readonly at: 'time'; readonly ms: number };

/** A part of a topic in kcat's notation. `until` in ms, not included; null: to the end that the log has now. */
export interface Range {
  readonly from: RangeStart;
  readonly until: number | null;
}

export const WHOLE: Range = { from: { at: 'beginning' }, until: null };

const refuse = (text: string): AttestreamError => {
  const format = (OUTPUT_FORMATS as readonly string[]).includes(text);
  return new AttestreamError(
    'USAGE',
    format
      ? `-o is a range of offsets; did you mean "--output ${text}"?`
      : `${JSON.stringify(text)} is no range; use beginning, end, an offset, -N (the last N), s@MS or e@MS`,
  );
};

const number = (digits: string, text: string): number => {
  const value = Number(digits);
  if (/^\d{1,16}$/.test(digits) && Number.isSafeInteger(value)) return value;
  throw refuse(text);
};

const startOf = (text: string): RangeStart => {
  if (text === 'beginning' || text === 'end') return { at: text };
  if (text === 'stored')
    throw new AttestreamError('USAGE', 'a range has no stored offset here; use beginning, an offset or s@MS');
  if (text.startsWith('s@')) return { at: 'time', ms: number(text.slice(2), text) };
  if (text.startsWith('-')) return { at: 'last', count: number(text.slice(1), text) };
  return { at: 'offset', offset: number(text, text) };
};

/** For commander: `-o` may be given twice, once with `s@` and once with `e@`, or with both joined by a comma. Throws USAGE. */
export const parseRange = (given: string, before: Range = WHOLE): Range => {
  let { from, until } = before;
  for (const text of given.split(',')) {
    if (text.startsWith('e@')) until = number(text.slice(2), text);
    else from = startOf(text);
  }
  return { from, until };
};

/** The offsets [from, until) that a range means in one partition now. */
export const resolveRange = async (
  log: EventLog,
  at: Partition,
  range: Range,
): Promise<{ readonly from: number; readonly until: number }> => {
  const bounds = (await log.bounds(at.topic))[at.partition];
  if (bounds === undefined)
    throw new AttestreamError('TOPIC_MISSING', `${log.name} has no partition ${at.partition} of ${at.topic}`);
  const { first, end } = bounds;
  const until = range.until === null ? end : Math.min(end, await log.offsetAt(at, range.until));
  const start = async (): Promise<number> => {
    switch (range.from.at) {
      case 'beginning':
        return first;
      case 'end':
        return end;
      case 'last':
        return end - range.from.count;
      case 'offset':
        return range.from.offset;
      case 'time':
        return log.offsetAt(at, range.from.ms);
    }
  };
  const from = Math.max(first, await start());
  return { from: Math.min(from, until), until };
};
