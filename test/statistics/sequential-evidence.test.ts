import { describe, expect, it } from 'vitest';
import { LatencyHistogram } from '../../src/measure/latency-histogram.js';
import type { Outcome } from '../../src/model/shapes.js';
import type { EvidenceRequest } from '../../src/statistics/evidence-state.js';
import { FrozenControlTest } from '../../src/statistics/failure-evidence.js';
import { OneSampleTest } from '../../src/statistics/one-sample.js';
import { SequentialEvidence } from '../../src/statistics/sequential-evidence.js';
import { TwoSampleTest } from '../../src/statistics/two-sample.js';
import { outcomeOf, START } from '../measure/outcomes.js';

const REQUESTS: Record<string, EvidenceRequest> = {
  regression: { test: 'failure-regression', alpha: 0.05, ratio: 1 },
  limit: { test: 'failure-rate', alpha: 0.05, maxFailureRate: 0.05 },
  slower: { test: 'latency-regression', alpha: 0.05, ratio: 1.2 },
};

function evidenceFor(
  requests: Record<string, EvidenceRequest> = REQUESTS,
  frozenControl?: { trials: number; failures: number },
) {
  const latency = { treatment: new LatencyHistogram(), control: new LatencyHistogram() };
  const specs = Object.entries(requests).map(([name, evidence]) => ({ name, evidence }));
  const evidence = new SequentialEvidence({ specs, seed: 1, latency, frozenControl });
  return {
    evidence,
    record: (outcome: Outcome) => {
      if (outcome.result === 'success') latency[outcome.exposure.arm].record(outcome.durationMs ?? 0);
      evidence.record(outcome, outcome.at);
    },
    of: (trigger: string, now = START) => evidence.snapshot(now).find((each) => each.trigger === trigger)!,
  };
}

const NONE = { trials: 0, failures: 0 };
const ONE = { trials: 1, failures: 1 };

