import type { ImaBank } from './template-hash.js';

/**
 * How the kernel fills a bank: with the bank's own hash of the template data, or with their SHA-1 padded with zeros (before
 * 5.8, and where it lacks the hash), which reduces the bank to SHA-1. One mode a bank and boot.
 */
export type BankMode = 'per-bank' | 'padded-sha1';

export const BANK_MODES: readonly BankMode[] = ['per-bank', 'padded-sha1'];

/** The mode of each bank, where it is known. */
export type BankModes = Readonly<Partial<Record<ImaBank, BankMode>>>;

/**
 * What is extended, seen closer: kernels that pad everything (before 5.8) also pad a violation's 0xff × 20, those that only
 * lack the hash extend 0xff over the whole digest. Which it was shows only in the PCR.
 */
export type Fill = 'per-bank' | 'padded-sha1' | 'padded-sha1-violations-padded';

export const FILLS_OF: Readonly<Record<BankMode, readonly Fill[]>> = {
  'per-bank': ['per-bank'],
  // In this order: the second one's state before a violation is what the first goes on from.
  'padded-sha1': ['padded-sha1-violations-padded', 'padded-sha1'],
};

export const modeOf = (fill: Fill): BankMode => (fill === 'per-bank' ? 'per-bank' : 'padded-sha1');
