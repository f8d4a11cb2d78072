import type { Verdict } from '../schemas/records.js';
import { verdictJson } from '../schemas/verdict-json.js';
import type { OutputFormat } from './output.js';

/** Columns of a verdict in a table; JSON forms show it whole. */
export const VERDICT_COLUMNS = ['at', 'state', 'host', 'process', 'slice', 'message', 'id'] as const;

const isoMicros = (at: number): string =>
  `${new Date(Math.floor(at / 1000)).toISOString().slice(0, -1)}${String(at % 1000).padStart(3, '0')}Z`;

/** A verdict's JSON (`verdictJson`) as a table's row: what, of whom, why, and the start of its id for `explain`. */
export const verdictRow = (json: Record<string, unknown>): Record<string, unknown> => {
  const { host, process, slice } = json['subject'] as Record<string, string>;
  return {
    at: isoMicros(json['at'] as number),
    state: json['state'],
    host: host!.slice(0, 12),
    process,
    slice,
    message: json['message'],
    id: (json['id'] as string).slice(0, 12),
  };
};

export const verdictAs = (verdict: Verdict, format: OutputFormat): Record<string, unknown> => {
  const json = verdictJson(verdict);
  return format === 'table' ? verdictRow(json) : json;
};
