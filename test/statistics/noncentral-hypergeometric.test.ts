import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { BlockCounts } from '../../src/statistics/evidence-state.js';
import {
  likelihoodRatios,
  logNoncentralHypergeometric,
} from '../../src/statistics/noncentral-hypergeometric.js';
import { golden, relativeError } from './golden.js';

interface Margins {
  readonly treatmentTrials: number;
  readonly controlTrials: number;
  /** Of both arms together. */
  readonly failures: number;
  readonly treatmentFailures: number;
}

const blockOf = ({ treatmentTrials, controlTrials, failures, treatmentFailures }: Margins): BlockCounts => ({
  treatment: { trials: treatmentTrials, failures: treatmentFailures },
  control: { trials: controlTrials, failures: failures - treatmentFailures },
});

describe('logNoncentralHypergeometric', () => {
  it.each(golden.conditional_block.cases)(
    'agrees with SciPy for %d treatment and %d control trials, %d failures, %d of them in the treatment, odds %d to %d',
    (treatmentTrials, controlTrials, failures, treatmentFailures, alternative, tolerated, expected) => {
      const block = blockOf({
        treatmentTrials: treatmentTrials!,
        controlTrials: controlTrials!,
        failures: failures!,
        treatmentFailures: treatmentFailures!,
      });
      const logRatio =
        logNoncentralHypergeometric(block, alternative!) - logNoncentralHypergeometric(block, tolerated!);
      expect(relativeError(logRatio, expected!)).toBeLessThan(1e-9);
    },
  );

  it.each([
    { treatmentTrials: 5, controlTrials: 5, failures: 4, oddsRatio: 3 },
    { treatmentTrials: 2, controlTrials: 30, failures: 31, oddsRatio: 0.2 },
    { treatmentTrials: 40, controlTrials: 60, failures: 50, oddsRatio: 2000 },
    { treatmentTrials: 3000, controlTrials: 5000, failures: 2500, oddsRatio: 1.5 },
  ])(
    'adds up to one over all outcomes of $treatmentTrials against $controlTrials',
    ({ oddsRatio, ...block }) => {
      let sum = 0;
      const least = Math.max(0, block.failures - block.controlTrials);
      for (let x = least; x <= Math.min(block.failures, block.treatmentTrials); x++) {
        sum += Math.exp(logNoncentralHypergeometric(blockOf({ ...block, treatmentFailures: x }), oddsRatio));
      }
      expect(sum).toBeCloseTo(1, 10);
    },
  );

  it('stays finite where the probability is far too small for a double', () => {
    const block = { treatmentTrials: 5000, controlTrials: 5000, failures: 4000, treatmentFailures: 4000 };
    // Checked with exact integers: log(C(5000, 4000) / C(10000, 4000)).
    expect(relativeError(logNoncentralHypergeometric(blockOf(block), 1), -4227.5553073684)).toBeLessThan(
      1e-11,
    );
    expect(logNoncentralHypergeometric(blockOf({ ...block, treatmentFailures: 0 }), 2000)).toBeGreaterThan(
      -1e6,
    );
  });
});

describe('likelihoodRatios', () => {
  const possible = fc
    .tuple(fc.nat(60), fc.nat(60), fc.nat(60), fc.nat(60))
    .map(([treatmentFailures, treatmentSuccesses, controlFailures, controlSuccesses]) => ({
      treatmentTrials: treatmentFailures + treatmentSuccesses,
      controlTrials: controlFailures + controlSuccesses,
      failures: treatmentFailures + controlFailures,
      treatmentFailures,
    }));

  it('gives what the logarithms give', () => {
    const alternatives = Float64Array.of(1.8, 12, 60);
    const ratios = new Float64Array(3);
    fc.assert(
      fc.property(possible, (block) => {
        const { treatmentTrials, controlTrials, failures } = block;
        const range = Math.min(treatmentTrials, failures) - Math.max(0, failures - controlTrials);
        expect(likelihoodRatios(blockOf(block), 1.2, alternatives, ratios)).toBe(range < 64);
        if (range >= 64) return;
        const logNull = logNoncentralHypergeometric(blockOf(block), 1.2);
        for (const [k, alternative] of alternatives.entries()) {
          const expected = Math.exp(logNoncentralHypergeometric(blockOf(block), alternative) - logNull);
          expect(Math.abs(ratios[k]! - expected)).toBeLessThanOrEqual(1e-10 * expected + 1e-300);
        }
      }),
    );
  });

  it('leaves to the logarithms what a double cannot represent', () => {
    const block = { treatmentTrials: 1e9, controlTrials: 1e9, failures: 60, treatmentFailures: 60 };
    expect(likelihoodRatios(blockOf(block), 1e-6, Float64Array.of(1), new Float64Array(1))).toBe(false);
  });
});
