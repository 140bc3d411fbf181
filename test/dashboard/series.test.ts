import { describe, expect, it } from 'vitest';
import { seriesOf, thresholdsOf } from '../../src/dashboard/series.js';
import { LatencyHistogram } from '../../src/measure/latency-histogram.js';
import type { Verdict } from '../../src/model/shapes.js';
import type { Annotation, Rollup, RollupArm } from '../../src/rollups/rollup.js';
import { wilsonInterval } from '../../src/statistics/confidence.js';
import { processorMs } from '../helpers/machine-time.js';
import { viewOf } from '../helpers/views.js';
import { armCounts } from '../triggers/snapshots.js';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const START = Date.UTC(2026, 2, 1);

function armOf(successes = 0, failures = 0, durations: readonly number[] = []): RollupArm {
  const histogram = new LatencyHistogram();
  for (const duration of durations) histogram.record(duration);
  return {
    ...armCounts({ successes, failures }),
    userSuccesses: successes,
    unfinished: 0,
    errorTypes: [],
    latency: histogram.toSparse(),
  };
}

const rollup = (at: number, overrides: Partial<Rollup> = {}): Rollup => ({
  at,
  durationMs: MINUTE,
  epoch: 1,
  percentage: 10,
  arms: { treatment: armOf(9, 1), control: armOf(90, 0) },
  triggers: [],
  serviceVersions: [],
  ...overrides,
});

const minutes = (count: number) =>
  Array.from({ length: count }, (_, index) => rollup(START + index * MINUTE));
const ALL = { points: 600 };

