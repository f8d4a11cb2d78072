import { describe, expect, test } from '@jest/globals';
import type { Frame, Look, ProcessEvent } from '../../../schemas/records.js';
import { judge, type Said, streamOf } from '../../support/runtime.js';

const MS = 1000;
const T = 10_000_000;

const frame = (name: string, n: number | null, more: Partial<Frame> = {}): Frame => ({
  function: name,
  alternatives: [],
  foundBy: 'cfi',
  address: 100,
  returnAddress: 7,
  parameters: n === null ? [] : [{ name: 'n', type: 'int', kind: 'entry', int: n, real: null, text: null }],
  ...more,
});

let seq = 0;
const look = (at: number, run: number, frames: readonly Frame[]): Said<'Look'> => ({
  host: 'h',
  type: 'Look',
  record: {
    stream: streamOf('h'),
    seq: seq++,
    at: T + at * MS,
    notBefore: T + at * MS,
    process: 'p',
    threads: [
      {
        tid: 1,
        name: 't',
        at: T + at * MS,
        outcome: 'sampled',
        runTime: run * 1000,
        slices: run,
        complete: true,
        asBefore: false,
        syscall: null,
        frames: [...frames, { ...frame('main', null), address: 200 }],
      },
    ],
    micros: 0,
    bytesRead: 0,
  } satisfies Look,
});

const event = (kind: string, at: number, beginning = false): Said<'ProcessEvent'> => ({
  host: 'h',
  type: 'ProcessEvent',
  record: {
    stream: streamOf('h'),
    seq: seq++,
    at: T + at * MS,
    notBefore: T + at * MS,
    process: 'p',
    container: '',
    kind,
    beginning,
    binary: '',
    image: '',
    parent: '',
    exitCode: null,
  } satisfies ProcessEvent,
});

const policy = (more: Readonly<Record<string, unknown>> = {}): string =>
  JSON.stringify({
    id: 'pair',
    functions: {
      f: { parameters: { n: { type: 'int', release: 'clear' } } },
      g: { parameters: { n: { type: 'int', release: 'clear' } } },
    },
    machine: {
      initial: 'a',
      states: { a: { on: { f: 'b' } }, b: { on: { g: { target: 'a', guard: 'args.n < 2' } } } },
    },
    ...more,
  });

const SLOW = { assume: { minDuration: { f: '50ms', g: '50ms' } } };

const states = async (text: string, said: readonly Said[]): Promise<string[]> => {
  seq = 0;
  return (await judge(text, said)).verdicts.map(({ state }) => state);
};

describe('looks at a process that was seen to begin', () => {
  const begun = (...rest: Said[]): Said[] => {
    const all = [event('found', 0, true), ...rest];
    return all.map((one, i) => ({ ...one, record: { ...one.record, seq: i } }) as Said);
  };

  test('a forbidden call is violated when its functions are too slow to come and go unseen', async () => {
    expect(await states(policy(SLOW), begun(look(10, 1, [frame('g', 0)])))).toEqual(['violated']);
  });

  test('without that declaration an unseen call may have made it legal', async () => {
    expect(await states(policy(), begun(look(10, 1, [frame('g', 0)])))).not.toContain('violated');
  });

  test('a guard that no value seen can pass is violated all the same', async () => {
    expect(await states(policy(), begun(look(10, 1, [frame('g', 5)])))).toEqual(['violated']);
  });

  test('a current value decides only if the policy calls it stable', async () => {
    const current = frame('g', null, {
      parameters: [{ name: 'n', type: 'int', kind: 'current', int: 5, real: null, text: null }],
    });
    expect(await states(policy(), begun(look(10, 1, [current])))).not.toContain('violated');
    expect(await states(policy({ assume: { stable: ['g.n'] } }), begun(look(10, 1, [current])))).toEqual(['violated']);
  });

  test('a frame that was searched for decides nothing', async () => {
    const found = frame('g', 5, { foundBy: 'scan' });
    expect(await states(policy(SLOW), begun(look(10, 1, [found])))).not.toContain('violated');
  });

  test('code that two functions share is judged as either', async () => {
    const shared = frame('g', 5, { alternatives: ['f'] });
    expect(await states(policy(SLOW), begun(look(10, 1, [shared])))).not.toContain('violated');
  });

  test('the same frame in a quiet stretch is the same call, and after a run perhaps another', async () => {
    const quiet = begun(look(10, 1, [frame('f', 0)]), look(20, 1, [frame('f', 0)]), look(30, 1, [frame('f', 0)]));
    expect(await states(policy(SLOW), quiet)).toEqual(['conforming']);
    const ran = begun(look(10, 1, [frame('f', 0)]), look(20, 2, [frame('f', 0)]));
    expect(await states(policy(SLOW), ran)).not.toContain('violated');
    const other = begun(look(10, 1, [frame('f', 0)]), look(20, 2, [frame('f', 1)]));
    expect(await states(policy(SLOW), other)).toEqual(['conforming', 'violated']);
  });

  test('a deadline passes in a quiet stretch', async () => {
    const waits = policy({
      ...SLOW,
      machine: {
        initial: 'a',
        states: { a: { on: { f: 'b' }, after: { 40: 'late' } }, b: {}, late: { tags: ['violation'] } },
      },
    });
    const said = begun(look(10, 1, []), look(30, 1, []), look(60, 1, []));
    expect(await states(waits, said)).toContain('violated');
    expect(await states(waits, said.slice(0, 3))).not.toContain('violated');
  });
});

test('a process that was met in mid-run may be anywhere', async () => {
  const said = [look(10, 1, []), look(20, 2, [frame('g', 0)])].map(
    (one, i) => ({ ...one, record: { ...one.record, seq: i } }) as Said,
  );
  expect(await states(policy(SLOW), said)).not.toContain('violated');
});

test('a call whose key nobody saw may be any slice’s', async () => {
  const sliced = policy({ ...SLOW, slice: { k: { f: 'n', g: 'n' } } });
  const said = [
    event('found', 0, true),
    look(10, 1, []),
    look(20, 2, [frame('f', 1)]),
    look(30, 3, [frame('g', null, { address: 120 })]),
    look(40, 4, [frame('f', 1, { address: 140 })]),
  ].map((one, i) => ({ ...one, record: { ...one.record, seq: i } }) as Said);
  expect(await states(sliced, said)).not.toContain('violated');
});