describe('SequentialEvidence', () => {
  it.each([
    ['treatment', 'SPLIT', ONE, ONE, 0],
    ['control', 'SPLIT', ONE, NONE, 0],
    // Shown, though there is no control to compare it with.
    ['treatment', 'STATIC', ONE, ONE, 0],
    ['control', 'STATIC', NONE, NONE, 1],
    ['treatment', 'TARGETING_MATCH', NONE, NONE, 1],
    ['control', 'TARGETING_MATCH', NONE, NONE, 1],
    ['treatment', 'STALE', NONE, NONE, 1],
    ['control', 'ERROR', NONE, NONE, 1],
    ['control', 'DISABLED', NONE, NONE, 1],
    ['treatment', '', NONE, NONE, 1],
  ] as const)('counts a failing %s by %s', (arm, reason, compared, limited, excluded) => {
    const { record, of } = evidenceFor();
    record(outcomeOf({ arm, reason, result: 'failure' }));
    expect(of('regression').counts[arm]).toEqual(compared);
    expect(of('limit').counts.treatment).toEqual(arm === 'treatment' ? limited : NONE);
    expect(of('regression').excluded).toBe(excluded);
  });

  it.each(['expected', 'aborted'] as const)(
    'does not count an outcome that ended %s, nor its key',
    (result) => {
      const { record, of } = evidenceFor();
      record(outcomeOf({ result }));
      expect(of('limit')).toMatchObject({ counts: { treatment: NONE }, excluded: 0, repeated: 0 });
      record(outcomeOf({ result: 'failure' }));
      expect(of('limit').counts.treatment).toEqual(ONE);
    },
  );

  it('counts a user once, whatever came later, and outcomes without a key as they are', () => {
    const { record, of } = evidenceFor();
    record(outcomeOf({ result: 'failure' }));
    record(outcomeOf({ result: 'success' }));
    record(outcomeOf({ result: 'failure', reason: 'STATIC' }));
    expect(of('limit')).toMatchObject({ counts: { treatment: ONE }, repeated: 2 });
    for (let i = 0; i < 3; i++) {
      const exposure = { ...outcomeOf().exposure, targetingKey: i === 0 ? '' : undefined };
      record({ ...outcomeOf(), exposure });
    }
    expect(of('limit')).toMatchObject({ counts: { treatment: { trials: 4, failures: 1 } }, repeated: 2 });
  });

  it('counts a randomised outcome after a targeted one with the same key', () => {
    const { record, of } = evidenceFor();
    record(outcomeOf({ reason: 'TARGETING_MATCH' }));
    record(outcomeOf({ result: 'failure' }));
    expect(of('limit')).toMatchObject({ counts: { treatment: ONE }, excluded: 1, repeated: 0 });
  });

  it('has exactly the evidence of the tests', () => {
    const { record, of } = evidenceFor();
    const comparison = new TwoSampleTest();
    const limit = new OneSampleTest({ maxFailureRate: 0.05 });
    for (let i = 0; i < 600; i++) {
      const arm = i % 7 === 0 ? 'treatment' : 'control';
      const failed = i % 5 === 0;
      record(outcomeOf({ arm, result: failed ? 'failure' : 'success', targetingKey: `user-${i}` }));
      comparison.observe(arm, failed);
      if (arm === 'treatment') limit.observe(failed);
    }
    expect(of('regression')).toMatchObject({ logE: comparison.logE, peakLogE: comparison.peakLogE });
    expect(of('limit')).toMatchObject({ logE: limit.logE, peakLogE: limit.peakLogE });
  });

  it('closes an open block when the clock comes to the next minute, not before', () => {
    const { record, of } = evidenceFor();
    const minute = Math.ceil(START / 60_000) * 60_000;
    record(outcomeOf({ result: 'failure', targetingKey: 'a', at: minute }));
    record(outcomeOf({ arm: 'control', targetingKey: 'b', at: minute + 59_998 }));
    expect(of('regression', minute + 59_999).logE).toBe(0);
    expect(of('regression', minute + 60_000).logE).toBeGreaterThan(0);
  });

  it('measures successes alone, and counts invalid durations', () => {
    const { record, of } = evidenceFor();
    for (let i = 0; i < 30; i++) record(outcomeOf({ arm: 'control', targetingKey: `c${i}` }));
    const before = of('slower').counts.treatment.trials;
    for (const [i, durationMs] of [Number.NaN, Number.POSITIVE_INFINITY, -1].entries()) {
      record(outcomeOf({ durationMs, targetingKey: `t${i}` }));
    }
    record(outcomeOf({ durationMs: undefined, targetingKey: 'unmeasured' }));
    record(outcomeOf({ durationMs: 5_000, result: 'failure', targetingKey: 'failed' }));
    expect(of('slower')).toMatchObject({ invalid: 3, counts: { treatment: { trials: before } } });
    record(outcomeOf({ durationMs: 5_000, targetingKey: 'slow' }));
    expect(of('slower')).toMatchObject({ counts: { treatment: { trials: before + 1, failures: 1 } } });
  });

  it('compares with the frozen control at 100 %, and keeps a breach', () => {
    const control = { trials: 4_000, failures: 40 };
    const { record, of, evidence } = evidenceFor(REQUESTS, control);
    const frozen = new FrozenControlTest({ control });
    for (let i = 0; i < 30; i++) {
      record(
        outcomeOf({ reason: 'STATIC', result: i % 3 === 0 ? 'failure' : 'success', targetingKey: `u${i}` }),
      );
      frozen.observe(i % 3 === 0);
    }
    expect(of('regression')).toMatchObject({
      logE: frozen.logE,
      logThreshold: frozen.logThreshold,
      frozenLimit: frozen.maxFailureRate,
      counts: { treatment: { trials: 30, failures: 10 }, control },
    });
    expect(evidence.control).toEqual(control);
    for (let i = 0; i < 31; i++) record(outcomeOf({ targetingKey: `randomised-${i}` }));
    // It has breached, and later outcomes of another kind change nothing of that.
    expect(of('regression')).toMatchObject({ breached: true, frozenLimit: frozen.maxFailureRate });
  });

  it('shows the comparison that has more outcomes of the treatment', () => {
    const { record, of } = evidenceFor(REQUESTS, { trials: 4_000, failures: 40 });
    record(outcomeOf({ reason: 'STATIC', targetingKey: 'full rollout' }));
    expect(of('regression').frozenLimit).toBeGreaterThan(0.01);
    record(outcomeOf({ targetingKey: 'randomised' }));
    expect(of('regression').frozenLimit).toBeUndefined();
    record(outcomeOf({ reason: 'STATIC', targetingKey: 'full rollout, another' }));
    expect(of('regression').frozenLimit).toBeGreaterThan(0.01);
  });

  it('freezes the control of this epoch, or keeps the earlier one while this one is too small', () => {
    const earlier = { trials: 4_000, failures: 40 };
    const [first, later] = [evidenceFor(), evidenceFor(REQUESTS, earlier)];
    expect([first.evidence.control, later.evidence.control]).toEqual([undefined, earlier]);
    for (let i = 1; i <= 100; i++) {
      for (const { record, evidence } of [first, later]) {
        record(outcomeOf({ arm: 'control', targetingKey: `c${i}` }));
        // The treatment's outcomes do not make a control.
        record(outcomeOf({ targetingKey: `t${i}` }));
        const here = { trials: i, failures: 0 };
        expect(evidence.control).toEqual(evidence === later.evidence && i < 100 ? earlier : here);
      }
    }
  });

  it('is not closed early by outcomes that come out of order, and follows a clock that was set back', () => {
    const { record, of } = evidenceFor();
    const minute = Math.ceil(START / 60_000) * 60_000;
    record(outcomeOf({ result: 'failure', targetingKey: 'a', at: minute }));
    record(outcomeOf({ arm: 'control', targetingKey: 'b', at: minute - 5 }));
    record(outcomeOf({ arm: 'control', targetingKey: 'c', at: minute }));
    expect(of('regression', minute - 60_000).logE).toBe(0);
    expect(of('regression', minute + 59_999).logE).toBe(0);
    expect(of('regression', minute - 3 * 3_600_000).logE).toBeGreaterThan(0);
  });

  it.each<[Partial<EvidenceRequest>, string]>([
    [{ test: 'failure-regression', alpha: 0.5, ratio: 1 }, 'alpha'],
    [{ test: 'failure-regression', alpha: 0.05, ratio: 0 }, 'ratio'],
    [{ test: 'failure-rate', alpha: 0.05, maxFailureRate: 1 }, 'maxFailureRate'],
    [{ test: 'failure-rate', alpha: Number.NaN, maxFailureRate: 0.1 }, 'alpha'],
    [{ test: 'latency-regression', alpha: 0.05, ratio: Number.POSITIVE_INFINITY }, 'ratio'],
    [{ alpha: 0.05 }, 'test'],
  ])('refuses the request %j of a custom trigger by name', (request, field) => {
    const requests = { mine: request as EvidenceRequest };
    expect(() => evidenceFor(requests)).toThrow(`Invalid evidence of the trigger mine: ${field}: expected`);
  });

  it('compares with nothing while no control was ever seen', () => {
    const { record, of } = evidenceFor();
    record(outcomeOf({ reason: 'STATIC', result: 'failure' }));
    expect(of('regression')).toMatchObject({ breached: false, counts: { control: NONE } });
  });
});