describe('seriesOf', () => {
  it('has a point for each minute of a short rollout', () => {
    const found = seriesOf({ rollups: minutes(10), annotations: [] }, ALL, [], START + 10 * MINUTE);
    expect(found).toMatchObject({ first: START, last: START + 10 * MINUTE, stepMs: MINUTE });
    expect(found.at).toEqual(minutes(10).map(({ at }) => at));
    expect(found.treatment.trials).toEqual(Array.from({ length: 10 }, () => 10));
    expect(found.treatment.errorRate[0]).toBe(0.1);
    expect(found.control.errorRate[0]).toBe(0);
    expect(found.treatment.perSecond[0]).toBeCloseTo(10 / 60, 12);
    expect(found.percentage[9]).toBe(10);
  });

  it('has everything of every rollup, in at most as many points as are asked for', () => {
    for (const points of [2, 3, 7, 50, 600]) {
      for (const count of [1, 2, 59, 60, 61, 999]) {
        const past = { rollups: minutes(count), annotations: [] };
        const found = seriesOf(past, { points }, [], START + count * MINUTE);
        expect(found.at.length).toBeLessThanOrEqual(points);
        expect(found.treatment.trials.reduce((sum, each) => sum + each, 0)).toBe(count * 10);
        expect(found.at.every((at, index) => index === 0 || at > found.at[index - 1]!)).toBe(true);
      }
    }
  });

  it('has the rate or the mean of each metric by arm, and nothing where no unit is over', () => {
    const metric = (trigger: string, kind: 'conversion' | 'numeric', trials: number, sum: number) => ({
      trigger,
      kind,
      treatment: { trials, sum },
      control: { trials: 2 * trials, sum },
    });
    const rollups = [
      rollup(START, { metrics: [metric('checkout', 'conversion', 10, 4)] }),
      rollup(START + MINUTE),
      rollup(START + 2 * MINUTE, {
        metrics: [metric('checkout', 'conversion', 20, 4), metric('cart', 'numeric', 2, 50)],
      }),
      rollup(START + 3 * MINUTE, { metrics: [metric('checkout', 'conversion', 0, 0)] }),
    ];
    const past = { rollups, annotations: [] };
    expect(seriesOf(past, ALL, [], START + 4 * MINUTE).metrics).toEqual([
      {
        trigger: 'checkout',
        kind: 'conversion',
        treatment: { trials: [10, 0, 20, 0], value: [0.4, null, 0.2, null] },
        control: { trials: [20, 0, 40, 0], value: [0.2, null, 0.1, null] },
      },
      {
        trigger: 'cart',
        kind: 'numeric',
        treatment: { trials: [0, 0, 2, 0], value: [null, null, 25, null] },
        control: { trials: [0, 0, 4, 0], value: [null, null, 12.5, null] },
      },
    ]);
    const coarse = seriesOf(past, { points: 2 }, [], START + 4 * MINUTE).metrics;
    expect(coarse[0]?.treatment.trials.reduce((sum, each) => sum + each, 0)).toBe(30);
    expect(seriesOf({ rollups: minutes(2), annotations: [] }, ALL, [], START + MINUTE).metrics).toEqual([]);
  });

  it('adds up the failures, intervals and durations of a point', () => {
    const arms = (durations: number[]) => ({ treatment: armOf(98, 2, durations), control: armOf() });
    const rollups = [
      rollup(START, { arms: arms([10, 10, 10, 10]) }),
      rollup(START + MINUTE, { arms: arms([1_000]) }),
    ];
    const { treatment, control } = seriesOf(
      { rollups, annotations: [] },
      { points: 600, stepMs: 10 * MINUTE },
      [],
      START + 10 * MINUTE,
    );
    expect([treatment.trials, treatment.failures, treatment.errorRate]).toEqual([[200], [4], [0.02]]);
    const { lower, upper } = wilsonInterval({ trials: 200, failures: 4 });
    expect([treatment.low, treatment.high]).toEqual([[lower], [upper]]);
    expect(treatment.p50[0]).toBeCloseTo(10, 0);
    expect(Math.abs(treatment.p99[0]! / 1_000 - 1)).toBeLessThan(1 / 128);
    expect([control.errorRate, control.low, control.p50, control.perSecond]).toEqual([
      [null],
      [null],
      [null],
      [0],
    ]);
  });

  it('shows times without outcomes as such', () => {
    const rollups = [rollup(START), rollup(START + 5 * MINUTE)];
    const found = seriesOf({ rollups, annotations: [] }, ALL, [], START + 8 * MINUTE);
    expect(found.at).toHaveLength(8);
    expect(found.treatment.errorRate).toEqual([0.1, null, null, null, null, 0.1, null, null]);
    expect(found.percentage).toEqual(Array.from({ length: 8 }, () => 10));
  });

  it('counts the unfinished minute by the time that has passed', () => {
    const found = seriesOf({ rollups: minutes(2), annotations: [] }, ALL, [], START + MINUTE + 10_000);
    expect(found.treatment.perSecond[1]).toBeCloseTo(1, 12);
    expect(found.last).toBe(START + MINUTE + 10_000);
  });

  it('zooms into a part, and says how long the whole is', () => {
    const past = { rollups: minutes(1_000), annotations: [] };
    const range = { from: START + 100 * MINUTE, to: START + 104 * MINUTE, points: 600 };
    const found = seriesOf(past, range, [], START + 1_000 * MINUTE);
    expect(found).toMatchObject({ first: START, last: START + 1_000 * MINUTE, stepMs: MINUTE });
    expect(found.at).toEqual([100, 101, 102, 103].map((minute) => START + minute * MINUTE));
  });

  it('brings what is new of a series, by its step', () => {
    const past = { rollups: minutes(1_000), annotations: [] };
    const now = START + 1_000 * MINUTE;
    const whole = seriesOf(past, { points: 50 }, [], now);
    const tail = seriesOf(past, { from: whole.at.at(-1)!, stepMs: whole.stepMs, points: 2_000 }, [], now);
    expect(tail.at).toEqual(whole.at.slice(-1));
    expect(tail.treatment.trials).toEqual(whole.treatment.trials.slice(-1));
  });

  it('keeps a longer rollup whole where points are shorter', () => {
    const rollups = [
      rollup(START, { durationMs: HOUR }),
      rollup(START + HOUR),
      rollup(START + HOUR + MINUTE),
    ];
    const found = seriesOf({ rollups, annotations: [] }, ALL, [], START + HOUR + 2 * MINUTE);
    expect(found.at).toEqual([START, START + HOUR, START + HOUR + MINUTE]);
    expect(found.treatment.perSecond[0]).toBeCloseTo(10 / 3_600, 12);
    const within = { from: START + 30 * MINUTE, to: START + HOUR, points: 600 };
    expect(seriesOf({ rollups, annotations: [] }, within, [], START + DAY).treatment.trials[0]).toBe(10);
  });

  it('has the annotations of its part', () => {
    const annotation = (minute: number): Annotation => ({
      at: START + minute * MINUTE,
      type: 'percentage',
      title: `${minute} %`,
      text: 'An operator moved the rollout.',
    });
    const past = { rollups: minutes(100), annotations: [0, 10, 50].map(annotation) };
    const found = seriesOf(
      past,
      { from: START + 5 * MINUTE, to: START + 20 * MINUTE, points: 600 },
      [],
      START + DAY,
    );
    expect(found.annotations.map(({ title }) => title)).toEqual(['10 %']);
  });

  it('is empty before the first outcome, and never longer than asked for after years of silence', () => {
    const empty = seriesOf({ rollups: [], annotations: [] }, ALL, [], START);
    expect(empty).toMatchObject({ at: [], first: START, last: START });
    const old = seriesOf({ rollups: minutes(1), annotations: [] }, ALL, [], START + 4_000 * DAY);
    expect(old.at.length).toBeLessThanOrEqual(600);
    expect(old.treatment.trials[0]).toBe(10);
  });

  it('makes three weeks of rollups into a picture within a moment', async () => {
    const durations = Array.from({ length: 300 }, (_, index) => 1 + index ** 1.5);
    const arms = { treatment: armOf(290, 10, durations), control: armOf(300, 0, durations) };
    const hours = Array.from({ length: 21 * 24 - 24 }, (_, hour) =>
      rollup(START + hour * HOUR, { durationMs: HOUR, arms }),
    );
    const from = START + 20 * DAY;
    const day = Array.from({ length: 1_440 }, (_, minute) => rollup(from + minute * MINUTE, { arms }));
    const past = { rollups: [...hours, ...day], annotations: [] };
    let found: ReturnType<typeof seriesOf>;
    expect(
      await processorMs(() => {
        found = seriesOf(past, ALL, [], START + 21 * DAY);
      }),
    ).toBeLessThan(1_000);
    expect(found!.at.length).toBeGreaterThan(200);
    expect(found!.at.length).toBeLessThanOrEqual(600);
  });
});

