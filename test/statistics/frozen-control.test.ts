import { describe, expect, it } from 'vitest';
import { rateUpperBound } from '../../src/statistics/confidence.js';
import { FrozenControlTest } from '../../src/statistics/failure-evidence.js';
import { OneSampleTest } from '../../src/statistics/one-sample.js';

const control = { trials: 5_000, failures: 50 };

describe('FrozenControlTest', () => {
  it('tests the treatment against the ratio times the upper bound, with what is left of alpha', () => {
    const test = new FrozenControlTest({ control, ratio: 1.5, alpha: 0.05 });
    expect(test.maxFailureRate).toBe(1.5 * rateUpperBound(control, 0.01, 1_000));
    expect(test.logThreshold).toBeCloseTo(Math.log(1 / 0.04), 12);
    const plain = new OneSampleTest({ maxFailureRate: test.maxFailureRate, alpha: 0.04 });
    for (const failed of [true, false, false, true, true]) {
      test.observe(failed);
      plain.observe(failed);
    }
    expect(test.logE).toBe(plain.logE);
  });

  it('never spends all of alpha on the bound', () => {
    const test = new FrozenControlTest({ control, alpha: 0.01 });
    expect(test.logThreshold).toBeCloseTo(Math.log(1 / 0.005), 12);
  });

  it('breaches when the treatment begins to fail and not while it fails as the control did', () => {
    const test = new FrozenControlTest({ control });
    for (let i = 1; i <= 2_000; i++) test.observe(i % 100 === 0);
    expect(test.breached).toBe(false);
    test.observeCounts({ trials: 100, failures: 50 });
    expect(test.breached).toBe(true);
    expect(test.totals).toEqual({ trials: 2_100, failures: 70 });
  });

  it.each([
    { trials: 0, failures: 0 },
    { trials: 40, failures: 40 },
  ])('counts nothing after the control %j, which bounds nothing', (useless) => {
    const test = new FrozenControlTest({ control: useless });
    test.observeCounts({ trials: 100, failures: 100 });
    expect(test.maxFailureRate).toBeGreaterThanOrEqual(1);
    expect(test.logE).toBe(0);
    expect(test.breached).toBe(false);
    const restored = new FrozenControlTest({ control: useless });
    restored.restore(JSON.parse(JSON.stringify(test)));
    expect(restored.toJSON()).toEqual(test.toJSON());
  });

  it('continues from its JSON', () => {
    const original = new FrozenControlTest({ control });
    original.observeCounts({ trials: 30, failures: 2 });
    const restored = new FrozenControlTest({ control });
    restored.restore(JSON.parse(JSON.stringify(original)));
    for (const test of [original, restored]) test.observe(true);
    expect(restored.toJSON()).toEqual(original.toJSON());
  });
});
