import { describe, expect, it } from 'vitest';
import { rateUpperBound } from '../../src/statistics/confidence.js';
import { EventStream } from '../../src/statistics/event-stream.js';
import { FrozenControlTest } from '../../src/statistics/frozen-control.js';
import { LimitTest } from '../../src/statistics/limit-test.js';
import { Random } from '../../src/what-if/simulate/random.js';

const REFERENCE = { control: { trials: 5_000, failures: 50 }, at: 7 };

describe('FrozenControlTest', () => {
  it('tests the treatment against the ratio times the upper bound, with half of alpha each', () => {
    const test = new FrozenControlTest(REFERENCE, 1.5, 0.02);
    const maxRate = 1.5 * rateUpperBound(REFERENCE.control, 0.01, 1_000);
    expect(test.control).toEqual({ counts: REFERENCE.control, at: 7, maxRate });
    expect(test.logThreshold).toBeCloseTo(Math.log(1 / 0.01), 12);
    const plain = new LimitTest(maxRate, 5_000);
    for (const failed of [true, false, false, true, true]) {
      test.observe({ trials: 1, failures: failed ? 1 : 0 }, 1);
      plain.observe(failed, 1);
    }
    expect(test.logE).toBe(plain.logE);
    expect(test.sinceOnset).toEqual(plain.sinceOnset);
  });

  it.each([
    { trials: 0, failures: 0 },
    { trials: 40, failures: 40 },
  ])('counts nothing after the control %j, which bounds nothing', (control) => {
    const test = new FrozenControlTest({ control, at: 0 }, 1, 0.02);
    test.observe({ trials: 100, failures: 100 }, 1);
    expect(test.control.maxRate).toBeGreaterThanOrEqual(1);
    expect([test.logE, test.peakLogE, test.sinceOnset, test.toJSON()]).toEqual([0, 0, undefined, undefined]);
  });
});

/** At 50 % with so many outcomes of the control, of which .2 % fail, then at 100 %. */
function toFull(rate: number, outcomes: number, seed: number) {
  const random = new Random(seed);
  // The preset's: .3 of alpha .05, of which a fifth is for 100 %.
  const stream = new EventStream([{ alpha: 0.3 * 0.05, ratio: 1, minDifference: 0.02 }]);
  const unit = () => random.bits() | 1;
  for (let i = 0; i < 20_000; i++) stream.outcome(unit() >>> 0, i % 2 === 0, 0.5, random.chance(0.002), i, 1);
  stream.beginEpoch(20_000);
  for (let i = 1; i <= outcomes; i++) {
    const failed = random.chance(rate);
    stream.outcome(unit() >>> 0, true, 1, failed, 20_000 + i, 1);
    if (failed && stream.evidence(0).breached) return { stopped: i, evidence: stream.evidence(0) };
  }
  return { stopped: undefined, evidence: stream.evidence(0) };
}

function medianStop(rate: number): number {
  const stops = Array.from({ length: 61 }, (_, seed) => toFull(rate, 20_000, seed).stopped ?? 20_000);
  return stops.sort((a, b) => a - b)[30]!;
}

describe('a treatment at 100 % after a control that failed .2 % of 10,000', () => {
  it.each([
    [0.03, 500],
    [0.06, 130],
    [0.1, 60],
  ])('is found at %d within %d outcomes (median)', (rate, outcomes) => {
    expect(medianStop(rate)).toBeLessThanOrEqual(outcomes);
  });

  it('is not stopped while it fails as the control did, and says what it is compared with', () => {
    const runs = Array.from({ length: 40 }, (_, seed) => toFull(0.002, 20_000, seed));
    expect(runs.filter(({ stopped }) => stopped !== undefined)).toHaveLength(0);
    const { frozen, since, counts } = runs[0]!.evidence;
    expect(frozen).toMatchObject({ at: 20_000 });
    expect(frozen!.counts.trials).toBeGreaterThan(9_900);
    expect(frozen!.maxRate).toBeLessThan(0.006);
    expect(counts.treatment.trials).toBe(20_000);
    expect(since.counts.control).toEqual(frozen!.counts);
  });

  it('keeps a larger control of before, unless the next one is large enough', () => {
    const stream = new EventStream([{ alpha: 0.05, ratio: 1, minDifference: 0 }]);
    const controls = (count: number) => {
      for (let i = 0; i < count; i++) stream.outcome(0, false, 0.5, false, i, 1);
    };
    const frozenAt = () => {
      stream.outcome(0, true, 1, false, 0, 1);
      const { frozen } = stream.evidence(0);
      return [frozen?.at, frozen?.counts.trials];
    };
    stream.beginEpoch(0);
    expect(frozenAt()).toEqual([undefined, undefined]);
    controls(3_000);
    stream.beginEpoch(1);
    expect(frozenAt()).toEqual([1, 3_000]);
    // Strays, and a short stage: they add up until they are enough.
    controls(600);
    stream.beginEpoch(2);
    expect(frozenAt()).toEqual([1, 3_000]);
    controls(600);
    stream.beginEpoch(3);
    expect(frozenAt()).toEqual([3, 1_200]);
  });
});
