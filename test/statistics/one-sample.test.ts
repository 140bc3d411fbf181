import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { OneSampleTest } from '../../src/statistics/one-sample.js';
import { golden, relativeError } from './golden.js';

describe('OneSampleTest', () => {
  it.each(golden.one_sample_mixture_no_restart.cases)(
    'agrees with the reference without restarts: $failures failures of $n',
    ({ n, failures, logE }) => {
      const test = new OneSampleTest({ maxFailureRate: 0.05 });
      test.observeCounts({ trials: n, failures });
      // One step of n observations: half of the stake and what it releases is bet on the alternatives, the rest waits.
      const bet = 0.5 + 0.5 * 0.9 * (n / 20_000);
      expect(relativeError(Math.exp(test.logE), bet * Math.exp(logE) + 1 - bet)).toBeLessThan(1e-9);
      expect(test.totals).toEqual({ trials: n, failures });
    },
  );

  it('treats a batch of one as one outcome', () => {
    fc.assert(
      fc.property(fc.array(fc.boolean(), { maxLength: 60 }), (outcomes) => {
        const single = new OneSampleTest({ maxFailureRate: 0.1 });
        const batched = new OneSampleTest({ maxFailureRate: 0.1 });
        for (const failed of outcomes) {
          single.observe(failed);
          batched.observeCounts({ trials: 1, failures: failed ? 1 : 0 });
        }
        expect(batched.logE).toBeCloseTo(single.logE, 10);
        expect(batched.totals).toEqual(single.totals);
      }),
    );
  });

  it.each([
    [0.05, 0.05],
    [0.05, 0.03],
    [0.3, 0.3],
    [0.3, 0.1],
  ])(
    'never grows in expectation when at most %d is tolerated and %d fail (all sequences of 10)',
    (p0, rate) => {
      let expectation = 0;
      for (let sequence = 0; sequence < 1 << 10; sequence++) {
        const test = new OneSampleTest({ maxFailureRate: p0 });
        let chance = 1;
        for (let i = 0; i < 10; i++) {
          const failed = ((sequence >> i) & 1) === 1;
          chance *= failed ? rate : 1 - rate;
          test.observe(failed);
        }
        expectation += chance * Math.exp(test.logE);
      }
      expect(expectation).toBeLessThanOrEqual(1 + 1e-12);
      if (rate === p0) expect(expectation).toBeCloseTo(1, 12);
    },
  );

  it('breaches when everything fails, and stays breached', () => {
    const test = new OneSampleTest({ maxFailureRate: 0.05 });
    let outcomes = 0;
    while (!test.breached && outcomes < 10) {
      test.observe(true);
      outcomes++;
    }
    expect(outcomes).toBe(2);
    test.observeCounts({ trials: 1_000, failures: 0 });
    expect(test.logE).toBeLessThan(test.logThreshold);
    expect(test.breached).toBe(true);
  });

  it('continues from its JSON', () => {
    const original = new OneSampleTest({ maxFailureRate: 0.05 });
    original.observeCounts({ trials: 40, failures: 3 });
    const restored = new OneSampleTest({ maxFailureRate: 0.05 });
    restored.restore(JSON.parse(JSON.stringify(original)));
    for (const test of [original, restored]) test.observe(true);
    expect(restored.toJSON()).toEqual(original.toJSON());
    expect(restored.logE).toBe(original.logE);
  });
});
