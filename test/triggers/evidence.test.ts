import { describe, expect, it } from 'vitest';
import { MemoryOutcomeStore } from '../../src/measure/memory-outcome-store.js';
import type { Arm, Evidence, Verdict } from '../../src/model/shapes.js';
import { errorRateAbove } from '../../src/triggers/error-rate-above.js';
import { describeEvidence, type EvidenceTrigger } from '../../src/triggers/evidence-rule.js';
import { failureRegression } from '../../src/triggers/failure-regression.js';
import { latencyRegression } from '../../src/triggers/latency-regression.js';
import { successRateBelow } from '../../src/triggers/success-rate-below.js';
import { outcomeOf, START } from '../measure/outcomes.js';
import { NOW, snapshotOf } from './snapshots.js';

const SEQUENTIAL = { evidence: 'sequential' } as const;

interface Traffic {
  readonly outcomes: number;
  /** Every so many outcomes one of the treatment. */
  readonly every: number;
  readonly failing?: (arm: Arm, index: number) => boolean;
  readonly durationMs?: (arm: Arm, index: number) => number;
  readonly reason?: string;
}

/** The trigger's verdict after the traffic has gone through a real store. */
function verdictAfter(trigger: EvidenceTrigger, traffic: Traffic): Verdict {
  const { outcomes, every, failing, durationMs, reason } = traffic;
  const store = new MemoryOutcomeStore({
    flagKey: 'async-upload',
    windowsMs: [trigger.windowMs],
    evidenceFor: [trigger],
    now: START - 60_000,
  });
  for (let i = 0; i < outcomes; i++) {
    const arm = i % every === 0 ? 'treatment' : 'control';
    const result = failing?.(arm, i) ? 'failure' : 'success';
    const facts = { arm, result, reason, targetingKey: '', durationMs: durationMs?.(arm, i) ?? 100 } as const;
    store.record(outcomeOf(facts));
  }
  return trigger.evaluate(store.snapshot(START), START);
}

const always = (failing: Arm) => (arm: Arm) => arm === failing;
const healthy: Traffic = { outcomes: 2_000, every: 10, failing: (_, i) => i % 97 === 0 };
const broken: Traffic = {
  outcomes: 2_000,
  every: 10,
  failing: (arm, i) => i % (arm === 'treatment' ? 30 : 97) === 0,
};
const slow: Traffic = {
  outcomes: 2_000,
  every: 10,
  durationMs: (arm, i) => (100 + (i % 37)) * (arm === 'treatment' ? 2 : 1),
};

