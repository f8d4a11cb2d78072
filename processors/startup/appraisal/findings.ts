import type { CheckCode } from '../checks/check.js';

export type Level = 'warning' | 'contraindicated';

export interface Finding {
  readonly code: CheckCode;
  readonly level: Level;
  /** What and where, as `/usr/bin/x is sha256:…`. */
  readonly message: string;
}

/** All findings of one code: how many, and the first few in words. */
export interface Tally {
  level: Level;
  count: number;
  readonly examples: string[];
}

/** The first few say what is wrong; the rest would only fill snapshots with text that the host chose. */
const EXAMPLES = 8;
const MAX_MESSAGE = 512;

/** Findings by code, in bounded memory. */
export type Findings = Map<CheckCode, Tally>;

export const addFinding = (findings: Findings, { code, level, message }: Finding): void => {
  let tally = findings.get(code);
  if (tally === undefined) {
    tally = { level, count: 0, examples: [] };
    findings.set(code, tally);
  }
  tally.count++;
  if (level === 'contraindicated') tally.level = level;
  if (tally.examples.length < EXAMPLES) tally.examples.push(message.slice(0, MAX_MESSAGE));
};
