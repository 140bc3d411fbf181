import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RestartMixture } from '../../src/statistics/restart-mixture.js';

/** The process as it is written down, with plain numbers, to compare with. */
function literal(factors: readonly number[][], horizon: number): number {
  const alternatives = factors[0]!.length;
  const weights: number[] = new Array(alternatives).fill(0.5 / alternatives);
  let remaining = 0.5;
  for (const [step, row] of factors.entries()) {
    const t = (step + 1) / horizon;
    const released = remaining - (t <= 1 ? 0.5 * (1 - 0.9 * t) : (0.5 * 0.1) / t);
    remaining -= released;
    for (const [k, e] of row.entries()) weights[k] = (weights[k]! + released / alternatives) * e;
  }
  return weights.reduce((sum, weight) => sum + weight, remaining);
}

const rows = fc.array(
  fc.array(fc.double({ min: 0.01, max: 50, noNaN: true }), { minLength: 3, maxLength: 3 }),
  {
    minLength: 1,
    maxLength: 40,
  },
);

describe('RestartMixture', () => {
  it('is the process of its definition', () => {
    fc.assert(
      fc.property(rows, fc.integer({ min: 1, max: 60 }), (factors, horizon) => {
        const mixture = new RestartMixture({ alternatives: 3, horizon, tail: 0.1 });
        for (const row of factors) mixture.step(Float64Array.from(row));
        expect(Math.exp(mixture.logE) / literal(factors, horizon)).toBeCloseTo(1, 10);
      }),
    );
  });

  it('accepts logarithms of factors as well', () => {
    fc.assert(
      fc.property(rows, (factors) => {
        const linear = new RestartMixture({ alternatives: 3, horizon: 20, tail: 0.1 });
        const logarithmic = new RestartMixture({ alternatives: 3, horizon: 20, tail: 0.1 });
        for (const row of factors) {
          linear.step(Float64Array.from(row));
          logarithmic.stepLog(Float64Array.from(row, Math.log));
        }
        expect(logarithmic.logE).toBeCloseTo(linear.logE, 9);
      }),
    );
  });

  it('keeps the whole stake while no factor differs from 1, before and after the horizon', () => {
    const mixture = new RestartMixture({ alternatives: 8, horizon: 10, tail: 0.1 });
    for (let step = 0; step < 1_000; step++) mixture.step(new Float64Array(8).fill(1));
    expect(mixture.logE).toBeCloseTo(0, 12);
    const ones = () => new Float64Array(8).fill(0);
    mixture.stepLog(ones(), 1_000);
    expect(mixture.logE).toBeCloseTo(0, 12);
  });

  it('never overflows, in one step or in many', () => {
    const mixture = new RestartMixture({ alternatives: 2, horizon: 100, tail: 0.1 });
    for (let step = 0; step < 10_000; step++) mixture.step(Float64Array.of(1e3, 1e-3));
    expect(mixture.logE).toBeCloseTo(10_000 * Math.log(1e3) + Math.log(0.25), 0);
    mixture.stepLog(Float64Array.of(5_000, -5_000));
    expect(mixture.logE).toBeCloseTo(10_000 * Math.log(1e3) + 5_000 + Math.log(0.25), 0);
  });

  it('never falls below the stake that is left for later', () => {
    const mixture = new RestartMixture({ alternatives: 2, horizon: 10, tail: 0.1 });
    for (let step = 0; step < 5_000; step++) mixture.step(Float64Array.of(0.5, 0.4));
    expect(mixture.logE).toBeGreaterThan(Math.log((0.5 * 0.1 * 10) / 5_000));
  });

  it('finds harm that begins long after the horizon', () => {
    const mixture = new RestartMixture({ alternatives: 1, horizon: 100, tail: 0.1 });
    for (let step = 0; step < 10_000; step++) mixture.step(Float64Array.of(0.5));
    for (let step = 0; step < 40; step++) mixture.step(Float64Array.of(2));
    expect(mixture.logE).toBeGreaterThanOrEqual(Math.log(20));
  });

  it('remembers the largest evidence', () => {
    const mixture = new RestartMixture({ alternatives: 1, horizon: 100, tail: 0.1 });
    mixture.step(Float64Array.of(100));
    const peak = mixture.logE;
    mixture.step(Float64Array.of(0.001));
    expect(mixture.logE).toBeLessThan(peak);
    expect(mixture.peakLogE).toBe(peak);
  });

  it('spends everything within the horizon without a tail', () => {
    const mixture = new RestartMixture({ alternatives: 1, horizon: 10, tail: 0 });
    for (let step = 0; step < 10; step++) mixture.step(Float64Array.of(1e-9));
    expect(mixture.logE).toBeLessThan(Math.log(1e-9));
  });

  it('says which alternatives were never less likely, and which one explains best what came since', () => {
    const run = fc.property(rows, fc.boolean(), (factors, isLogarithmic) => {
      const mixture = new RestartMixture({ alternatives: 3, horizon: 20, tail: 0.1 });
      // The likelihood ratio of all steps, and its lowest value.
      const sums = [0, 0, 0];
      const lowest = [0, 0, 0];
      expect(mixture.lowest).toBe(0b111);
      for (const row of factors) {
        const returned = isLogarithmic
          ? mixture.stepLog(Float64Array.from(row, Math.log))
          : mixture.step(Float64Array.from(row));
        expect(returned).toBe(mixture.lowest);
        for (let k = 0; k < 3; k++) {
          sums[k]! += Math.log(row[k]!);
          lowest[k] = Math.min(lowest[k]!, sums[k]!);
          const excess = sums[k]! - lowest[k]!;
          if (excess > 1e-6) expect((mixture.lowest >> k) & 1).toBe(0);
          if (excess === 0) expect((mixture.lowest >> k) & 1).toBe(1);
        }
      }
      const excesses = sums.map((sum, k) => sum - lowest[k]!);
      const largest = Math.max(...excesses);
      if (largest < 200) expect(excesses[mixture.strongest]).toBeCloseTo(largest, 6);
    });
    fc.assert(run);
  });

  it('continues from its JSON exactly where it was', () => {
    fc.assert(
      fc.property(rows, rows, (before, after) => {
        const original = new RestartMixture({ alternatives: 3, horizon: 30, tail: 0.1 });
        for (const row of before) original.step(Float64Array.from(row));
        const restored = new RestartMixture({ alternatives: 3, horizon: 30, tail: 0.1 });
        restored.restore(JSON.parse(JSON.stringify(original)));
        expect(restored.logE).toBe(original.logE);
        expect(restored.toJSON()).toEqual(original.toJSON());
        for (const row of after) {
          original.step(Float64Array.from(row));
          restored.step(Float64Array.from(row));
        }
        expect(restored.logE).toBe(original.logE);
        expect(restored.peakLogE).toBe(original.peakLogE);
      }),
    );
  });

  it.each([
    { weights: [1, 1] },
    { weights: [1, 1, Number.NaN] },
    { total: -1 },
    { total: 1e9 },
    { steps: -1 },
    { sinceLowest: [1, 1] },
  ])('refuses a state with %j, of another mixture', (fault) => {
    const whole = {
      weights: [1, 1, 1],
      sinceLowest: [1, 1, 1],
      logScale: 0,
      steps: 0,
      peakLogE: 0,
      total: 3.5,
      peak: 1,
    };
    const mixture = () => new RestartMixture({ alternatives: 3, horizon: 9, tail: 0.1 });
    expect(() => mixture().restore(whole)).not.toThrow();
    expect(() => mixture().restore({ ...whole, ...fault })).toThrow('state');
  });
});
