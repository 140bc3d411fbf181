import { describe, expect, it } from 'vitest';
import { EVENT_HORIZON, EventTest, HARM_ODDS } from '../../src/statistics/event-test.js';
import { Random } from '../../src/what-if/simulate/random.js';
import { eventCases, relativeError } from './golden.js';

const NO_TOTALS = [0, 0, 0, 0];

/** Each event of a case, and what is expected after some of them. */
function eventsOf({ events, logE, eventsText, chances, logEAt }: (typeof eventCases)[number]) {
  if (events !== undefined) {
    return events.map(([treated, chance], i) => ({ treated: treated === 1, chance, logE: logE![i] }));
  }
  const all = chances!.flatMap(([count, chance]) => new Array<number>(count).fill(chance));
  return all.map((chance, i) => ({ treated: eventsText![i] === '1', chance, logE: logEAt![i + 1] }));
}

describe('EventTest', () => {
  it.each(eventCases)('agrees with the reference: $name', (given) => {
    const test = new EventTest(given.ratio);
    let checked = 0;
    for (const { treated, chance, logE } of eventsOf(given)) {
      test.observe(treated, chance, 0, NO_TOTALS);
      if (logE === undefined) continue;
      // Where log E is near 0, so is what it may differ by.
      expect(Math.abs(test.logE - logE)).toBeLessThanOrEqual(1e-9 * Math.max(Math.abs(logE), 1));
      checked += 1;
    }
    expect(checked).toBe(given.logE?.length ?? Object.keys(given.logEAt!).length);
    expect(relativeError(test.peakLogE, given.peakLogE)).toBeLessThan(1e-9);
  });

  it.each([
    [0.01, 1],
    [0.5, 1],
    [0.5, 2],
    [0.9, 1],
  ])('never grows in expectation when %d are drawn and an odds ratio of %d is tolerated', (chance, ratio) => {
    const drawn = (ratio * chance) / (ratio * chance + 1 - chance);
    let expectation = 0;
    for (let sequence = 0; sequence < 1 << 10; sequence++) {
      const test = new EventTest(ratio);
      let probability = 1;
      for (let i = 0; i < 10; i++) {
        const treated = ((sequence >> i) & 1) === 1;
        probability *= treated ? drawn : 1 - drawn;
        test.observe(treated, chance, 0, NO_TOTALS);
      }
      expectation += probability * Math.exp(test.logE);
    }
    expect(expectation).toBeCloseTo(1, 10);
  });

  it('counts only events whose chance is above 0 and below 1', () => {
    const test = new EventTest();
    for (const chance of [0, 1, Number.NaN, -1, 2]) test.observe(true, chance, 0, NO_TOTALS);
    expect([test.events, test.logE]).toEqual([0, 0]);
  });

  it('keeps the factors of a bounded number of chances', () => {
    const [many, few] = [new EventTest(), new EventTest()];
    for (let i = 1; i < 1_000; i++) many.observe(true, i / 1_000, 0, NO_TOTALS);
    for (let i = 1; i < 1_000; i++) few.observe(true, i / 1_000, 0, NO_TOTALS);
    expect(many.logE).toBe(few.logE);
    expect(many.events).toBe(999);
  });

  it('finds when the harm began, also after a long healthy time', () => {
    for (const healthy of [0, 30, 300, 1_500]) {
      const random = new Random(healthy + 1);
      const test = new EventTest();
      for (let i = 1; i <= healthy; i++) {
        const treated = random.chance(0.5);
        test.observe(treated, 0.5, i, [i, 0, 0, 0]);
      }
      for (let i = 1; i <= 60; i++)
        test.observe(random.chance(0.9), 0.5, healthy + i, [healthy + i, 0, 0, 0]);
      // A run of chance before it may look like harm; a long healthy time does not.
      const at = test.onset?.at ?? 0;
      expect(at).toBeGreaterThanOrEqual(healthy - 20);
      expect(at).toBeLessThan(healthy + 30);
      // Before its first event.
      expect(test.onset?.totals[0] ?? 0).toBeLessThanOrEqual(at);
    }
  });

  it('continues from its JSON, bit for bit', () => {
    const random = new Random(3);
    const original = new EventTest(1.2);
    const next = (test: EventTest, i: number, treated: boolean) =>
      test.observe(treated, 0.1, i, [i, i, i, i]);
    for (let i = 0; i < 300; i++) next(original, i, random.chance(0.3));
    const restored = new EventTest(1.2);
    restored.restore(JSON.parse(JSON.stringify(original)));
    for (let i = 300; i < 400; i++) {
      const treated = random.chance(0.1);
      next(original, i, treated);
      next(restored, i, treated);
    }
    expect(restored.toJSON()).toEqual(original.toJSON());
    expect(restored.logE).toBe(original.logE);
    expect(restored.onset).toEqual(original.onset);
  });

  it('refuses the state of a test with other alternatives', () => {
    const other = new EventTest(1, [0.5, 2]);
    expect(() => new EventTest().restore(other.toJSON())).toThrow(RangeError);
  });

  it('spends all of its stake within the horizon', () => {
    const test = new EventTest(1, HARM_ODDS);
    for (let i = 0; i < EVENT_HORIZON; i++) test.observe(false, 0.5, i, NO_TOTALS);
    const before = test.logE;
    test.observe(false, 0.5, 0, NO_TOTALS);
    // Nothing is left that would keep E up.
    expect(test.logE).toBeLessThan(before + Math.log(0.85));
  });
});