describe('failureRegression', () => {
  it('explains a breach with both rates, their difference and the evidence', () => {
    const verdict = verdictAfter(failureRegression({ alpha: 0.02 }), broken);
    expect(verdict).toMatchObject({
      trigger: 'failure-regression',
      status: 'breach',
      threshold: 0,
      sampleSize: { treatment: 200, control: 1_800 },
      windowMs: 60_000,
      freshnessMs: 0,
      evidence: {
        alpha: 0.02,
        treatment: { trials: 200, failures: 67 },
        control: { trials: 1_800, failures: 18 },
        difference: { confidence: 0.95 },
      },
    });
    const { evidence, observed } = verdict;
    expect(observed).toBeCloseTo(67 / 200 - 18 / 1_800, 12);
    expect(evidence?.threshold).toBeCloseTo(50, 9);
    expect(evidence!.e).toBeGreaterThan(50);
    expect(evidence!.difference!.lower).toBeGreaterThan(0.2);
    expect(evidence!.difference!.lower).toBeLessThan(observed!);
    expect(evidence!.difference!.upper).toBeGreaterThan(observed!);
    expect(verdict.message).toMatch(
      /^The treatment fails 33\.5 % \(67 of 200\), the control 1 % \(18 of 1800\): worse by 32\.5 points \(95 % interval [\d.]+ to [\d.]+\); the evidence E reached 10\^\d+, the limit is 50: at most 2 % of healthy epochs ever reach it\.$/,
    );
  });

  it('survives JSON as it is', () => {
    const verdict = verdictAfter(failureRegression(), {
      ...broken,
      outcomes: 20_000,
      failing: always('treatment'),
    });
    expect(verdict.evidence?.e).toBe(1e300);
    expect(JSON.parse(JSON.stringify(verdict))).toEqual(verdict);
  });

  it('reports no regression for healthy arms', () => {
    const verdict = verdictAfter(failureRegression(), healthy);
    expect(verdict.status).toBe('ok');
    expect(verdict.evidence?.difference).toBeUndefined();
    expect(verdict.message).toMatch(
      /: no regression shown; the evidence E reached [\d.]+ so far, the limit is 20\.$/,
    );
  });

  it.each([
    [49.96, 0.02, 'the evidence E came close to its limit of 50'],
    [49.9, 0.02, 'the evidence E reached 49.9 so far, the limit is 50'],
    [9e5, 1e-6, 'the evidence E reached 10^5 so far, the limit is 10^6'],
  ])('does not round evidence of %d up to the threshold of alpha %d', (e, alpha, words) => {
    const figures = { peakLogE: Math.log(e), logThreshold: -Math.log(alpha) } as Evidence;
    expect(describeEvidence(figures, alpha)).toBe(words);
  });

  it('never blames the treatment for a failing control', () => {
    for (const trigger of [failureRegression(), errorRateAbove(0.05, SEQUENTIAL)]) {
      expect(verdictAfter(trigger, { ...healthy, failing: always('control') }).status).toBe('ok');
      expect(verdictAfter(trigger, { ...healthy, failing: always('treatment') }).status).toBe('breach');
    }
    const quick = { ...slow, durationMs: (arm: Arm) => (arm === 'control' ? 1_000 : 100) };
    expect(verdictAfter(latencyRegression(), quick).status).toBe('ok');
  });

  it('lets a small difference pass that does not matter', () => {
    const slightly: Traffic = {
      outcomes: 40_000,
      every: 2,
      failing: (arm, i) => (i >> 1) % (arm === 'treatment' ? 40 : 80) === 0,
    };
    expect(verdictAfter(failureRegression(), slightly)).toMatchObject({ status: 'breach' });
    const tolerant = verdictAfter(failureRegression({ minDifference: 0.02 }), slightly);
    expect(tolerant).toMatchObject({ status: 'ok', threshold: 0.02 });
    expect(tolerant.message).toMatch(/The difference is below the 2 points of minDifference\.$/);
    expect(verdictAfter(failureRegression({ ratio: 2.5 }), slightly).status).toBe('ok');
  });

  it.each([
    ['nothing came', { outcomes: 0, every: 1 }, /0 outcomes of the treatment and 0 of the control\.$/],
    ['one arm is missing', { outcomes: 5, every: 1 }, /5 outcomes of the treatment and 0 of the control\.$/],
    [
      'no user was randomised',
      { ...healthy, reason: 'TARGETING_MATCH' },
      /0 of the control\. Left out: 2000 outcomes of users who were not randomised\.$/,
    ],
    [
      'it is at 100 %% and no control was seen',
      { ...healthy, every: 1, reason: 'STATIC' },
      /2000 outcomes of the treatment and 0 of the control\.$/,
    ],
  ] as [string, Traffic, RegExp][])('has too little data when %s', (_, traffic, message) => {
    const verdict = verdictAfter(failureRegression(), traffic);
    expect(verdict).toMatchObject({ status: 'insufficient-data', observed: undefined });
    expect(verdict.message).toMatch(message);
  });

  it('reports that a frozen baseline is assumed not to drift', () => {
    const trigger = failureRegression();
    const store = new MemoryOutcomeStore({ flagKey: 'f', windowsMs: [], evidenceFor: [trigger], now: START });
    store.beginEpoch(1, START, { keepWindows: false });
    for (let i = 0; i < 3_000; i++) {
      const result = i % 100 === 0 ? 'failure' : 'success';
      store.record(outcomeOf({ arm: 'control', result, targetingKey: '' }));
    }
    store.beginEpoch(2, START, { keepWindows: true });
    for (let i = 0; i < 40; i++) {
      const result = i % 2 === 0 ? 'failure' : 'success';
      store.record(outcomeOf({ epoch: 2, reason: 'STATIC', result, targetingKey: '' }));
    }
    const verdict = trigger.evaluate(store.snapshot(START), START);
    expect(verdict).toMatchObject({ status: 'breach', sampleSize: { treatment: 40, control: 3_000 } });
    expect(verdict.message).toMatch(
      / No control remains: up to 1\.\d+ % is tolerated, from the control of an earlier epoch, assuming that it would not have changed\.$/,
    );
  });

  it('reports a store that gathers no evidence for it', () => {
    const verdict = failureRegression().evaluate(snapshotOf(), NOW);
    expect(verdict).toMatchObject({ status: 'insufficient-data', evidence: undefined });
    expect(verdict.message).toBe('No verdict: the store gathers no evidence for this trigger.');
  });
});

