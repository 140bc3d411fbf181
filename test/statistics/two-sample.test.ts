import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { BlockCounts } from '../../src/statistics/evidence-state.js';
import { likelihoodRatios } from '../../src/statistics/noncentral-hypergeometric.js';
import { RestartMixture } from '../../src/statistics/restart-mixture.js';
import { ODDS_RATIOS, TwoSampleTest } from '../../src/statistics/two-sample.js';
import { golden, relativeError } from './golden.js';

const counts = (
  treatmentTrials: number,
  controlTrials: number,
  treatmentFailures: number,
  controlFailures: number,
): BlockCounts => ({
  treatment: { trials: treatmentTrials, failures: treatmentFailures },
  control: { trials: controlTrials, failures: controlFailures },
});

/** Outcomes waiting in the open block. */
function pendingTrials(test: TwoSampleTest): number {
  const { treatment, control } = test.toJSON().pending;
  return treatment.trials + control.trials;
}

const outcome = fc.record({ treatment: fc.boolean(), failed: fc.boolean() });
const outcomes = fc.array(outcome, { maxLength: 200 });
/** Fewer than complete a block. */
const oneBlock = fc.array(outcome, { maxLength: 9 });

function chance(trials: number, failures: number, rate: number): number {
  let ways = 1;
  for (let i = 0; i < failures; i++) ways = (ways * (trials - i)) / (i + 1);
  return ways * rate ** failures * (1 - rate) ** (trials - failures);
}

/** E[E] over every outcome of two blocks, weighted with its probability. */
function expectation(ratio: number, treatmentRate: number, controlRate: number): number {
  let sum = 0;
  const sizes = [
    [3, 7],
    [6, 5],
  ] as const;
  const visit = (path: BlockCounts[], probability: number): void => {
    const size = sizes[path.length];
    if (size === undefined) {
      const test = new TwoSampleTest({ ratio });
      for (const block of path) expect(test.observeCounts(block)).toBe(true);
      sum += probability * Math.exp(test.logE);
      return;
    }
    const [treatment, control] = size;
    for (let x = 0; x <= treatment; x++) {
      for (let y = 0; y <= control; y++) {
        const block = counts(treatment, control, x, y);
        const both = chance(treatment, x, treatmentRate) * chance(control, y, controlRate);
        visit([...path, block], probability * both);
      }
    }
  };
  visit([], 1);
  return sum;
}

