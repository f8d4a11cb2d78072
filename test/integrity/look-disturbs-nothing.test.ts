import { afterAll, describe, expect, test } from '@jest/globals';
import { disturbance, interruptedBy, Waiter } from '../../bench/look-disturbance.js';
import { openTarget } from '../../producers/memory/sample/look.js';
import { noCompiler } from '../support/device.js';

const suite = noCompiler === '' ? describe : describe.skip;

suite(`what looks do to a program ${noCompiler}`, () => {
  const waiter = noCompiler === '' ? new Waiter() : null;
  const twin = noCompiler === '' ? new Waiter() : null;
  afterAll(() => {
    waiter?.stop();
    twin?.stop();
  });

  test('a hundred thousand looks interrupt none of its waits', () => {
    const target = openTarget(waiter!.pid);
    const { waits } = waiter!.counts;
    expect(interruptedBy(waiter!, target, 100_000)).toBe(0);
    // It did wait meanwhile.
    expect(waiter!.counts.waits).toBeGreaterThan(waits + 100);
    target.close();
  });

  test('stopping it does interrupt them: the count can tell', () => {
    const target = openTarget(waiter!.pid);
    const before = waiter!.counts.interrupted;
    for (let i = 0; i < 20; i++) target.lookStopped();
    expect(waiter!.counts.interrupted).toBeGreaterThan(before + 2);
    target.close();
  });

  test('its CPU time and its punctuality are what they are without looks', () => {
    const [target, other] = [openTarget(waiter!.pid), openTarget(twin!.pid)];
    const shown = repeatedly(
      () => void target.look(),
      () => void other.look(),
    );
    target.close();
    other.close();
    expect(shown).toEqual([]);
  });

  test('stopping it each time does show: the measure can tell', () => {
    const [target, other] = [openTarget(waiter!.pid), openTarget(twin!.pid)];
    const stopOften = (): void => {
      for (let i = 0; i < 4; i++) target.lookStopped();
    };
    // As above, other work may widen an interval.
    const lows = [0, 0, 0];
    for (let i = 0; i < lows.length && !(lows[i - 1]! > 1); i++)
      lows[i] = disturbance(waiter!, stopOften, () => void other.look(), 8, 120).cpu.low;
    target.close();
    other.close();
    expect(Math.max(...lows)).toBeGreaterThan(1);
  });

  /**
   * What is changed by looking, in every one of several measurements. Other work on the machine moves an interval of 95 % off 1
   * now and then, and not twice alike; what looks did would stay.
   */
  function repeatedly(look: () => void, lookElsewhere: () => void): string[] {
    const suspects = new Map<'cpu' | 'late', string>();
    for (let i = 0; i < 6; i++) {
      const measured = disturbance(waiter!, look, lookElsewhere, 16, 120);
      for (const name of ['cpu', 'late'] as const) {
        const { low, high } = measured[name];
        const side = low > 1 ? 'more' : high < 1 ? 'less' : 'same';
        if (i === 0) suspects.set(name, side);
        if (side === 'same' || suspects.get(name) !== side) suspects.delete(name);
      }
      if (suspects.size === 0) break;
    }
    return [...suspects.keys()];
  }
});
