import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { chooseLooks } from '../../producers/memory/schedule/choose-looks.js';
import { RateController } from '../../producers/memory/schedule/rate-controller.js';
import { type PlannedLook, Scheduler } from '../../producers/memory/schedule/scheduler.js';
import { secretRandom } from '../../producers/memory/schedule/secret-random.js';
import { candidatesIn, windowsAfter } from '../../producers/memory/schedule/windows.js';
import type { Prediction, PredictionRow } from '../../schemas/records.js';

const seeded = (word: string): (() => number) => secretRandom(Buffer.from(word));

const row = (seen: string, name: string, offset: number, half: number, visible = 0): PredictionRow => ({
  seen,
  function: name,
  offset,
  from: offset - half,
  to: offset + half,
  visible,
  probability: 1_000_000,
  weight: 1_000_000,
});

const prediction = (rows: readonly PredictionRow[], at: number, more: Partial<Prediction> = {}): Prediction => ({
  id: Buffer.alloc(32),
  host: 'h',
  container: '',
  process: 'p',
  policy: '',
  slice: '',
  at,
  validUntil: 1e12,
  anchor: null,
  rows,
  ...more,
});

/** Runs a scheduler against a clock of its own; `seen` tells the functions on the stack at an instant. */
const simulate = (
  scheduler: Scheduler,
  until: number,
  seen: (at: number) => readonly string[],
  start = 0,
): (PlannedLook & { readonly made: number })[] => {
  const looks: (PlannedLook & { made: number })[] = [];
  for (let now = start; ; ) {
    const look = scheduler.next(now);
    if (look === null || look.at >= until) return looks;
    now = Math.max(now, look.at);
    if (look.why === 'none') continue;
    looks.push({ ...look, made: now });
    const functions = seen(now);
    scheduler.done(look, now);
    scheduler.observe(look.process, [{ tid: 1, at: now, outcome: 'sampled', asBefore: false, functions }], false, now);
    now += 20;
  }
};

describe('choosing looks', () => {
  const candidates = fc.array(
    fc.record({
      at: fc.integer({ min: 0, max: 3_000_000 }),
      value: fc.integer({ min: 1, max: 20 }),
      process: fc.constant('p'),
    }),
    { maxLength: 9 },
  );
  const supply = fc.record({
    now: fc.constant(0),
    tokens: fc.double({ min: 0, max: 3, noNaN: true }),
    rate: fc.double({ min: 0, max: 3, noNaN: true }),
  });
  const affordable = (chosen: readonly { at: number }[], tokens: number, rate: number): boolean =>
    [...chosen]
      .sort((a, b) => a.at - b.at)
      .every(({ at }, i, all) => {
        const used = all.filter((other) => other.at <= at).length;
        return used <= Math.floor(tokens + (at / 1e6) * rate + 1e-9) && i >= 0;
      });

  test('never spends what has not come in, and no other choice is worth more', () => {
    fc.assert(
      fc.property(candidates, supply, (all, how) => {
        const chosen = chooseLooks(all, how);
        expect(affordable(chosen, how.tokens, how.rate)).toBe(true);
        expect(chosen.every(({ at }, i) => i === 0 || chosen[i - 1]!.at <= at)).toBe(true);
        const worth = chosen.reduce((sum, { value }) => sum + value, 0);
        let best = 0;
        for (let bits = 0; bits < 2 ** all.length; bits++) {
          const some = all.filter((_, i) => (bits & (1 << i)) !== 0);
          const sum = some.reduce((total, { value }) => total + value, 0);
          if (sum > best && affordable(some, how.tokens, how.rate)) best = sum;
        }
        expect(worth).toBe(best);
      }),
    );
  });
});

