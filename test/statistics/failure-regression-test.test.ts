import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { FailureRegressionState } from '../../src/statistics/evidence-test.js';
import { FailureRegression } from '../../src/statistics/failure-regression-test.js';
import { FrozenControlTest } from '../../src/statistics/frozen-control.js';
import { TwoSampleTest } from '../../src/statistics/two-sample.js';

const CONTROL = { trials: 4_000, failures: 40 };
const REQUEST = { test: 'failure-regression', alpha: 0.02, ratio: 1 } as const;
const LOG_50 = -Math.log(0.02);

/** A test beside the counts that a snapshot is made of. */
function regression(control: typeof CONTROL | undefined = CONTROL, request = REQUEST) {
  const test = new FailureRegression(request, control);
  const none = () => ({ trials: 0, failures: 0 });
  const epoch = { split: { treatment: none(), control: none() }, everyone: none() };
  const count = (of: { trials: number; failures: number }, failed: boolean) => {
    of.trials++;
    if (failed) of.failures++;
  };
  return {
    test,
    everyone(failed: boolean) {
      count(epoch.everyone, failed);
      test.observe('treatment', failed, false);
    },
    split(arm: 'treatment' | 'control', failed: boolean) {
      count(epoch.split[arm], failed);
      test.observe(arm, failed, true);
    },
    found: () => test.snapshot(epoch),
  };
}

describe('FailureRegression', () => {
  it.each([1, 30, 3_000])('keeps a breach at 100 %% that %d stray outcomes of a split follow', (strays) => {
    const { everyone, split, found, test } = regression();
    for (let i = 0; i < 30; i++) everyone(true);
    const breach = found();
    expect(breach).toMatchObject({ breached: true, counts: { control: CONTROL } });
    for (let i = 0; i < strays; i++) {
      split(i % 2 === 0 ? 'treatment' : 'control', false);
      test.closeBlock();
    }
    const { logThreshold, frozenLimit, peakLogE, counts } = breach;
    expect(found()).toMatchObject({ breached: true, logThreshold, frozenLimit, peakLogE, counts });
  });

  it.each([1, 8])(
    'finds a failing treatment at 100 %% though %d outcomes of a split came first',
    (strays) => {
      const { everyone, split, found } = regression();
      for (let i = 0; i < strays; i++) split(i % 2 === 0 ? 'treatment' : 'control', false);
      let needed = 0;
      for (; !found().breached && needed < 100; needed++) everyone(true);
      const frozen = new FrozenControlTest({ control: CONTROL, alpha: REQUEST.alpha });
      let alone = 0;
      for (; !frozen.breached; alone++) frozen.observe(true);
      expect(needed).toBe(alone);
      expect(found()).toMatchObject({ breached: true, frozenLimit: frozen.maxFailureRate });
    },
  );

  it('keeps a breach of a split that stray outcomes of everyone follow, and its threshold', () => {
    const { everyone, split, found } = regression();
    for (let i = 0; i < 400; i++) split(i % 10 === 0 ? 'treatment' : 'control', i % 10 === 0);
    const breach = found();
    expect(breach).toMatchObject({ breached: true, frozenLimit: undefined });
    expect(breach.logThreshold).toBeCloseTo(LOG_50, 12);
    for (let i = 0; i < 100; i++) everyone(false);
    expect(found()).toMatchObject({
      breached: true,
      logThreshold: breach.logThreshold,
      peakLogE: breach.peakLogE,
      frozenLimit: undefined,
      counts: breach.counts,
    });
  });

  it('asks the higher threshold of the frozen control only where that is compared with', () => {
    const { everyone, split, found } = regression();
    split('treatment', false);
    expect(found().logThreshold).toBeCloseTo(LOG_50, 12);
    everyone(false);
    expect(found().logThreshold).toBeCloseTo(Math.log(100), 12);
    const silent = regression({ trials: 3, failures: 3 });
    for (let i = 0; i < 100; i++) silent.everyone(true);
    expect(silent.found()).toMatchObject({ breached: false, logE: 0 });
    expect(silent.found().logThreshold).toBeCloseTo(LOG_50, 12);
  });

  it('is the product of both tests, whatever comes in whichever order', () => {
    const outcome = fc.record({
      everyone: fc.boolean(),
      arm: fc.constantFrom('treatment' as const, 'control' as const),
      failed: fc.boolean(),
      closes: fc.nat(9).map((n) => n === 0),
    });
    const run = fc.property(fc.array(outcome, { maxLength: 200 }), (outcomes) => {
      const { everyone, split, found, test } = regression();
      const comparison = new TwoSampleTest({ alpha: REQUEST.alpha });
      const frozen = new FrozenControlTest({ control: CONTROL, alpha: REQUEST.alpha });
      let peak = 0;
      for (const { everyone: isEveryone, arm, failed, closes } of outcomes) {
        if (isEveryone) {
          everyone(failed);
          frozen.observe(failed);
        } else {
          split(arm, failed);
          comparison.observe(arm, failed);
        }
        peak = Math.max(peak, comparison.logE + frozen.logE);
        if (closes) {
          test.closeBlock();
          comparison.closeBlock();
        }
        peak = Math.max(peak, comparison.logE + frozen.logE);
        expect(found().logE).toBe(comparison.logE + frozen.logE);
        expect(found().peakLogE).toBe(peak);
      }
    });
    fc.assert(run, { numRuns: 50 });
  });

  it('keeps alpha where healthy outcomes of both kinds are mixed', () => {
    // A linear congruential generator: the same outcomes in every run.
    let state = 12_345;
    const random = () => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      return state / 2 ** 32;
    };
    let breaches = 0;
    const replicates = 300;
    for (let replicate = 0; replicate < replicates; replicate++) {
      const { everyone, split, found } = regression(CONTROL, { ...REQUEST, alpha: 0.05 as 0.02 });
      for (let i = 0; i < 2_000; i++) {
        const failed = random() < 0.01;
        if (random() < 0.5) everyone(failed);
        else split(random() < 0.5 ? 'treatment' : 'control', failed);
      }
      if (found().breached) breaches++;
    }
    expect(breaches / replicates).toBeLessThanOrEqual(0.05);
  });

  it('goes on from its JSON exactly where it was, with the control that was frozen', () => {
    const outcomes = fc.array(fc.tuple(fc.boolean(), fc.boolean(), fc.boolean()), { maxLength: 100 });
    const run = fc.property(outcomes, outcomes, (before, after) => {
      const original = new FailureRegression(REQUEST, CONTROL);
      const feed = (test: FailureRegression, each: typeof before) => {
        for (const [treated, failed, split] of each)
          test.observe(treated || !split ? 'treatment' : 'control', failed, split);
      };
      feed(original, before);
      const state: FailureRegressionState = JSON.parse(JSON.stringify(original));
      const restored = FailureRegression.restored(state, undefined);
      feed(original, after);
      feed(restored, after);
      expect(restored.toJSON()).toEqual(original.toJSON());
    });
    fc.assert(run);
  });
});
