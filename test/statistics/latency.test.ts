import { describe, expect, it } from 'vitest';
import type { Arm } from '../../src/model/shapes.js';
import { addCounts, NO_COUNTS, NO_TRIALS } from '../../src/statistics/block-tally.js';
import type { BlockCounts } from '../../src/statistics/evidence-state.js';
import type { QuantileSource } from '../../src/statistics/evidence-test.js';
import { LatencyRegression } from '../../src/statistics/latency.js';
import { TwoSampleTest } from '../../src/statistics/two-sample.js';

/** Exact quantiles of what was recorded; counts how often it was read. */
class SortedDurations implements QuantileSource {
  readonly #sorted: number[] = [];
  reads = 0;
  get count(): number {
    return this.#sorted.length;
  }
  record(durationMs: number): void {
    this.#sorted.push(durationMs);
    this.#sorted.sort((a, b) => a - b);
  }
  quantile(q: number): number | undefined {
    this.reads++;
    return this.#sorted[Math.min(this.count - 1, Math.floor(q * this.count))];
  }
}

/** The test as an outcome reaches it, and what it shows. */
class LatencyTest extends LatencyRegression {
  constructor(ratio: number, control: SortedDurations) {
    const request = { test: 'latency-regression', alpha: 0.05, ratio } as const;
    super(request, { treatment: new SortedDurations(), control });
  }
  success(arm: Arm, durationMs: number): void {
    this.observe(arm, false, true, durationMs);
  }
  get thresholdsMs(): readonly number[] {
    return this.snapshot().quantiles!.map(({ controlMs }) => controlMs);
  }
  get exceedances(): readonly BlockCounts[] {
    return this.toJSON().latency.tests.map(({ closed, pending }) => addCounts(closed, pending));
  }
}

function ready(ratio = 1.2): { test: LatencyTest; control: SortedDurations } {
  const control = new SortedDurations();
  for (let ms = 1; ms <= 100; ms++) control.record(ms);
  const test = new LatencyTest(ratio, control);
  test.success('control', 50);
  return { test, control };
}

describe('LatencyRegression', () => {
  it('compares nothing before the control has enough durations', () => {
    const control = new SortedDurations();
    const test = new LatencyTest(1.2, control);
    for (let i = 0; i < 19; i++) control.record(10);
    for (let i = 0; i < 100; i++) test.success('treatment', 1_000);
    expect(test.thresholdsMs).toEqual([]);
    control.record(10);
    test.success('treatment', 1_000);
    expect(test.thresholdsMs).toEqual([10, 10, 10]);
    expect(test.exceedances[0]).toEqual({
      treatment: { trials: 0, failures: 0 },
      control: { trials: 0, failures: 0 },
    });
  });

  it('counts the treatment above the ratio times the quantile, and the control above the quantile', () => {
    const { test } = ready(1.5);
    expect(test.thresholdsMs[0]).toBe(51);
    for (const ms of [51, 51.1, 76.5]) test.success('treatment', ms);
    for (const ms of [76.6, 1_000]) test.success('treatment', ms);
    for (const ms of [50, 51, 51.1]) test.success('control', ms);
    expect(test.exceedances[0]).toEqual({
      treatment: { trials: 5, failures: 2 },
      control: { trials: 3, failures: 1 },
    });
  });

  it('averages the evidence of the quantiles', () => {
    const { test } = ready(1);
    const single = [0.5, 0.9, 0.99].map(() => new TwoSampleTest());
    const thresholds = test.thresholdsMs;
    const durations = [60, 20, 95, 99.5, 120, 30, 40, 97, 10, 100, 101, 55];
    for (const [i, ms] of durations.entries()) {
      const arm = i % 2 === 0 ? 'treatment' : 'control';
      test.success(arm, ms);
      for (const [q, each] of single.entries()) each.observe(arm, ms > thresholds[q]!);
    }
    const mean = single.reduce((sum, each) => sum + Math.exp(each.logE), 0) / 3;
    expect(mean).not.toBe(1);
    expect(Math.exp(test.logE)).toBeCloseTo(mean, 12);
  });

  it('fixes thresholds only between blocks, and only when the control has grown', () => {
    const { test, control } = ready();
    const before = test.thresholdsMs;
    for (let i = 0; i < 5; i++) control.record(1_000);
    const { reads } = control;
    for (let i = 0; i < 10; i++) test.success(i === 0 ? 'treatment' : 'control', 10);
    expect(control.reads).toBe(reads);
    for (let i = 0; i < 6; i++) control.record(1_000);
    for (let i = 0; i < 9; i++) test.success(i === 0 ? 'treatment' : 'control', 10);
    expect(test.thresholdsMs).toEqual(before);
    test.success('control', 10);
    expect(test.thresholdsMs).toEqual([56, 100, 1_000]);
  });

  it('breaches when the treatment is twice as slow, also when only its tail does', () => {
    for (const slow of [(ms: number) => 2 * ms, (ms: number) => (ms > 85 ? 20 * ms : ms)]) {
      const { test } = ready();
      for (let i = 0; i < 3_000 && !test.breached; i++) {
        const ms = 1 + ((i * 37) % 100);
        test.success('control', ms);
        test.success('treatment', slow(ms));
      }
      expect(test.breached).toBe(true);
    }
  });

  it('never breaches because the control is slow', () => {
    const { test } = ready();
    for (let i = 0; i < 3_000; i++) {
      test.success('control', 1_000);
      test.success('treatment', 1);
    }
    expect(test.breached).toBe(false);
  });

  it('accepts counts of a fleet instead of durations', () => {
    const { test: single } = ready();
    const { test: fleet } = ready();
    const durations = [60, 20, 95, 130, 140, 30, 40, 97, 10, 100];
    for (const [i, ms] of durations.entries()) single.success(i < 4 ? 'treatment' : 'control', ms);
    const delta = { randomised: NO_COUNTS, fullRollout: NO_TRIALS };
    const counts = { ...delta, latency: [[single.key, single.exceedances]] as const };
    fleet.merge(counts);
    expect(fleet.toJSON()).toEqual(single.toJSON());
    expect(single.logE).not.toBe(0);
    const waiting = new LatencyTest(1.2, new SortedDurations());
    waiting.merge(counts);
    expect(waiting.exceedances[0]!.control.trials).toBe(0);
  });

  it('lets a clock close a small block', () => {
    const { test } = ready();
    test.success('treatment', 1_000);
    test.closeBlock();
    expect(test.logE).toBe(0);
    test.success('control', 10);
    test.closeBlock();
    expect(test.logE).toBeGreaterThan(0);
  });

  it('continues from its JSON in the middle of a block', () => {
    const { test: original, control } = ready();
    const feed = (test: LatencyTest, from: number) => {
      for (let i = from; i < from + 25; i++)
        test.success(i % 3 === 0 ? 'treatment' : 'control', (i * 41) % 130);
    };
    feed(original, 0);
    const restored = new LatencyTest(1.2, control);
    restored.restore(JSON.parse(JSON.stringify(original)));
    feed(original, 25);
    feed(restored, 25);
    expect(restored.toJSON()).toEqual(original.toJSON());
  });

  it('refuses the state of a test with other quantiles', () => {
    const { request, latency } = new LatencyTest(1.2, new SortedDurations()).toJSON();
    const { tests, thresholdsMs, ...rest } = latency;
    const state = {
      request,
      latency: { ...rest, tests: tests.slice(1), thresholdsMs: thresholdsMs.slice(1) },
    };
    expect(() => new LatencyTest(1.2, new SortedDurations()).restore(state)).toThrow('3 quantiles');
  });
});