describe('windows', () => {
  test('lie within the sums of their rows, are bounded in number, and never more likely than what they follow', () => {
    const names = fc.constantFrom('a', 'b', 'c');
    const rows = fc.array(
      fc.record({
        seen: names,
        function: names,
        offset: fc.integer({ min: -5, max: 1000 }),
        from: fc.integer({ min: -5, max: 1000 }),
        to: fc.integer({ min: -5, max: 1000 }),
        visible: fc.integer({ min: 0, max: 100 }),
        probability: fc.integer({ min: -10, max: 2_000_000 }),
        weight: fc.integer({ min: 0, max: 2_000_000 }),
      }),
      { maxLength: 40 },
    );
    fc.assert(
      fc.property(rows, fc.integer({ min: 0, max: 2000 }), (all, until) => {
        const windows = windowsAfter(all, { function: 'a', notBefore: 10, at: 20 }, until);
        expect(windows.length).toBeLessThanOrEqual(256);
        for (const window of windows) {
          expect(window.from <= window.to && window.from <= until && window.depth <= 4).toBe(true);
          expect(window.probability > 0 && window.probability <= 1).toBe(true);
          for (const { at, value } of candidatesIn(window, 'p', seeded('x'))) {
            expect(at).toBeGreaterThanOrEqual(window.from);
            expect(at).toBeLessThanOrEqual(window.to + 1);
            expect(value).toBeLessThanOrEqual(window.probability * window.weight);
          }
        }
      }),
    );
  });
});

