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
        const mixture = new RestartMixture({ alternatives: 3, horizon });
        for (const row of factors) mixture.step(Float64Array.from(row));
        expect(Math.exp(mixture.logE) / literal(factors, horizon)).toBeCloseTo(1, 10);
      }),
    );
  });

  it('accepts logarithms of factors as well', () => {
    fc.assert(
      fc.property(rows, (factors) => {
        const linear = new RestartMixture({ alternatives: 3, horizon: 20 });
        const logarithmic = new RestartMixture({ alternatives: 3, horizon: 20 });
        for (const row of factors) {
          linear.step(Float64Array.from(row));
          logarithmic.stepLog(Float64Array.from(row, Math.log));
        }
        expect(logarithmic.logE).toBeCloseTo(linear.logE, 9);
      }),
    );
  });

  it('keeps the whole stake while no factor differs from 1, before and after the horizon', () => {
    const mixture = new RestartMixture({ alternatives: 8, horizon: 10 });
    for (let step = 0; step < 1_000; step++) mixture.step(new Float64Array(8).fill(1));
    expect(mixture.logE).toBeCloseTo(0, 12);
    for (let step = 0; step < 1_000; step++) mixture.idle();
    mixture.step(new Float64Array(8).fill(1));
    expect(mixture.logE).toBeCloseTo(0, 12);
  });

  it('never overflows, in one step or in many', () => {
    const mixture = new RestartMixture({ alternatives: 2, horizon: 100 });
    for (let step = 0; step < 10_000; step++) mixture.step(Float64Array.of(1e3, 1e-3));
    expect(mixture.logE).toBeCloseTo(10_000 * Math.log(1e3) + Math.log(0.25), 0);
    mixture.stepLog(Float64Array.of(5_000, -5_000));
    expect(mixture.logE).toBeCloseTo(10_000 * Math.log(1e3) + 5_000 + Math.log(0.25), 0);
  });

  it('never falls below the stake that is left for later', () => {
    const mixture = new RestartMixture({ alternatives: 2, horizon: 10 });
    for (let step = 0; step < 5_000; step++) mixture.step(Float64Array.of(0.5, 0.4));
    expect(mixture.logE).toBeGreaterThan(Math.log((0.5 * 0.1 * 10) / 5_000));
  });

  it('finds harm that begins long after the horizon', () => {
    const mixture = new RestartMixture({ alternatives: 1, horizon: 100 });
    for (let step = 0; step < 10_000; step++) mixture.step(Float64Array.of(0.5));
    for (let step = 0; step < 40; step++) mixture.step(Float64Array.of(2));
    expect(mixture.logE).toBeGreaterThanOrEqual(Math.log(20));
  });

  it('remembers the largest evidence', () => {
    const mixture = new RestartMixture({ alternatives: 1, horizon: 100 });
    mixture.step(Float64Array.of(100));
    const peak = mixture.logE;
    mixture.step(Float64Array.of(0.001));
    expect(mixture.logE).toBeLessThan(peak);
    expect(mixture.peakLogE).toBe(peak);
  });

  it('continues from its JSON exactly where it was', () => {
    fc.assert(
      fc.property(rows, rows, (before, after) => {
        const original = new RestartMixture({ alternatives: 3, horizon: 30 });
        for (const row of before) original.step(Float64Array.from(row));
        const restored = new RestartMixture({ alternatives: 3, horizon: 30 });
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
    { weights: [1, 1], logScale: 0, steps: 0, peakLogE: 0, total: 1, peak: 1 },
    { weights: [1, 1, Number.NaN], logScale: 0, steps: 0, peakLogE: 0, total: 1, peak: 1 },
    { weights: [1, 1, 1], logScale: 0, steps: 0, peakLogE: 0, total: -1, peak: 1 },
    { weights: [1, 1, 1], logScale: 0, steps: 0, peakLogE: 0, total: 1e9, peak: 1 },
    { weights: [1, 1, 1], logScale: 0, steps: -1, peakLogE: 0, total: 1, peak: 1 },
  ])('refuses the state %j of another mixture', (state) => {
    expect(() => new RestartMixture({ alternatives: 3, horizon: 9 }).restore(state)).toThrow('state');
  });
});
