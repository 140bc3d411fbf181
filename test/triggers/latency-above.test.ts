import { describe, expect, it } from 'vitest';
import type { Baseline, LatencySummary } from '../../src/model/baseline.js';
import { type LatencyAboveOptions, latencyAbove } from '../../src/triggers/latency-above.js';
import { NOW, snapshotOf } from './snapshots.js';

const MINUTE = 60_000;

function latencyOf(p50Ms: number, p95Ms: number, count = 100): LatencySummary {
  return { count, meanMs: p50Ms, p50Ms, p95Ms, p99Ms: 2 * p95Ms };
}

interface Facts {
  readonly control?: LatencySummary | undefined;
  readonly baseline?: LatencySummary;
  readonly epochAgeMs?: number;
  readonly options?: LatencyAboveOptions;
}

function verdictOf(treatment: LatencySummary | undefined, facts: Facts = {}) {
  const snapshot = snapshotOf({ lastOutcomeAt: NOW - 7 });
  const { total } = snapshot;
  const control = 'control' in facts ? facts.control : latencyOf(100, 1_000);
  const baseline: Baseline = {
    control: facts.baseline && {
      during: 'rollout',
      since: 0,
      until: NOW - 50 * 3_600_000,
      successes: 1,
      failures: 0,
      complaints: 0,
      latency: facts.baseline,
    },
  };
  return latencyAbove(1.2, facts.options).evaluate(
    {
      ...snapshot,
      epochStartedAt: NOW - (facts.epochAgeMs ?? 10 * MINUTE),
      total: {
        treatment: { ...total.treatment, latency: treatment },
        control: { ...total.control, latency: control },
      },
      baseline,
    },
    NOW,
  );
}

describe('latencyAbove', () => {
  it.each<[string, LatencySummary, string, number]>([
    ['exactly the ratio', latencyOf(120, 1_200), 'ok', 1.2],
    ['a slow median', latencyOf(121, 1_000), 'breach', 1.21],
    ['a slow tail', latencyOf(100, 1_300), 'breach', 1.3],
    ['a faster treatment', latencyOf(50, 400), 'ok', 0.5],
  ])('is $2 for %s', (_what, treatment, status, observed) => {
    expect(verdictOf(treatment)).toMatchObject({
      status,
      observed,
      threshold: 1.2,
      sampleSize: { treatment: 100, control: 100 },
      windowMs: 10 * MINUTE,
      freshnessMs: 7,
    });
  });

  it.each<[string, LatencySummary | undefined, Facts]>([
    ['no success', undefined, {}],
    ['one success too few', latencyOf(999, 999, 99), {}],
    ['a young rollout', latencyOf(999, 999), { epochAgeMs: 10 * MINUTE - 1 }],
    ['a small control', latencyOf(999, 999), { control: latencyOf(1, 1, 99) }],
    ['no control', latencyOf(999, 999), { control: undefined }],
    [
      'a small control, now and before',
      latencyOf(999, 999),
      { control: undefined, baseline: latencyOf(1, 1, 99) },
    ],
    ['durations that are 0', latencyOf(999, 999), { control: latencyOf(0, 0) }],
  ])('has no verdict on %s', (_what, treatment, facts) => {
    expect(verdictOf(treatment, facts)).toMatchObject({ status: 'insufficient-data', observed: undefined });
  });

  it('compares with the recorded control when none runs at the same time, and shows how old that is', () => {
    const baseline = latencyOf(200, 2_000, 5_000);
    expect(verdictOf(latencyOf(150, 1_500), { baseline }).status).toBe('breach');
    expect(verdictOf(latencyOf(300, 2_000), { control: undefined, baseline })).toMatchObject({
      status: 'breach',
      observed: 1.5,
      sampleSize: { treatment: 100, control: 5_000 },
      message:
        "The treatment's p50 is 300 ms, 1.5× the control's 200 ms (100 successes, and 5,000 outcomes of the control beside the treatment, the last 2 d ago): above 1.2×.",
    });
  });

  it.each<[LatencyAboveOptions, string]>([
    [{ quantile: 'p50' }, 'ok'],
    [{ quantile: 'p95' }, 'breach'],
    [{ quantile: ['p50', 'p99'] }, 'breach'],
    [{ minOutcomes: 101 }, 'insufficient-data'],
    [{ forMs: 11 * MINUTE }, 'insufficient-data'],
  ])('is $1 with the options %o', (options, status) => {
    expect(verdictOf(latencyOf(100, 1_300), { options }).status).toBe(status);
  });

  it.each<[number, object, RegExp]>([
    [0, {}, /ratio: expected a number above 0/],
    [1.2, { quantile: 'p42' }, /quantile: expected 'p50', 'p95' or 'p99'/],
    [1.2, { quantile: [] }, /quantile/],
    [1.2, { forMs: -1 }, /forMs/],
  ])('refuses %d with %o', (ratio, options, message) => {
    expect(() => latencyAbove(ratio, options)).toThrow(message);
  });
});
