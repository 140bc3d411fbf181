import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LatencyHistogram } from '../../src/measure/latency-histogram.js';

const BOUND = 1 / 128;
const QUANTILES = [0, 0.01, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 1];

/** Durations from 1 µs to 1 h, spread evenly over the orders of magnitude. */
const duration = fc
  .double({ min: Math.log(0.001), max: Math.log(3_600_000), noNaN: true })
  .map((log) => Math.min(3_600_000, Math.exp(log)));

function histogramOf(durations: readonly number[]): LatencyHistogram {
  const histogram = new LatencyHistogram();
  for (const durationMs of durations) histogram.record(durationMs);
  return histogram;
}

function nearestRank(durations: readonly number[], q: number): number {
  const sorted = [...durations].sort((a, b) => a - b);
  return sorted[Math.max(1, Math.ceil(q * sorted.length - 1e-9)) - 1]!;
}

function expectQuantilesWithinBound(durations: readonly number[]): void {
  const histogram = histogramOf(durations);
  for (const q of QUANTILES) {
    const exact = nearestRank(durations, q);
    expect(Math.abs(histogram.quantile(q)! - exact) / exact, `q ${q} of ${exact}`).toBeLessThanOrEqual(BOUND);
  }
}

/** A small linear congruential generator (Numerical Recipes), so that data sets are the same in every run. */
function seededRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return (state + 0.5) / 2 ** 32;
  };
}

describe('LatencyHistogram', () => {
  it('keeps every quantile within 1/128 of the exact one', () => {
    fc.assert(fc.property(fc.array(duration, { minLength: 1, maxLength: 300 }), expectQuantilesWithinBound));
  });

  const random = seededRandom(7);
  const datasets: [string, () => number][] = [
    ['uniform', () => 1 + random() * 1000],
    ['exponential', () => -50 * Math.log(random())],
    ['Pareto, with a heavy tail', () => 5 * random() ** (-1 / 1.2)],
    ['two peaks', () => (random() < 0.9 ? 20 + random() : 5000 + 100 * random())],
    ['constant', () => 12.5],
    ['powers of two', () => 2 ** Math.floor(random() * 30 - 9)],
    ['just below powers of two', () => 2 ** Math.floor(random() * 30 - 8) * (1 - Number.EPSILON)],
  ];
  it.each(datasets)('keeps the bound on 20,000 durations: %s', (_, next) => {
    expectQuantilesWithinBound(
      Array.from({ length: 20_000 }, () => Math.min(3_600_000, Math.max(0.001, next()))),
    );
  });

  it('keeps the mean exact', () => {
    expect(histogramOf([1, 2, 4.5]).meanMs).toBe(2.5);
    expect(histogramOf([1, 2, 4.5]).count).toBe(3);
  });

  it('gives nothing while empty', () => {
    const histogram = new LatencyHistogram();
    expect([histogram.count, histogram.meanMs, histogram.quantile(0.5)]).toEqual([0, undefined, undefined]);
    expect(histogram.toSparse()).toEqual({ sumMs: 0, buckets: [] });
  });

  it.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -1, -Number.MIN_VALUE])(
    'refuses %d',
    (durationMs) => {
      const histogram = histogramOf([5]);
      expect(histogram.record(durationMs)).toBe(false);
      expect(histogram.toSparse()).toEqual(histogramOf([5]).toSparse());
    },
  );

  it.each([
    [0, 0],
    [-0, 0],
    [Number.MIN_VALUE, 0],
    [2 ** -10 - 2 ** -60, 0],
    [2 ** 22, 2 ** 22],
    [1e300, 2 ** 22],
  ])('counts %d, outside its range, as %d', (durationMs, expected) => {
    const histogram = new LatencyHistogram();
    expect(histogram.record(durationMs)).toBe(true);
    expect(histogram.quantile(0.5)).toBe(expected);
    expect(histogram.meanMs).toBeCloseTo(durationMs);
  });

  it.each([
    [0.07, 7],
    [0.95, 95],
    [0.951, 96],
    [0.99, 99],
  ])('takes the nearest rank: %d of 100', (q, rank) => {
    const histogram = histogramOf(Array.from({ length: 100 }, (_, index) => index + 1));
    expect(Math.abs(histogram.quantile(q)! - rank) / rank).toBeLessThanOrEqual(BOUND);
  });

  it('merges as if one histogram had seen everything', () => {
    fc.assert(
      fc.property(fc.array(duration), fc.array(duration), (left, right) => {
        const merged = histogramOf(left);
        merged.merge(histogramOf(right));
        const whole = histogramOf([...left, ...right]);
        expect(merged.toSparse().buckets).toEqual(whole.toSparse().buckets);
        expect(merged.meanMs ?? 0).toBeCloseTo(whole.meanMs ?? 0, 6);
        for (const q of QUANTILES) expect(merged.quantile(q)).toBe(whole.quantile(q));
      }),
    );
  });

  it('travels as JSON, whole or from an earlier state on', () => {
    fc.assert(
      fc.property(fc.array(duration), fc.array(duration), (before, after) => {
        const histogram = histogramOf(before);
        const earlier = new LatencyHistogram();
        earlier.addSparse(JSON.parse(JSON.stringify(histogram.toSparse())));
        expect(earlier.toSparse()).toEqual(histogram.toSparse());
        for (const durationMs of after) histogram.record(durationMs);
        expect(histogram.toSparse(earlier).buckets).toEqual(histogramOf(after).toSparse().buckets);
      }),
    );
  });

  it('is as new after clear', () => {
    const histogram = histogramOf([1, 2, 3]);
    histogram.clear();
    histogram.record(7);
    expect(histogram.toSparse()).toEqual(histogramOf([7]).toSparse());
    expect(histogram.count).toBe(1);
  });

  it('never returns a negative sum, however the parts were rounded', () => {
    const [histogram, taken] = [new LatencyHistogram(), new LatencyHistogram()];
    for (const durationMs of [411.4810567149958, 20.914235443162845, 118.53986342048594]) {
      histogram.record(durationMs);
      taken.addSparse(histogram.toSparse(taken));
    }
    for (const durationMs of [916.1932071289091, 459.49377995713104]) histogram.record(durationMs);
    taken.addSparse(histogram.toSparse(taken));
    expect(histogram.toSparse(taken)).toEqual({ sumMs: 0, buckets: [] });
  });
});
