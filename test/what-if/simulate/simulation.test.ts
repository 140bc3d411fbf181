import { describe, expect, it, vi } from 'vitest';
import { simulateFailures } from '../../../bench/statistics/simulation.js';
import { TwoSampleTest } from '../../../src/statistics/two-sample.js';
import { failureRegression } from '../../../src/triggers/failure-regression.js';
import { successRateBelow } from '../../../src/triggers/success-rate-below.js';
import { drawSimulation } from '../../../src/what-if/simulate/chart.js';
import { describeSimulation, formatMinutes } from '../../../src/what-if/simulate/describe.js';
import type { Scenario } from '../../../src/what-if/simulate/rollout.js';
import { characterise, proportionOf, simulate } from '../../../src/what-if/simulate/simulation.js';

const SCENARIO: Scenario = {
  share: 0.1,
  controlFailureRate: 0.01,
  treatmentFailureRate: 0.3,
  requestsPerSecond: 10,
  durationMs: 300_000,
  latencyMs: 100,
  slowdown: 1,
};
const rules = { rollback: [failureRegression()] };

describe('simulate', () => {
  const run = () => simulate({ rules, scenario: SCENARIO, replicates: 40, seed: 1 });
  const simulation = run();

  it('gives the same result for the same seed, and another for another seed', () => {
    expect(run()).toEqual(simulation);
    expect(simulate({ rules, scenario: SCENARIO, replicates: 40, seed: 2 })).not.toEqual(simulation);
  });

  it.each([Date.UTC(2026, 0), Number.MAX_SAFE_INTEGER])('plays rollouts that differ with seed %d', (seed) => {
    const { minutes } = characterise(rules, SCENARIO, { replicates: 20, seed });
    expect(minutes.p95).toBeGreaterThan(minutes.median!);
  });

  it('has no heading for rises where everything fails already', () => {
    const scenario = { ...SCENARIO, controlFailureRate: 1, treatmentFailureRate: 1, durationMs: 1_000 };
    const text = describeSimulation(simulate({ rules, scenario, replicates: 1, seed: 1 }));
    expect(text).not.toContain('What can be detected');
  });

  it('agrees with the benchmark of the test itself', () => {
    // Share 10 %, 30 % against 1 % failing: 9 treatment outcomes in the median, 25 at the 95th percentile.
    const { stopped, treatmentRequests } = characterise(rules, SCENARIO, { replicates: 300, seed: 5 });
    const benchmark = simulateFailures(
      { seed: 5, replicates: 300, observations: 20_000, share: 0.1, controlRate: 0.01, treatmentRate: 0.3 },
      {
        regression: () => {
          const test = new TwoSampleTest();
          return {
            observe: (treated, failed) =>
              test.observe(treated ? 'treatment' : 'control', failed) && test.breached,
          };
        },
      },
    ).regression;
    expect(stopped.rate).toBe(1);
    expect(Math.abs(treatmentRequests.median! - benchmark.delay(0.5))).toBeLessThanOrEqual(2);
    expect(treatmentRequests.p95! / benchmark.delay(0.95)).toBeGreaterThan(0.7);
    expect(treatmentRequests.p95! / benchmark.delay(0.95)).toBeLessThan(1.4);
  });

  it('stays within alpha where a literal rule does not', () => {
    const scenario = {
      ...SCENARIO,
      controlFailureRate: 0.05,
      treatmentFailureRate: 0.05,
      durationMs: 600_000,
    };
    const { healthy, actual } = simulate({ rules, scenario, replicates: 60, seed: 3 });
    expect(actual).toBe(healthy);
    // With a chance of 0.05 each, 8 or more of 60 come once in 100 times; the test's own rate is about .02.
    expect(healthy.stopped.count).toBeLessThan(8);
    const literal = { rollback: [successRateBelow(0.95, { minOutcomes: 100 })] };
    expect(characterise(literal, scenario, { replicates: 60, seed: 3 }).stopped.rate).toBeGreaterThan(0.5);
  });

  it('reports progress up to the end', () => {
    const onProgress = vi.fn();
    simulate({ rules, scenario: { ...SCENARIO, durationMs: 1_000 }, replicates: 20, seed: 1, onProgress });
    const [done, total] = onProgress.mock.lastCall!;
    expect(done).toBe(total);
    expect(onProgress).toHaveBeenCalledTimes(total);
  });

  it('is described in words', () => {
    const text = describeSimulation(simulation);
    expect(text).toContain('10 % of 10 requests/s, for 5 min. 40 simulated rollouts, seed 1.');
    expect(text).toMatch(
      /If the treatment is as good as the control \(1 % fail\):\n {2}stopped by accident {3}\d/,
    );
    expect(text).toMatch(/If the treatment fails 30 %:\n {2}stopped {15}100 % of rollouts \(40;/);
    expect(text).toMatch(
      /a rise to 100 % {6}takes about [\d.]+ s \(95 % within [\d.]+ s; \d treatment requests\)/,
    );
    expect(text).toMatch(/a rise to 2 % {8}is not found reliably within 5 min/);
  });

  it('is drawn as a picture that can stand alone', async () => {
    const svg = await drawSimulation(simulation);
    expect(svg).toMatch(/^<svg [^>]*xmlns="http:\/\/www.w3.org\/2000\/svg"/);
    expect(svg).toContain('<desc>10 % of 10 requests/s, for 5 min.');
    expect(svg).toContain('2 %: not in time');
  });
});

describe('proportionOf', () => {
  it.each([
    // Wilson's interval, as SciPy's binomtest(k, n).proportion_ci(method="wilson") gives it.
    [0, 200, 0, 0.018845],
    [10, 200, 0.027383, 0.089578],
    [200, 200, 0.981155, 1],
  ])('of %d in %d lies between %d and %d', (count, total, lower, upper) => {
    const proportion = proportionOf(count, total);
    expect(proportion.lower).toBeCloseTo(lower, 6);
    expect(proportion.upper).toBeCloseTo(upper, 6);
  });
});

describe('formatMinutes', () => {
  it.each([
    [0.05, '3 s'],
    [0.99, '59 s'],
    [1.234, '1.2 min'],
    [45.61, '45.6 min'],
    [150, '2.5 h'],
  ])('says %d min as %s', (minutes, text) => {
    expect(formatMinutes(minutes)).toBe(text);
  });
});
