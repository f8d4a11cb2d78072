import type { Verdict } from '../schemas/records.js';
import { verdictJson } from '../schemas/verdict-json.js';
import type { OutputFormat } from './output.js';

/** Columns of a verdict in a table; JSON forms show it whole. */
export const VERDICT_COLUMNS = ['id', 'at', 'state', 'host', 'process', 'message'] as const;

/** Digits of a digest that a table shows: enough for `explain` to find the one that is meant. */
const SHORT = 8;

/** To the millisecond: a table is for people. JSON has the microseconds. */
const shortTime = (at: number): string => new Date(Math.floor(at / 1000)).toISOString().replace('T', ' ');

/** A stream is named by a hash, of which the beginning tells it from others. */
const whoOf = (kind: string, process: string, slice: string): string =>
  kind === 'stream' ? `stream ${slice.slice(0, SHORT)}` : slice === '' ? process : `${process} [${slice}]`;

/** A verdict's JSON (`verdictJson`) as a table's row: the start of its id for `explain`, when, what, of whom (slices in brackets), and why. */
export const verdictRow = (json: Record<string, unknown>): Record<string, unknown> => {
  const { host, process, slice } = json['subject'] as Record<string, string>;
  return {
    id: (json['id'] as string).slice(0, SHORT),
    at: shortTime(json['at'] as number),
    state: json['state'],
    host: host!.slice(0, SHORT),
    process: whoOf(json['kind'] as string, process!, slice!),
    message: json['message'],
  };
};

export const verdictAs = (verdict: Verdict, format: OutputFormat): Record<string, unknown> => {
  const json = verdictJson(verdict);
  return format === 'table' ? verdictRow(json) : json;
};
