import { printable } from './printable.js';

/** A value as a cell of a table. */
export const cellText = (value: unknown): string => {
  if (value === null || value === undefined) return '';
  return printable(typeof value === 'object' ? JSON.stringify(value) : String(value));
};