describe('TwoSampleTest', () => {
  it('agrees with SciPy after each block of the reference', () => {
    // The reference spreads all restarts over 5,000 blocks: as many in each as with nine tenths of them over 4,500.
    const [reference, mixture] = [4_500, 5_000].map(
      (horizon) => new RestartMixture({ alternatives: ODDS_RATIOS.length, horizon }),
    ) as [RestartMixture, RestartMixture];
    const test = new TwoSampleTest();
    const ratios = new Float64Array(ODDS_RATIOS.length);
    for (const [mT, mC, failures, x, expected] of golden.block_mixture_restart.cases) {
      const block = counts(mT!, mC!, x!, failures! - x!);
      expect(likelihoodRatios(block, 1, Float64Array.from(ODDS_RATIOS), ratios)).toBe(true);
      reference.step(ratios);
      mixture.step(ratios);
      expect(relativeError(Math.exp(reference.logE), expected!)).toBeLessThan(1e-9);
      expect(test.observeCounts(block)).toBe(true);
      expect(test.logE).toBe(mixture.logE);
    }
  });

  it.each([
    { ratio: 1, treatment: 0.2, control: 0.2 },
    { ratio: 1, treatment: 0.7, control: 0.7 },
    { ratio: 1, treatment: 0.1, control: 0.3 },
    // odds of 0.5 are twice the odds of 1/3
    { ratio: 2, treatment: 0.5, control: 1 / 3 },
    { ratio: 2, treatment: 0.4, control: 0.4 },
  ])(
    'never grows in expectation: $treatment against $control failing, odds ratio $ratio tolerated',
    (hypothesis) => {
      const { ratio, treatment, control } = hypothesis;
      const odds = treatment / (1 - treatment) / (control / (1 - control));
      const expected = expectation(ratio, treatment, control);
      expect(expected).toBeLessThanOrEqual(1 + 1e-12);
      if (Math.abs(odds - ratio) < 1e-12) expect(expected).toBeCloseTo(1, 12);
    },
  );

  it('closes a block by its size alone: both arms, and enough of both', () => {
    const test = new TwoSampleTest();
    for (let i = 0; i < 30; i++) expect(test.observe('control', i % 2 === 0)).toBe(false);
    expect(test.observe('treatment', false)).toBe(true);
    for (let i = 0; i < 9; i++) expect(test.observe(i === 0 ? 'control' : 'treatment', true)).toBe(false);
    expect(pendingTrials(test)).toBe(9);
    expect(test.observe('treatment', true)).toBe(true);
    expect(pendingTrials(test)).toBe(0);
  });

  it('closes blocks at the same outcomes whatever their results', () => {
    fc.assert(
      fc.property(outcomes, fc.infiniteStream(fc.boolean()), (sequence, others) => {
        const test = new TwoSampleTest();
        const shadow = new TwoSampleTest();
        for (const { treatment, failed } of sequence) {
          const arm = treatment ? 'treatment' : 'control';
          expect(shadow.observe(arm, others.next().value)).toBe(test.observe(arm, failed));
        }
      }),
    );
  });

  it('lets a clock close a small block, unless an arm is missing', () => {
    const test = new TwoSampleTest();
    test.observe('control', false);
    test.observe('control', false);
    expect(test.closeBlock()).toBe(false);
    expect(pendingTrials(test)).toBe(2);
    test.observe('treatment', true);
    expect(test.closeBlock()).toBe(true);
    expect(test.logE).toBeGreaterThan(0);
  });

  it('counts a block the same in any order and by any number of processes', () => {
    fc.assert(
      fc.property(oneBlock, fc.integer({ min: 1, max: 5 }), (sequence, processes) => {
        const whole = new TwoSampleTest();
        const fleet = Array.from({ length: processes }, () => new TwoSampleTest());
        for (const [i, { treatment, failed }] of sequence.entries()) {
          const arm = treatment ? 'treatment' : 'control';
          whole.observe(arm, failed);
          fleet[i % processes]!.observe(arm, failed);
        }
        const merged = new TwoSampleTest();
        for (const { totals } of fleet) merged.observeCounts(totals);
        whole.closeBlock();
        merged.closeBlock();
        expect(merged.toJSON()).toEqual(whole.toJSON());
      }),
    );
  });

  it('breaches after two of two treatment outcomes failed at a share of 1 %', () => {
    const test = new TwoSampleTest();
    for (let i = 0; i < 2; i++) {
      test.observeCounts(counts(0, 99, 0, 1));
      test.observe('treatment', true);
    }
    expect(test.totals.treatment).toEqual({ trials: 2, failures: 2 });
    expect(test.breached).toBe(true);
    test.observeCounts(counts(500, 500, 0, 100));
    expect(test.logE).toBeLessThan(test.logThreshold);
    expect(test.breached).toBe(true);
  });

  it.each([1, 1.5, 3])('never breaches because the control fails (odds ratio %d tolerated)', (ratio) => {
    const test = new TwoSampleTest({ ratio });
    for (let i = 0; i < 2_000; i++) {
      test.observe('control', true);
      test.observe('treatment', false);
    }
    expect(test.breached).toBe(false);
    expect(test.peakLogE).toBe(0);
  });

  it('keeps its evidence after blocks in which all or none failed', () => {
    const test = new TwoSampleTest();
    test.observeCounts(counts(5, 5, 0, 0));
    test.observeCounts(counts(5, 5, 5, 5));
    expect(test.logE).toBe(0);
    expect(test.toJSON().mixture.steps).toBe(2);
  });

  it('evaluates a block of a whole fleet at once', () => {
    const test = new TwoSampleTest();
    test.observeCounts(counts(50_000, 450_000, 1_500, 4_500));
    expect(test.breached).toBe(true);
    expect(Number.isFinite(test.logE)).toBe(true);
    const healthy = new TwoSampleTest();
    healthy.observeCounts(counts(50_000, 450_000, 500, 4_500));
    expect(healthy.logE).toBeLessThan(0);
  });

  it('keeps evidence of any size, block after block', () => {
    const test = new TwoSampleTest();
    for (let i = 0; i < 50; i++) test.observeCounts(counts(400, 400, 400, 0));
    for (let i = 0; i < 500; i++) test.observeCounts(counts(60, 60, 60, 0));
    // No alternative can do better than to predict it with certainty: E ≤ 1 / P(observed) = C(2n, n) for each block.
    const logChoose400 = 550.9493; // log C(800, 400)
    const logChoose60 = 80.556; // log C(120, 60)
    expect(test.logE).toBeGreaterThan(0.8 * (50 * logChoose400 + 500 * logChoose60));
    expect(test.logE).toBeLessThan(50 * logChoose400 + 500 * logChoose60);
    expect(test.peakLogE).toBe(test.logE);
  });

  it('continues from its JSON in the middle of a block', () => {
    fc.assert(
      fc.property(outcomes, outcomes, (before, after) => {
        const original = new TwoSampleTest({ ratio: 1.2 });
        const feed = (test: TwoSampleTest, sequence: typeof before) => {
          for (const { treatment, failed } of sequence)
            test.observe(treatment ? 'treatment' : 'control', failed);
        };
        feed(original, before);
        const restored = new TwoSampleTest({ ratio: 1.2 });
        restored.restore(JSON.parse(JSON.stringify(original)));
        feed(original, after);
        feed(restored, after);
        expect(restored.toJSON()).toEqual(original.toJSON());
      }),
    );
  });
});
