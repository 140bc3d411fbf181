import { describe, expect, it, vi } from 'vitest';
import { errorRateAbove } from '../../../src/triggers/error-rate-above.js';
import { failureRegression } from '../../../src/triggers/event-regression.js';
import { successRateBelow } from '../../../src/triggers/success-rate-below.js';
import { describeSimulation } from '../../../src/what-if/simulate/describe.js';
import { type Service, scenariosOf } from '../../../src/what-if/simulate/scenarios.js';
import { characterise, proportionOf, simulate } from '../../../src/what-if/simulate/simulation.js';

const SERVICE: Service = {
  shares: [0.1, 0.5],
  stageMs: 120_000,
  requestsPerSecond: 10,
  controlFailureRate: 0.01,
  treatmentFailureRate: 0.5,
  users: 300,
  latencyMs: 100,
  slowdown: 1,
};
const rules = { rollback: [failureRegression()] };

const scenarioOf = (name: string, changes: Partial<Service> = {}) =>
  scenariosOf({ ...SERVICE, ...changes }).find((scenario) => scenario.name === name)!;

describe('simulate', () => {
  const run = (seed = 1) => simulate({ rules, service: SERVICE, replicates: 4, seed });
  const simulation = run();

  it('gives the same result for the same seed, and another for another seed', () => {
    expect(run()).toEqual(simulation);
    expect(run(2)).not.toEqual(simulation);
  });

  it.each([Date.UTC(2026, 0), Number.MAX_SAFE_INTEGER])('plays rollouts that differ with seed %d', (seed) => {
    const { minutes } = characterise(rules, scenarioOf('harm'), { replicates: 10, seed });
    expect(minutes.p95).toBeGreaterThan(minutes.median!);
  });

  it('stops every harmful rollout and no healthy one, by the user’s own rules', () => {
    for (const { name, harmful, stopped, stoppedBy } of simulation.scenarios) {
      expect({ name, rate: stopped.rate }).toEqual({ name, rate: harmful ? 1 : 0 });
      expect(stoppedBy).toEqual(harmful ? [{ trigger: 'failure-regression', count: 4 }] : []);
    }
  });

  it('counts the time and the harm of late harm from when it begins', () => {
    const late = simulation.scenarios.find(({ name }) => name === 'late harm')!;
    expect(late.minutes.p95).toBeLessThan(1);
    expect(late.harmedCalls.median).toBeGreaterThan(0);
    expect(late.harmedCalls.median).toBeLessThan(late.treatmentCalls.median! + 1);
  });

  it('counts what a rule in dry run would have stopped, and lets the rollout go on', () => {
    const dry = { rollback: [failureRegression({ dryRun: true, name: 'tried' })] };
    const found = characterise(dry, scenarioOf('harm'), { replicates: 3, seed: 1 });
    expect(found).toMatchObject({
      stopped: { count: 0 },
      wouldHaveStopped: [{ trigger: 'tried', count: 3 }],
    });
    const text = describeSimulation({ ...simulation, replicates: 3, scenarios: [found] });
    expect(text).toContain('tried (dry run) 3');
  });

  it('shows that a bare literal rule stops healthy rollouts, and the same one beyond chance does not', () => {
    const service = { ...SERVICE, controlFailureRate: 0.04, treatmentFailureRate: 0.04 };
    const [healthy] = scenariosOf(service);
    const rateOf = (rule: ReturnType<typeof successRateBelow>) =>
      characterise({ rollback: [rule] }, healthy!, { replicates: 12, seed: 3 }).stopped.rate;
    expect(rateOf(successRateBelow(0.95, { strict: true }))).toBeGreaterThan(0.5);
    expect(rateOf(successRateBelow(0.95))).toBeLessThan(0.1);
  });

  it('does not blame the treatment for an outage that both arms share', () => {
    const given = { rollback: [errorRateAbove(0.05), failureRegression()] };
    const { stopped, reviews } = characterise(given, scenarioOf('shared outage'), { replicates: 5, seed: 4 });
    expect(stopped.count).toBe(0);
    expect(reviews).toEqual([{ trigger: 'shared-outage', count: 5 }]);
  });

  it('has no harm to play where the treatment is as good as the control', () => {
    const scenarios = scenariosOf({ ...SERVICE, treatmentFailureRate: SERVICE.controlFailureRate });
    expect(scenarios.every(({ harmful }) => !harmful)).toBe(true);
    const text = describeSimulation({ service: SERVICE, replicates: 1, seed: 1, scenarios: [] });
    expect(text).not.toContain('does harm');
  });

  it('reports progress up to the end', () => {
    const onProgress = vi.fn();
    const service = { ...SERVICE, stageMs: 1_000 };
    simulate({ rules, service, replicates: 2, seed: 1, onProgress });
    const [done, total] = onProgress.mock.lastCall!;
    expect(done).toBe(total);
    expect(onProgress).toHaveBeenCalledTimes(total);
  });

  it('is described in words and in tables', () => {
    const text = describeSimulation(simulation);
    expect(text).toContain('10, 50 % of 10 requests/s, 2 min each; the control fails 1 %.\n4 whole rollouts');
    expect(text).toMatch(/\n {2}healthy +0 of 4 +0 %–49 % +0 of 4 +–\n/);
    expect(text).toMatch(/\n {2}harm +4 of 4 .* failure-regression 4\n/);
    expect(text).toContain('  harm: the treatment fails 50 % from the start\n');
    for (const line of text.split('\n')) expect(line.length).toBeLessThanOrEqual(120);
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
