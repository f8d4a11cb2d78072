import { expect, test } from '@jest/globals';
import { Arrival } from '../../../producers/import/arrival.js';
import type { Observation } from '../../../producers/import/observation.js';

const row = (receivedAt: number | null, at = receivedAt ?? 0): Observation => ({
  at,
  end: null,
  receivedAt,
  host: 'h',
  process: 'p',
  function: 'f',
  parameters: [],
});

test('without receivedAt nothing waits', () => {
  const given: number[] = [];
  const arrival = new Arrival(({ at }) => given.push(at));
  for (const at of [3, 1, 2]) arrival.put(row(null, at), 1);
  expect(given).toEqual([3, 1, 2]);
});

test('a row that arrived before one that has left the window follows it, and is counted', () => {
  const given: number[] = [];
  const arrival = new Arrival(({ receivedAt }) => given.push(receivedAt!));
  const rows = 50_500;
  for (let i = 1; i <= rows; i++) arrival.put(row(i), 1);
  expect(given).toHaveLength(500);
  arrival.put(row(0), 1);
  arrival.put(row(501), 1);
  arrival.end();
  expect(arrival.displaced).toBe(1);
  expect(given.indexOf(0)).toBe(500);
  expect(given.filter((at) => at !== 0)).toEqual([...given].filter((at) => at !== 0).sort((a, b) => a - b));
  expect(given).toHaveLength(rows + 2);
});

test('the window is bounded in bytes too', () => {
  const given: number[] = [];
  const arrival = new Arrival(({ at }) => given.push(at));
  for (let i = 0; i < 100; i++) arrival.put(row(i), 1024 * 1024);
  expect(given).toHaveLength(36);
});
