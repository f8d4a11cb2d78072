import { expect, test } from '@jest/globals';
import type { Call } from '../../../processors/runtime/call.js';
import { callsFromJson, callsToJson } from '../../../processors/runtime/call-columns.js';
import { History } from '../../../processors/runtime/history.js';
import type { Track } from '../../../processors/runtime/track.js';
import { Opaque, Real, UNKNOWN } from '../../../schemas/policy/value.js';

const call = (i: number, more: Partial<Call> = {}): Call => ({
  events: [i % 3],
  function: `f${i % 3}`,
  thread: i % 2,
  callers: [],
  args: [i, undefined],
  notBefore: 1_700_000_000_000_000 + i,
  at: 1_700_000_000_000_000 + i * 3,
  source: { stream: i % 5 === 0 ? 'aa' : 'bb', seq: i, offset: 2 * i },
  ...more,
});

test('calls come out of their columns as they went in', () => {
  const calls = [
    call(1),
    call(2, { args: [UNKNOWN, undefined] }),
    call(3, { args: [undefined, new Real(-0)] }),
    call(3, { args: [null, 'text'] }),
    call(0, { args: [2n ** 70n, new Opaque('ab')], callers: ['main', 'loop'] }),
    call(0, { args: [true, false], events: [0, 2], notBefore: 0, at: 0 }),
    call(0, { args: [], function: '$start', source: { stream: '', seq: -1, offset: -1 } }),
    ...Array.from({ length: 50 }, (_, i) => call(i)),
  ];
  const text = JSON.stringify(callsToJson(calls));
  const back = callsFromJson(JSON.parse(text));
  expect(back).toEqual(calls);
  expect(Object.is((back[2]!.args[1] as Real).value, -0)).toBe(true);
  expect(callsFromJson(JSON.parse(JSON.stringify(callsToJson([]))))).toEqual([]);
});

test('a history that uses dropped entries again keeps the calls that it was given, in their order', () => {
  const track = { clone: () => track } as unknown as Track;
  const history = new History(4, track);
  const given: Call[] = [];
  const reused = { ...call(0), args: [] as unknown[], source: { stream: '', seq: 0, offset: 0 } };
  for (let i = 0; i < 40; i++) {
    const next = call(i, { args: i % 2 === 0 ? [i, undefined] : ['x'] });
    given.push(next);
    Object.assign(reused, { ...next, args: reused.args, source: Object.assign(reused.source, next.source) });
    reused.args.splice(0, reused.args.length, ...next.args);
    history.note(reused as Call, track);
    expect(history.entries).toEqual(given.slice(given.length - history.entries.length));
    expect(history.entries.length).toBeGreaterThanOrEqual(Math.min(given.length, 4));
    expect(history.entries.length).toBeLessThanOrEqual(8);
  }
});
