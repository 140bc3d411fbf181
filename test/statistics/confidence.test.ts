import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  betaBinomialLogMixture,
  rateConfidenceInterval,
  rateUpperBound,
} from '../../src/statistics/confidence.js';
import { golden, relativeError } from './golden.js';

const someTrials = fc
  .tuple(fc.integer({ min: 0, max: 3_000 }), fc.double({ min: 0, max: 1, noNaN: true }))
  .map(([trials, share]) => ({ trials, failures: Math.round(trials * share) }));

describe('betaBinomialLogMixture', () => {
  it.each(golden.log_beta_binomial_mixture.cases)(
    'agrees with confseq for $failures failures of $n against 5 %',
    ({ n, failures, logE }) => {
      // confseq's v_opt = 4.75 is the variance of 100 trials.
      const mixture = betaBinomialLogMixture(failures, n, 0.05, { optimalTrials: 100, oneSided: true });
      expect(relativeError(mixture, logE)).toBeLessThan(1e-9);
    },
  );

  it.each([true, false])('has expectation 1 under the null (one-sided: %s)', (oneSided) => {
    const rate = 0.3;
    let expectation = 0;
    let ways = 1;
    for (let count = 0; count <= 20; count++) {
      const chance = ways * rate ** count * (1 - rate) ** (20 - count);
      const logE = betaBinomialLogMixture(count, 20, rate, { optimalTrials: 50, oneSided });
      expectation += chance * Math.exp(logE);
      ways = (ways * (20 - count)) / (count + 1);
    }
    expect(expectation).toBeCloseTo(1, 12);
  });
});

describe('rateConfidenceInterval', () => {
  it.each(golden.bernoulli_confidence_interval.cases)(
    'agrees with confseq to its printed digits for $successes of $n',
    ({ successes, n, alpha, tOpt, interval }) => {
      const { lower, upper } = rateConfidenceInterval({ trials: n, failures: successes }, alpha, tOpt);
      expect(Math.abs(lower - interval[0])).toBeLessThan(1e-6);
      expect(Math.abs(upper - interval[1])).toBeLessThan(1e-6);
    },
  );

  it('is 0 to 1 without trials', () => {
    expect(rateConfidenceInterval({ trials: 0, failures: 0 }, 0.05)).toEqual({ lower: 0, upper: 1 });
  });

  it('contains what was observed, mirrors when failures and successes swap, and widens as alpha falls', () => {
    fc.assert(
      fc.property(someTrials, (counts) => {
        const { lower, upper } = rateConfidenceInterval(counts, 0.05);
        const observed = counts.trials === 0 ? 0.5 : counts.failures / counts.trials;
        expect(lower).toBeLessThanOrEqual(observed);
        expect(upper).toBeGreaterThanOrEqual(observed);
        const mirrored = { trials: counts.trials, failures: counts.trials - counts.failures };
        const mirror = rateConfidenceInterval(mirrored, 0.05);
        expect(1 - mirror.upper).toBeCloseTo(lower, 9);
        const wider = rateConfidenceInterval(counts, 0.01);
        expect(wider.lower).toBeLessThanOrEqual(lower);
        expect(wider.upper).toBeGreaterThanOrEqual(upper);
      }),
    );
  });

  it('narrows as trials come in', () => {
    const width = (trials: number) => {
      const { lower, upper } = rateConfidenceInterval({ trials, failures: trials / 100 }, 0.05);
      return upper - lower;
    };
    const widths = [100, 1_000, 10_000, 100_000].map(width);
    expect(widths).toEqual([...widths].sort((a, b) => b - a));
    expect(widths.at(-1)).toBeLessThan(0.005);
  });
});

describe('rateUpperBound', () => {
  it('lies between the observed rate and the upper end of the two-sided interval', () => {
    fc.assert(
      fc.property(someTrials, (counts) => {
        const bound = rateUpperBound(counts, 0.05);
        expect(bound).toBeGreaterThanOrEqual(counts.trials === 0 ? 1 : counts.failures / counts.trials);
        expect(bound).toBeLessThanOrEqual(rateConfidenceInterval(counts, 0.05).upper + 1e-12);
      }),
    );
  });

  it('is 1 when everything failed, and without trials', () => {
    expect(rateUpperBound({ trials: 5, failures: 5 }, 0.01)).toBe(1);
    expect(rateUpperBound({ trials: 0, failures: 0 }, 0.01)).toBe(1);
  });
});