describe('thresholdsOf', () => {
  const verdict = (overrides: Partial<Verdict>): Verdict => ({
    trigger: 'x',
    status: 'ok',
    threshold: 0.95,
    unit: 'fraction',
    sampleSize: { treatment: 1, control: 1 },
    windowMs: 0,
    message: '',
    ...overrides,
  });

  it('draws rates as error rates, and tolerated latencies from the control', () => {
    const arm = viewOf().arms.control;
    const view = viewOf({
      arms: { treatment: arm, control: { ...arm, p50Ms: 100, p95Ms: 400 } },
      triggers: [
        { name: 'success', severity: 'rollback', verdict: verdict({ rate: 'success' }) },
        { name: 'error', severity: 'rollback', verdict: verdict({ rate: 'error', threshold: 0.05 }) },
        {
          name: 'latency',
          severity: 'review',
          quantiles: ['p50', 'p99'],
          verdict: verdict({ threshold: 1.2, unit: 'ratio' }),
        },
        { name: 'memory', severity: 'rollback', verdict: verdict({ threshold: 1.2, unit: 'ratio' }) },
        { name: 'new', severity: 'rollback' },
      ],
    });
    expect(thresholdsOf(view)).toEqual([
      { trigger: 'success', chart: 'error-rate', value: 0.05 },
      { trigger: 'error', chart: 'error-rate', value: 0.05 },
      { trigger: 'latency', chart: 'p50', value: 120 },
    ]);
  });
});

describe('wilsonInterval', () => {
  it.each([
    // By the formula of Wilson's paper, to four digits.
    [10, 1, 0.0179, 0.4042],
    [100, 5, 0.0215, 0.1118],
    [1_000, 0, 0, 0.0038],
    [10, 10, 0.7225, 1],
  ])('of %d trials with %d failures', (trials, failures, lower, upper) => {
    const found = wilsonInterval({ trials, failures });
    expect(found.lower).toBeCloseTo(lower, 4);
    expect(found.upper).toBeCloseTo(upper, 4);
  });
});
