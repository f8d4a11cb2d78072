import { describe, expect, test } from '@jest/globals';
import { runDigest } from '../../../processors/engine/digest.js';
import { verdictJson } from '../../../schemas/verdict-json.js';
import { activation, judge, THERMOSTAT } from '../../support/runtime.js';

const S = 1_000_000;

describe('a complete trace', () => {
  test('that follows its machine is conforming, said once', async () => {
    const { verdicts } = await judge(THERMOSTAT, [
      activation('h', 0, 10 * S, 'read_sensor'),
      activation('h', 1, 11 * S, 'actuate', { level: 40 }),
      activation('h', 2, 12 * S, 'read_sensor'),
    ]);
    expect(verdicts.map(({ state, at }) => [state, at])).toEqual([['conforming', 10 * S]]);
  });

  test('names the call that the guard forbids, with its value', async () => {
    const { verdicts } = await judge(THERMOSTAT, [
      activation('h', 0, 10 * S, 'read_sensor'),
      activation('h', 1, 11 * S, 'actuate', { level: 95 }),
    ]);
    expect(verdicts[1]).toMatchObject({ state: 'violated', bindings: { level: '95' }, trigger: { seq: 1 } });
    expect(verdicts[1]!.message).toContain('actuate(id=?, level=95)'.replace('id=?, ', ''));
  });

  test('a missing step is a violation, and each further one is said again', async () => {
    const { verdicts } = await judge(THERMOSTAT, [
      activation('h', 0, 10 * S, 'actuate', { level: 1 }),
      activation('h', 1, 11 * S, 'read_sensor'),
      activation('h', 2, 12 * S, 'read_sensor'),
      activation('h', 3, 13 * S, 'actuate', { level: 1 }),
    ]);
    expect(verdicts.map(({ state, trigger }) => [state, trigger.seq])).toEqual([
      ['violated', 0],
      ['violated', 2],
    ]);
  });

  test('a deadline passes by the time of another process of the host', async () => {
    const { verdicts } = await judge(THERMOSTAT, [
      activation('h', 0, 10 * S, 'read_sensor'),
      activation('h', 1, 11 * S, 'actuate', { level: 1 }),
      activation('h', 2, 16 * S, 'read_sensor', {}, 'other'),
    ]);
    expect(verdicts.map(({ state, process, at, trigger }) => [state, process, at, trigger.timer])).toEqual([
      ['conforming', 'p', 10 * S, null],
      ['violated', 'p', 16 * S, 0],
      ['conforming', 'other', 16 * S, null],
    ]);
  });

  test('a lost record makes the state unknown, never violated', async () => {
    const { verdicts } = await judge(THERMOSTAT, [
      activation('h', 0, 10 * S, 'read_sensor'),
      activation('h', 5, 11 * S, 'read_sensor'),
      activation('h', 6, 12 * S, 'actuate', { level: 3 }),
    ]);
    expect(verdicts.map(({ state }) => state)).not.toContain('violated');
  });

  test('an event that comes late revises what it changes', async () => {
    const inOrder = [
      activation('h', 0, 10 * S, 'read_sensor'),
      activation('h', 1, 11 * S, 'actuate', { level: 1 }),
      activation('h', 2, 12 * S, 'read_sensor'),
      activation('h', 3, 13 * S, 'actuate', { level: 2 }),
    ];
    const late = [
      activation('h', 0, 10 * S, 'read_sensor'),
      activation('h', 1, 11 * S, 'actuate', { level: 1 }),
      activation('h', 2, 13 * S, 'actuate', { level: 2 }),
      activation('h', 3, 12 * S, 'read_sensor'),
    ];
    const a = await judge(THERMOSTAT, inOrder);
    const b = await judge(THERMOSTAT, late);
    expect(b.verdicts.map(({ state }) => state)).toEqual(['conforming', 'violated', 'withdrawn']);
    expect(b.verdicts[2]!.replaces).toEqual(b.verdicts[1]!.id);
    expect(runDigest([...b.engine.digests()], 'conclusions')).toBe(runDigest([...a.engine.digests()], 'conclusions'));
    expect(runDigest([...b.engine.digests()], 'head')).not.toBe(runDigest([...a.engine.digests()], 'head'));
  });

  test('a snapshot after every record changes nothing', async () => {
    const said = [
      activation('h', 0, 10 * S, 'read_sensor'),
      activation('g', 0, 10 * S, 'actuate', { level: 4 }),
      activation('h', 1, 11 * S, 'actuate', { level: 95 }),
      activation('h', 2, 13 * S, 'actuate', { level: 2 }),
      activation('h', 3, 12 * S, 'read_sensor'),
      activation('h', 4, 30 * S, 'read_sensor', {}, 'other'),
    ];
    const whole = await judge(THERMOSTAT, said);
    for (const cut of [1, 2, 3]) {
      const pieces = await judge(THERMOSTAT, said, { cut });
      expect(pieces.verdicts.map(verdictJson)).toEqual(whole.verdicts.map(verdictJson));
      expect(runDigest([...pieces.engine.digests()], 'head')).toBe(runDigest([...whole.engine.digests()], 'head'));
    }
  });

  test('a resent record is dropped', async () => {
    const one = activation('h', 0, 10 * S, 'read_sensor');
    const { verdicts, engine } = await judge(THERMOSTAT, [
      one,
      one,
      activation('h', 1, 11 * S, 'actuate', { level: 1 }),
    ]);
    expect(verdicts.map(({ state }) => state)).toEqual(['conforming']);
    expect(engine.counts.duplicates).toBe(1);
  });
});
