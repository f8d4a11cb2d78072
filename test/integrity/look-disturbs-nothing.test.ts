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
    const { cpu, late } = disturbance(
      waiter!,
      () => void target.look(),
      () => void other.look(),
      24,
      120,
    );
    target.close();
    other.close();
    // The interval covers 1, or comes so near that no program would notice.
    expect(cpu.low).toBeLessThanOrEqual(1.02);
    expect(cpu.high).toBeGreaterThanOrEqual(0.98);
    expect(late.low).toBeLessThanOrEqual(1.05);
    expect(late.high).toBeGreaterThanOrEqual(0.95);
  });
});