describe('the scheduler', () => {
  /** `work` is on the stack for 10 ms of every 250 ms, `rest` before it. */
  const phase = (at: number): readonly string[] => (at % 250_000 < 10_000 ? ['work'] : ['rest']);
  const cycle = [row('work', 'rest', 20_000, 10_000, 200_000), row('rest', 'work', 240_000, 1000, 10_000)];
  const caught = (looks: readonly { made: number }[]): number =>
    new Set(looks.filter(({ made }) => phase(made)[0] === 'work').map(({ made }) => Math.floor(made / 250_000))).size;

  test.each([2, 10, 50, 400])(
    'spends its budget of %d looks a second, a tenth of it blind, with a plan and without',
    (rate) => {
      for (const rows of [[], cycle, [...cycle, row('rest', 'rest', 1000, 1000), row('work', 'work', 3000, 3000)]]) {
        const scheduler = new Scheduler(rate, 0, seeded(`budget ${rate}`));
        scheduler.add('p', 0);
        scheduler.predict(prediction(rows, 0), 0);
        const looks = simulate(scheduler, 20_000_000, phase);
        // With two looks a second a plan that comes and goes leaves some unspent.
        expect(looks.length / 20).toBeGreaterThan(rate * (rows.length > 0 && rate < 10 ? 0.7 : 0.9));
        expect(looks.length / 20).toBeLessThan(rate * 1.1 + 0.1);
        expect(looks.filter(({ why }) => why === 'blind').length / looks.length).toBeGreaterThanOrEqual(0.09);
      }
    },
  );

  test('a plan catches more than blind looks of the same number, re-anchoring on its own sightings', () => {
    const blind = new Scheduler(10, 0, seeded('b'));
    blind.add('p', 0);
    const guided = new Scheduler(10, 0, seeded('b'));
    guided.add('p', 0);
    guided.predict(prediction(cycle, 0, { anchor: { function: 'work', notBefore: 0, at: 0 } }), 0);
    const [without, withPlan] = [simulate(blind, 60_000_000, phase), simulate(guided, 60_000_000, phase)];
    expect(caught(withPlan)).toBeGreaterThan(3 * caught(without));
    expect(withPlan.length).toBeLessThan(without.length * 1.15);
  });

  test('a plan that comes late is used for what lies ahead, from the newest own sighting', () => {
    const scheduler = new Scheduler(20, 0, seeded('late'));
    scheduler.add('p', 0);
    simulate(scheduler, 2_000_000, (at) => (at < 1_900_000 ? ['idle'] : ['work']));
    // Its own anchor is two seconds old.
    scheduler.predict(
      prediction([row('work', 'rest', 300_000, 1000)], 0, { anchor: { function: 'work', notBefore: 0, at: 0 } }),
      2_000_000,
    );
    const looks = simulate(scheduler, 2_400_000, () => ['work'], 2_000_000).filter(({ why }) => why === 'predicted');
    expect(looks.length).toBeGreaterThan(0);
    for (const { at } of looks) expect(at > 2_150_000 && at < 2_310_000).toBe(true);
    // What is over before it comes changes nothing.
    scheduler.predict(prediction([row('work', 'rest', 10, 5)], 1, { validUntil: 100 }), 2_400_000);
    expect(simulate(scheduler, 2_600_000, () => ['work'], 2_400_000).every(({ why }) => why === 'blind')).toBe(true);
  });

  test('what is worth more is looked for first when the budget binds', () => {
    const scheduler = new Scheduler(10, 0, seeded('worth'));
    for (const name of ['p', 'q']) scheduler.add(name, 0);
    const many = (weight: number): PredictionRow[] =>
      Array.from({ length: 30 }, (_, i) => ({ ...row('work', 'rest', 1_000_000 + i * 30_000, 5000, 10_000), weight }));
    const anchor = { function: 'work', notBefore: 0, at: 0 };
    scheduler.predict(prediction(many(1000), 0, { anchor }), 0);
    scheduler.predict(prediction(many(900_000), 0, { anchor, process: 'q' }), 0);
    const looks = simulate(scheduler, 2_000_000, () => ['other']).filter(({ why }) => why === 'predicted');
    // Where nothing of more worth can be had, the other may have the look.
    expect(looks.filter(({ process }) => process === 'q').length).toBeGreaterThanOrEqual(6);
    expect(looks.filter(({ process }) => process === 'p').length).toBeLessThanOrEqual(2);
  });

  test('instants cannot be told without the seed', () => {
    const instants = (seed: string): number[] => {
      const scheduler = new Scheduler(50, 0, seeded(seed));
      scheduler.add('p', 0);
      return simulate(scheduler, 1_000_000, () => []).map(({ at }) => at);
    };
    expect(instants('one')).toEqual(instants('one'));
    const [a, b] = [instants('one'), instants('two')];
    expect(a.filter((at) => b.includes(at)).length).toBeLessThan(3);
  });

  test('garbage in predictions neither throws nor stalls', () => {
    const number = fc.oneof(fc.integer(), fc.constantFrom(-1e15, 1e15, 0));
    const rows = fc.array(
      fc.record({
        seen: fc.constantFrom('a', 'b'),
        function: fc.constantFrom('a', 'b'),
        offset: number,
        from: number,
        to: number,
        visible: number,
        probability: number,
        weight: number,
      }),
      { maxLength: 20 },
    );
    fc.assert(
      fc.property(rows, number, number, (all, from, to) => {
        const scheduler = new Scheduler(100, 0, seeded('garbage'));
        scheduler.add('p', 0);
        scheduler.predict(prediction(all, 0, { anchor: { function: 'a', notBefore: from, at: to } }), 0);
        const looks = simulate(scheduler, 300_000, (at) => (at % 2 === 0 ? ['a'] : ['b']));
        expect(looks.length).toBeLessThanOrEqual(140);
        expect(looks.length).toBeGreaterThan(2);
      }),
      { numRuns: 50 },
    );
  });
});

describe('the rate', () => {
  test('follows what looks cost until the CPU share is held', () => {
    const controller = new RateController({ looks: 10_000, cpu: 0.05 });
    let rate = controller.rate;
    let used = 0;
    for (let period = 0, now = 0; period < 40; period++, now += 500_000) {
      // A look takes 80 µs at first and 200 later, and as much again around it.
      const cost = period < 20 ? 80 : 200;
      const looks = Math.round(rate / 2);
      used = (looks * cost * 2) / 500_000;
      for (let i = 0; i < looks; i++) controller.spent(cost);
      rate = controller.adjust(now, 2) ?? rate;
    }
    expect(used).toBeGreaterThan(0.045);
    expect(used).toBeLessThan(0.055);
    expect(new RateController({ looks: 50, cpu: Number.POSITIVE_INFINITY }).rate).toBe(50);
  });
});
