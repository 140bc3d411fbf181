import { describe, expect, it } from 'vitest';
import { TimeSeries } from '../../src/report/time-series.js';
import { outcomeOf } from '../measure/outcomes.js';

const START = Date.UTC(2026, 0, 1);

/** One outcome of the treatment each `everyMs`; every tenth is a failure. */
function seriesOf(count: number, everyMs: number): TimeSeries {
  const series = new TimeSeries();
  for (let index = 0; index < count; index++) {
    const result = index % 10 === 9 ? 'failure' : 'success';
    series.add(outcomeOf({ at: START + index * everyMs, result, durationMs: 100 + (index % 2) * 100 }));
  }
  return series;
}

const totalOf = (points: readonly { successes: number; failures: number }[]) =>
  points.reduce((sum, { successes, failures }) => sum + successes + failures, 0);

describe('TimeSeries', () => {
  it.each([
    ['seconds', 100, 500],
    ['minutes', 1_000, 10_000],
    ['weeks', 5_000, 600_000],
    ['years', 5_000, 24 * 3_600_000],
  ])('loses nothing and stays within its bound over %s', (_what, count, everyMs) => {
    const { treatment, control, bucketMs } = seriesOf(count, everyMs).toSeries(1, []);
    expect(totalOf(treatment)).toBe(count);
    expect(treatment.length).toBeLessThanOrEqual(200);
    expect(treatment.length).toBeGreaterThan(10);
    expect(treatment.every(({ from, to }) => from % bucketMs === 0 && to > from)).toBe(true);
    expect(control).toEqual([]);
  });

  it('does not depend on the order of the outcomes', () => {
    const forwards = new TimeSeries();
    const backwards = new TimeSeries();
    const outcomes = Array.from({ length: 500 }, (_, index) => outcomeOf({ at: START + index * 7_000 }));
    for (const outcome of outcomes) forwards.add(outcome);
    for (const outcome of outcomes.toReversed()) backwards.add(outcome);
    expect(backwards.toSeries(5, [])).toEqual(forwards.toSeries(5, []));
  });

  it('puts buckets together until a point has enough outcomes', () => {
    const { treatment } = seriesOf(200, 1_000).toSeries(20, []);
    expect(treatment).toHaveLength(10);
    expect(treatment[0]).toMatchObject({ from: START, to: START + 20_000, successes: 18, failures: 2 });
  });

  it('puts nothing together across a change of the rollout or a long pause', () => {
    const cut = START + 5_000;
    const { treatment } = seriesOf(10, 1_000).toSeries(100, [cut]);
    expect(treatment.map(({ from }) => from)).toEqual([START, cut]);
    const series = new TimeSeries();
    series.add(outcomeOf({ at: START }));
    series.add(outcomeOf({ at: START + 60_000 }));
    expect(series.toSeries(100, []).treatment).toHaveLength(2);
  });

  it('computes quantiles of durations of successes, and leaves out outcomes that count for no rate', () => {
    const series = new TimeSeries();
    series.add(outcomeOf({ at: START, durationMs: 100 }));
    series.add(outcomeOf({ at: START, durationMs: 9_000, result: 'failure' }));
    series.add(outcomeOf({ at: START, durationMs: 9_000, result: 'expected' }));
    series.add(outcomeOf({ at: START, durationMs: 9_000, result: 'aborted' }));
    const [point] = series.toSeries(1, []).treatment;
    expect(point).toMatchObject({ successes: 1, failures: 1 });
    expect(point!.p95Ms).toBeCloseTo(100, -1);
  });
});