describe('latencyRegression', () => {
  it('explains a breach by the quantile that shows it best', () => {
    const verdict = verdictAfter(latencyRegression(), slow);
    expect(verdict).toMatchObject({ trigger: 'latency-regression', status: 'breach', threshold: 1.2 });
    expect(verdict.observed).toBeCloseTo(2, 1);
    expect(verdict.message).toMatch(
      /^100 % \(\d+ of \d+\) of the treatment's successes took longer than \d+ ms, which is 1\.2 times the control's p\d+ of \d+ ms, and [\d.]+ % \(\d+ of \d+\) of the control's longer than that p\d+: too slow; the evidence E reached/,
    );
  });

  it('tolerates what is within the ratio', () => {
    expect(verdictAfter(latencyRegression({ ratio: 2.2 }), slow).status).toBe('ok');
    expect(
      verdictAfter(latencyRegression(), { ...slow, durationMs: (_, i) => 100 + (i % 37) }),
    ).toMatchObject({
      status: 'ok',
      observed: expect.closeTo(1, 1),
    });
  });

  it('waits for durations', () => {
    const verdict = verdictAfter(latencyRegression(), { ...slow, outcomes: 15 });
    expect(verdict).toMatchObject({ status: 'insufficient-data', observed: undefined });
    expect(verdict.message).toMatch(
      /^No verdict on durations yet: the test has too few successes of either arm\./,
    );
  });
});

describe('rates with sequential evidence', () => {
  it.each([
    ['error-rate-above', errorRateAbove(0.05, SEQUENTIAL), 0.05, 'error rate'],
    ['success-rate-below', successRateBelow(0.95, SEQUENTIAL), 0.95, 'success rate'],
  ])('%s needs no minimum, and does not breach by chance', (name, trigger, threshold, rateName) => {
    const breach = verdictAfter(trigger, { outcomes: 3, every: 1, failing: () => true });
    expect(breach).toMatchObject({ trigger: name, status: 'breach', threshold });
    expect(breach.observed).toBe(name === 'success-rate-below' ? 0 : 1);
    expect(breach.message).toContain(`The treatment's ${rateName} is`);
    const atLimit = verdictAfter(trigger, { outcomes: 2_000, every: 1, failing: (_, i) => i % 20 === 7 });
    expect(atLimit).toMatchObject({ status: 'ok', observed: threshold });
    expect(verdictAfter(trigger, { outcomes: 0, every: 1 }).status).toBe('insufficient-data');
  });

  it('are literal rules by default', () => {
    expect(successRateBelow(0.95)).toMatchObject({ minOutcomes: 20, windowMs: 300_000 });
    expect(successRateBelow(0.95, { evidence: 'point' })).not.toHaveProperty('evidence');
  });
});

describe('the options of evidence', () => {
  it.each([
    [() => failureRegression({ alpha: 0 }), /alpha: expected a probability above 0 and below 0\.5, got 0/],
    [() => failureRegression({ alpha: 0.5 }), /alpha/],
    [() => failureRegression({ alpha: 5 }), /alpha: .*did you mean 0\.05\?/],
    [() => failureRegression({ alpha: Number.NaN }), /alpha/],
    [() => failureRegression({ ratio: 0 }), /ratio: expected a number above 0/],
    [() => failureRegression({ ratio: Number.POSITIVE_INFINITY }), /ratio/],
    [() => failureRegression({ minDifference: 2 }), /minDifference: expected a fraction/],
    [() => failureRegression({ alpha: 0, ratio: -1 }), /2 problems/],
    [() => failureRegression({ confidence: 0.9 } as object), /confidence: expected one of alpha, name/],
    [() => latencyRegression({ ratio: -1.2 }), /ratio/],
    [() => errorRateAbove(0, SEQUENTIAL), /rate: expected a fraction above 0 and below 1/],
    [() => errorRateAbove(5, SEQUENTIAL), /rate: .*did you mean 0\.05\?/],
    [() => errorRateAbove(0.05, { ...SEQUENTIAL, alpha: 5 }), /alpha: .*did you mean 0\.05\?/],
    [() => successRateBelow(1, SEQUENTIAL), /rate/],
    [
      () => successRateBelow(0.95, { ...SEQUENTIAL, minOutcomes: 5 } as never),
      /minOutcomes: expected one of/,
    ],
    [
      () => successRateBelow(0.95, { evidence: 'some' } as never),
      /evidence: expected 'point' or 'sequential'/,
    ],
    [() => errorRateAbove(0.05, { alpha: 0.01 } as never), /alpha: expected one of minOutcomes/],
  ])('are refused with the reason: %s', (make, message) => {
    expect(make).toThrow(message);
  });
});
