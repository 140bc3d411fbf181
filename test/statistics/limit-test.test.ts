import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LimitEvidence, LimitTest } from '../../src/statistics/limit-test.js';
import { Random } from '../../src/what-if/simulate/random.js';
import { golden, relativeError } from './golden.js';

describe('LimitTest', () => {
  it.each(golden.one_sample_mixture_no_restart.cases)(
    'agrees with the reference without restarts: $failures failures of $n',
    ({ n, failures, logE }) => {
      const test = new LimitTest(0.05);
      test.observeCounts({ trials: n, failures }, 0);
      // One step of n observations: half of the stake and what it releases is bet on the alternatives, the rest waits.
      const bet = 0.5 + 0.5 * 0.9 * (n / 20_000);
      expect(relativeError(Math.exp(test.logE), bet * Math.exp(logE) + 1 - bet)).toBeLessThan(1e-9);
      expect(test.totals).toEqual({ trials: n, failures });
    },
  );

  it('treats a batch of one as one outcome', () => {
    fc.assert(
      fc.property(fc.array(fc.boolean(), { maxLength: 60 }), (outcomes) => {
        const [single, batched] = [new LimitTest(0.1), new LimitTest(0.1)];
        for (const [at, failed] of outcomes.entries()) {
          single.observe(failed, at);
          batched.observeCounts({ trials: 1, failures: failed ? 1 : 0 }, at);
        }
        batched.observeCounts({ trials: 0, failures: 0 }, 0);
        expect(batched.toJSON()).toEqual(single.toJSON());
      }),
    );
  });

  it.each([
    [0.05, 0.05],
    [0.05, 0.03],
    [0.3, 0.3],
    [0.3, 0.1],
  ])('never grows in expectation when %d is tolerated and %d fail (all sequences of 10)', (p0, rate) => {
    let expectation = 0;
    for (let sequence = 0; sequence < 1 << 10; sequence++) {
      const test = new LimitTest(p0);
      let chance = 1;
      for (let i = 0; i < 10; i++) {
        const failed = ((sequence >> i) & 1) === 1;
        chance *= failed ? rate : 1 - rate;
        test.observe(failed, i);
      }
      expectation += chance * Math.exp(test.logE);
    }
    expect(expectation).toBeLessThanOrEqual(1 + 1e-12);
    if (rate === p0) expect(expectation).toBeCloseTo(1, 12);
  });

  it('says since when the limit is broken, also after a long healthy time', () => {
    for (const healthy of [0, 100, 20_000]) {
      const random = new Random(healthy + 4);
      const test = new LimitTest(0.05);
      for (let i = 0; i < healthy; i++) test.observe(random.chance(0.01), i);
      for (let i = 0; i < 80; i++) test.observe(random.chance(0.4), healthy + i);
      const { at, counts } = test.sinceOnset;
      expect(at).toBeGreaterThanOrEqual(healthy - 20);
      expect(at).toBeLessThan(healthy + 20);
      expect(counts.trials).toBe(healthy + 80 - at!);
      expect(counts.failures / counts.trials).toBeGreaterThan(0.25);
    }
  });

  it('counts from the start while nothing speaks for an excess', () => {
    const test = new LimitTest(0.05);
    test.observe(true, 5);
    for (let i = 6; i < 500; i++) test.observe(false, i);
    expect(test.sinceOnset).toEqual({ at: undefined, counts: { trials: 495, failures: 1 } });
  });

  it('continues from its JSON, bit for bit', () => {
    const original = new LimitTest(0.05);
    original.observeCounts({ trials: 40, failures: 3 }, 1);
    original.observe(true, 2);
    const restored = new LimitTest(0.05);
    restored.restore(JSON.parse(JSON.stringify(original)));
    for (const test of [original, restored]) test.observe(true, 3);
    expect(restored.toJSON()).toEqual(original.toJSON());
    expect(restored.sinceOnset).toEqual(original.sinceOnset);
    expect(() => restored.restore({ ...original.toJSON(), onsets: [] })).toThrow(RangeError);
  });
});

describe('LimitEvidence', () => {
  it('breaches after two failures when all fail, and no longer when the rate is within the limit again', () => {
    const limit = new LimitEvidence(0.05);
    limit.units.observe(true, 1);
    expect(limit.evidence(0.05).breached).toBe(false);
    limit.units.observe(true, 2);
    expect(limit.evidence(0.05)).toMatchObject({
      breached: true,
      byOutcomes: { breached: false },
      events: 2,
    });
    limit.units.observeCounts({ trials: 1_000, failures: 0 }, 3);
    expect(limit.evidence(0.05).breached).toBe(false);
    expect(limit.evidence(0.05).peakLogE).toBeGreaterThan(Math.log(20));
  });

  it('tests units and outcomes apart', () => {
    const limit = new LimitEvidence(0.05);
    // One unit that fails ten times.
    limit.units.observe(true, 1);
    for (let i = 1; i <= 10; i++) limit.outcomes.observe(true, i);
    expect(limit.evidence(0.05)).toMatchObject({
      breached: false,
      counts: { treatment: { trials: 1, failures: 1 } },
      byOutcomes: { breached: true, since: { at: 1, counts: { treatment: { trials: 10, failures: 10 } } } },
    });
  });
});
