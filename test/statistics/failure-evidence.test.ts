import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { FailureRegressionState } from '../../src/statistics/evidence-state.js';
import { FailureRegression, FrozenControlTest } from '../../src/statistics/failure-evidence.js';
import { TwoSampleTest } from '../../src/statistics/two-sample.js';

const CONTROL = { trials: 4_000, failures: 40 };
const REQUEST = { test: 'failure-regression', alpha: 0.02, ratio: 1 } as const;
const LOG_50 = -Math.log(0.02);

/** A test beside the counts that a snapshot is made of. */
function regression(control: typeof CONTROL | undefined = CONTROL, request = REQUEST) {
  const test = new FailureRegression(request, control);
  const none = () => ({ trials: 0, failures: 0 });
  const epoch = { randomised: { treatment: none(), control: none() }, fullRollout: none() };
  const count = (of: { trials: number; failures: number }, failed: boolean) => {
    of.trials++;
    if (failed) of.failures++;
  };
  return {
    test,
    fullRollout(failed: boolean) {
      count(epoch.fullRollout, failed);
      test.observe('treatment', failed, false);
    },
    randomised(arm: 'treatment' | 'control', failed: boolean) {
      count(epoch.randomised[arm], failed);
      test.observe(arm, failed, true);
    },
    found: () => test.snapshot(epoch),
  };
}

describe('FailureRegression', () => {
  it.each([1, 30, 3_000])('keeps a breach at 100 %% that %d stray randomised outcomes follow', (strays) => {
    const { fullRollout, randomised, found, test } = regression();
    for (let i = 0; i < 30; i++) fullRollout(true);
    const breach = found();
    expect(breach).toMatchObject({ breached: true, counts: { control: CONTROL } });
    for (let i = 0; i < strays; i++) {
      randomised(i % 2 === 0 ? 'treatment' : 'control', false);
      test.closeBlock();
    }
    const { logThreshold, frozenLimit, peakLogE, counts } = breach;
    expect(found()).toMatchObject({ breached: true, logThreshold, frozenLimit, peakLogE, counts });
  });

  it.each([1, 8])(
    'finds a failing treatment at 100 %% though %d randomised outcomes came first',
    (strays) => {
      const { fullRollout, randomised, found } = regression();
      for (let i = 0; i < strays; i++) randomised(i % 2 === 0 ? 'treatment' : 'control', false);
      let needed = 0;
      for (; !found().breached && needed < 100; needed++) fullRollout(true);
      const frozen = new FrozenControlTest({ control: CONTROL, alpha: REQUEST.alpha });
      let alone = 0;
      for (; !frozen.breached; alone++) frozen.observe(true);
      expect(needed).toBe(alone);
      expect(found()).toMatchObject({ breached: true, frozenLimit: frozen.maxFailureRate });
    },
  );

  it('keeps a breach among randomised users and its threshold when stray outcomes of a full rollout follow', () => {
    const { fullRollout, randomised, found } = regression();
    for (let i = 0; i < 400; i++) randomised(i % 10 === 0 ? 'treatment' : 'control', i % 10 === 0);
    const breach = found();
    expect(breach).toMatchObject({ breached: true, frozenLimit: undefined });
    expect(breach.logThreshold).toBeCloseTo(LOG_50, 12);
    for (let i = 0; i < 100; i++) fullRollout(false);
    expect(found()).toMatchObject({
      breached: true,
      logThreshold: breach.logThreshold,
      peakLogE: breach.peakLogE,
      frozenLimit: undefined,
      counts: breach.counts,
    });
  });

  it('has the higher threshold of the frozen control only after a comparison with it', () => {
    const { fullRollout, randomised, found } = regression();
    randomised('treatment', false);
    expect(found().logThreshold).toBeCloseTo(LOG_50, 12);
    fullRollout(false);
    expect(found().logThreshold).toBeCloseTo(Math.log(100), 12);
    const silent = regression({ trials: 3, failures: 3 });
    for (let i = 0; i < 100; i++) silent.fullRollout(true);
    expect(silent.found()).toMatchObject({ breached: false, logE: 0 });
    expect(silent.found().logThreshold).toBeCloseTo(LOG_50, 12);
  });

  it('is the product of both tests, whatever comes in whichever order', () => {
    const outcome = fc.record({
      fullRollout: fc.boolean(),
      arm: fc.constantFrom('treatment' as const, 'control' as const),
      failed: fc.boolean(),
      closes: fc.nat(9).map((n) => n === 0),
    });
    const run = fc.property(fc.array(outcome, { maxLength: 200 }), (outcomes) => {
      const { fullRollout, randomised, found, test } = regression();
      const comparison = new TwoSampleTest({ alpha: REQUEST.alpha });
      const frozen = new FrozenControlTest({ control: CONTROL, alpha: REQUEST.alpha });
      let peak = 0;
      for (const { fullRollout: isFullRollout, arm, failed, closes } of outcomes) {
        if (isFullRollout) {
          fullRollout(failed);
          frozen.observe(failed);
        } else {
          randomised(arm, failed);
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
      const { fullRollout, randomised, found } = regression(CONTROL, { ...REQUEST, alpha: 0.05 as 0.02 });
      for (let i = 0; i < 2_000; i++) {
        const failed = random() < 0.01;
        if (random() < 0.5) fullRollout(failed);
        else randomised(random() < 0.5 ? 'treatment' : 'control', failed);
      }
      if (found().breached) breaches++;
    }
    expect(breaches / replicates).toBeLessThanOrEqual(0.05);
  });

  it('resumes from its JSON exactly where it was, with the frozen control', () => {
    const outcomes = fc.array(fc.tuple(fc.boolean(), fc.boolean(), fc.boolean()), { maxLength: 100 });
    const run = fc.property(outcomes, outcomes, (before, after) => {
      const original = new FailureRegression(REQUEST, CONTROL);
      const feed = (test: FailureRegression, each: typeof before) => {
        for (const [treated, failed, randomised] of each)
          test.observe(treated || !randomised ? 'treatment' : 'control', failed, randomised);
      };
      feed(original, before);
      const state: FailureRegressionState = JSON.parse(JSON.stringify(original));
      const restored = new FailureRegression(REQUEST, undefined);
      restored.restore(state);
      feed(original, after);
      feed(restored, after);
      expect(restored.toJSON()).toEqual(original.toJSON());
    });
    fc.assert(run);
  });
});
