import { describe, expect, it } from 'vitest';
import { MemoryOutcomeStore } from '../../src/measure/memory-outcome-store.js';
import type { Arm, Result, Verdict } from '../../src/model/shapes.js';
import { verdictSchema } from '../../src/model/shapes.js';
import type { Evidence } from '../../src/model/snapshot.js';
import { errorRateAbove } from '../../src/triggers/error-rate-above.js';
import {
  complaintRateRising,
  eventRegression,
  failureRegression,
  type RegressionEvent,
  unreportedAbove,
} from '../../src/triggers/event-regression.js';
import { describeEvidence } from '../../src/triggers/evidence-rule.js';
import { latencyRegression } from '../../src/triggers/latency-regression.js';
import { sampleRatioMismatch, usersInBothArms } from '../../src/triggers/sample-ratio-mismatch.js';
import { successRateBelow } from '../../src/triggers/success-rate-below.js';
import type { ThresholdTrigger } from '../../src/triggers/trigger.js';
import { NOW, snapshotOf } from './snapshots.js';

const SEQUENTIAL = { evidence: 'sequential' } as const;
const START = 1_700_000_000_000;

interface Call {
  readonly result?: Result;
  readonly durationMs?: number;
  readonly fallbackUsed?: boolean;
  readonly attempts?: number;
  /** No outcome comes. */
  readonly isSilent?: boolean;
  readonly complains?: boolean;
}

interface Traffic {
  readonly outcomes: number;
  /** Every so many outcomes one of the treatment. */
  readonly every: number;
  readonly call?: (arm: Arm, index: number) => Call;
  /** Undefined: of a provider that gives none. */
  readonly chance?: number | undefined;
  readonly unit?: (index: number, arm: Arm) => string | undefined;
  readonly isOperation?: boolean;
}

/** A store that has seen the traffic, ten calls per second. */
function storeAfter(trigger: ThresholdTrigger, traffic: Traffic) {
  const { outcomes, every, call, unit = (i) => `unit-${i}`, isOperation = true } = traffic;
  const chance = 'chance' in traffic ? traffic.chance : 1 / every;
  const store = new MemoryOutcomeStore({
    flagKey: 'async-upload',
    windowsMs: [trigger.windowMs],
    evidenceFor: [trigger],
    now: START,
  });
  store.beginEpoch(1, START, { keepWindows: false });
  let at = START;
  for (let i = 0; i < outcomes; i++) {
    at += 100;
    const arm = i % every === 0 ? ('treatment' as const) : ('control' as const);
    const { result = 'success', durationMs = 100, complains, isSilent, ...facts } = call?.(arm, i) ?? {};
    const exposure = {
      flagKey: 'async-upload',
      arm,
      variant: undefined,
      reason: every === 1 ? 'STATIC' : 'SPLIT',
      errorCode: undefined,
      targetingKey: undefined,
      chance: every === 1 ? undefined : chance,
      unit: unit(i, arm),
      isOperation,
      epoch: 1,
      at,
    };
    store.expose(exposure);
    if (complains) store.recordComplaint(exposure, at);
    if (isSilent) continue;
    store.record({
      exposure,
      result,
      durationMs,
      errorType: result === 'failure' ? 'TimeoutError' : undefined,
      critical: false,
      fallbackUsed: false,
      userSucceeded: result === 'success',
      attempts: 1,
      attributes: { contentType: i % 4 === 0 ? 'text/csv' : 'image/png' },
      at,
      ...facts,
    });
  }
  return { store, now: at + 120_000 };
}

function verdictAfter(trigger: ThresholdTrigger, traffic: Traffic, laterMs = 120_000): Verdict {
  const { store, now } = storeAfter(trigger, traffic);
  const at = now - 120_000 + laterMs;
  return trigger.evaluate(store.snapshot(at), at);
}

const failing =
  (arm: Arm, share = 1) =>
  (each: Arm, i: number) =>
    each === arm && (i * 0.618) % 1 < share ? ({ result: 'failure' } as const) : {};
const healthy: Traffic = {
  outcomes: 2_000,
  every: 10,
  call: (_, i) => (i % 97 === 0 ? { result: 'failure' } : {}),
};
const broken: Traffic = {
  outcomes: 2_000,
  every: 10,
  call: (arm, i) => (i % (arm === 'treatment' ? 30 : 97) === 0 ? { result: 'failure' } : {}),
};

describe('failureRegression', () => {
  it('explains a breach with the time, both rates since then, their difference and the evidence', () => {
    const verdict = verdictAfter(failureRegression({ alpha: 0.02 }), broken);
    expect(verdict).toMatchObject({
      trigger: 'failure-regression',
      status: 'breach',
      threshold: 0,
      evidence: { alpha: 0.02, basis: 'units' },
    });
    const { evidence, observed } = verdict;
    expect(observed).toBeGreaterThan(0.2);
    expect(evidence!.e).toBeGreaterThan(evidence!.threshold);
    expect(verdict.message).toMatch(
      /^Since \d\d:\d\d UTC the treatment fails [\d.]+ % \(\d+ of \d+\), the control [\d.]+ % \(\d+ of \d+\): worse by [\d.]+ points; the evidence E is [\d.^]+, the limit is [\d.]+: at most 2 % of healthy rollouts ever reach it \(\d+ units with a first event\)\.$/,
    );
  });

  it('survives JSON and its schema as it is', () => {
    const verdict = verdictAfter(failureRegression(), {
      ...broken,
      outcomes: 20_000,
      call: failing('treatment'),
    });
    const read = JSON.parse(JSON.stringify(verdict));
    expect(verdictSchema.parse(read)).toEqual(read);
    expect(read.evidence.e).toBeLessThanOrEqual(1e300);
  });

  it('reports no regression for healthy arms, and none when only the control fails', () => {
    const verdict = verdictAfter(failureRegression(), healthy);
    expect(verdict).toMatchObject({ status: 'ok' });
    expect(verdict.message).toContain('no regression shown; the evidence E is');
    const better = { ...healthy, call: failing('control', 0.5) };
    expect(verdictAfter(failureRegression(), better).status).toBe('ok');
  });

  it('counts a call that is still open after the settling time as failed, and what it does later changes nothing', () => {
    const hanging: Traffic = { outcomes: 400, every: 2, call: (arm) => ({ isSilent: arm === 'treatment' }) };
    const trigger = failureRegression({ minDifference: 0.02 });
    expect(verdictAfter(trigger, hanging, 4_000)).toMatchObject({ status: 'breach' });
    const early = { ...hanging, outcomes: 40 };
    expect(verdictAfter(trigger, early, 100).status).not.toBe('breach');
  });

  it('does not breach for a provider that gives no chance, and says what is left out', () => {
    const verdict = verdictAfter(failureRegression(), { ...broken, chance: undefined, outcomes: 500 });
    expect(verdict.status).toBe('insufficient-data');
    expect(verdict.message).toContain(
      'Left out: 500 outcomes whose arm was not drawn or whose chance is unknown.',
    );
  });

  it('lets each unit speak once', () => {
    const one = { ...broken, unit: (_: number, arm: Arm) => arm, call: failing('treatment') };
    expect(verdictAfter(failureRegression(), one)).toMatchObject({ status: 'ok', evidence: { events: 1 } });
  });

  it('tolerates what is below minDifference or within the ratio', () => {
    const slightly: Traffic = {
      outcomes: 60_000,
      every: 2,
      call: (arm, i) => ((i >> 1) % (arm === 'treatment' ? 40 : 80) === 0 ? { result: 'failure' } : {}),
    };
    expect(verdictAfter(failureRegression(), slightly).status).toBe('breach');
    const tolerant = verdictAfter(failureRegression({ minDifference: 0.03 }), slightly);
    expect(tolerant).toMatchObject({ status: 'ok', threshold: 0.03 });
    expect(tolerant.message).toContain('the difference is below the 3 points of minDifference');
    expect(verdictAfter(failureRegression({ ratio: 2.5 }), slightly).status).toBe('ok');
  });

  it('says that a control that has ended is assumed not to drift, and how old it is', () => {
    const trigger = failureRegression();
    const { store } = storeAfter(trigger, {
      outcomes: 4_000,
      every: 4,
      call: (_, i) => (i % 100 === 50 ? { result: 'failure' } : {}),
    });
    const at = START + 400_000;
    store.beginEpoch(2, at, { keepWindows: true });
    for (let i = 0; i < 60; i++) {
      const exposure = {
        flagKey: 'async-upload',
        arm: 'treatment' as const,
        variant: undefined,
        reason: 'STATIC',
        errorCode: undefined,
        targetingKey: undefined,
        unit: `late-${i}`,
        isOperation: true,
        epoch: 2,
        at: at + i * 100,
      };
      store.expose(exposure);
      store.record({
        exposure,
        result: i % 2 === 0 ? 'failure' : 'success',
        durationMs: 1,
        errorType: undefined,
        critical: false,
        fallbackUsed: false,
        userSucceeded: true,
        attempts: 1,
        attributes: undefined,
        at: at + i * 100,
      });
    }
    const verdict = trigger.evaluate(store.snapshot(at + 60_000), at + 60_000);
    expect(verdict).toMatchObject({ status: 'breach', evidence: { frozenAt: at } });
    expect(verdict.message).toMatch(
      /No control remains: up to [\d.]+ % is tolerated, from the control as it was until 60 s ago, assuming that it would not have changed\.$/,
    );
  });

  it('says where it fails, with the shares of both arms and of other outcomes', () => {
    const csv = {
      ...broken,
      every: 3,
      call: (arm: Arm, i: number) =>
        arm === 'treatment' && i % 4 === 0 ? ({ result: 'failure' } as const) : {},
    };
    const { failing } = verdictAfter(failureRegression(), csv);
    const found = failing!.find(({ attribute }) => attribute === 'contentType')!;
    expect(found).toMatchObject({ value: 'text/csv', control: { count: 0, of: 0 } });
    expect(found.treatment.count).toBe(found.treatment.of);
    expect(found.others.count / found.others.of).toBeLessThan(0.5);
  });

  it('reports a store that gathers no evidence for it', () => {
    const verdict = failureRegression().evaluate(snapshotOf(), NOW);
    expect(verdict).toMatchObject({ status: 'insufficient-data', evidence: undefined });
    expect(verdict.message).toBe('No verdict: the store gathers no evidence for this trigger.');
  });

  it.each([
    [49.96, 0.02, 'the evidence E is close to its limit of 50'],
    [49.9, 0.02, 'the evidence E is 49.9, the limit is 50'],
    [9e5, 1e-6, 'the evidence E is 10^5, the limit is 10^6'],
  ])('does not round evidence of %d up to the threshold of alpha %d', (e, alpha, words) => {
    const figures = { logE: Math.log(e), breached: false } as Evidence;
    expect(describeEvidence(figures, -Math.log(alpha), alpha)).toBe(words);
  });
});

describe('other events', () => {
  it.each<[RegressionEvent, Call]>([
    ['aborted', { result: 'aborted' }],
    ['expected', { result: 'expected' }],
    ['fallback', { result: 'failure', fallbackUsed: true }],
    ['retried', { attempts: 2 }],
  ])(
    'that are %s breach when they happen in the treatment, and not when they happen in both arms',
    (event, call) => {
      const trigger = eventRegression(event, { minDifference: 0.02 });
      const treatment = { outcomes: 400, every: 2, call: (arm: Arm) => (arm === 'treatment' ? call : {}) };
      expect(verdictAfter(trigger, treatment)).toMatchObject({
        trigger: `${event}-regression`,
        status: 'breach',
      });
      expect(verdictAfter(trigger, { ...treatment, call: () => call }).status).toBe('ok');
    },
  );

  it('compares complaints, and tolerates half as many more', () => {
    const complaining = (share: number): Traffic => ({
      outcomes: 4_000,
      every: 2,
      call: (arm, i) => ({ complains: (i * 0.618) % 1 < (arm === 'treatment' ? share : 0.05) }),
    });
    expect(verdictAfter(complaintRateRising(), complaining(0.5)).status).toBe('breach');
    expect(verdictAfter(complaintRateRising(), complaining(0.06)).status).toBe('ok');
  });

  it('compares evaluations without an outcome where none is promised', () => {
    const silent = (arms: readonly Arm[]): Traffic => ({
      outcomes: 2_000,
      every: 2,
      isOperation: false,
      call: (arm, i) => ({ isSilent: arms.includes(arm) && i % 10 < 8 }),
    });
    const trigger = unreportedAbove();
    expect(verdictAfter(trigger, silent(['treatment', 'control'])).status).toBe('ok');
    // The control reports: what the treatment leaves open is a hang.
    expect(verdictAfter(failureRegression(), silent(['treatment'])).status).toBe('breach');
  });
});

describe('latencyRegression', () => {
  const slow: Traffic = {
    outcomes: 2_000,
    every: 10,
    call: (arm, i) => ({ durationMs: (100 + (i % 37)) * (arm === 'treatment' ? 2 : 1) }),
  };

  it('explains a breach by a quantile, since when, and both arms', () => {
    const verdict = verdictAfter(latencyRegression(), slow);
    expect(verdict).toMatchObject({ trigger: 'latency-regression', status: 'breach', threshold: 1.2 });
    expect(verdict.observed).toBeCloseTo(2, 1);
    expect(verdict.message).toMatch(
      /of the treatment's successes took longer than \d+ ms, which is 1\.2 times the control's p\d+, and [\d.]+ % \(\d+ of \d+\) of the control's longer than that p\d+: too slow; the evidence E is/,
    );
  });

  it('tolerates what is within the ratio, and a control that is slower', () => {
    expect(verdictAfter(latencyRegression({ ratio: 2.2 }), slow).status).toBe('ok');
    const quick: Traffic = { ...slow, call: (arm) => ({ durationMs: arm === 'control' ? 1_000 : 100 }) };
    expect(verdictAfter(latencyRegression(), quick).status).toBe('ok');
  });

  it('waits for durations', () => {
    const verdict = verdictAfter(latencyRegression(), { ...slow, outcomes: 15 });
    expect(verdict).toMatchObject({ status: 'insufficient-data', observed: undefined });
    expect(verdict.message).toMatch(
      /^No verdict on durations yet: the test has too few successes of either arm\./,
    );
  });
});

describe('the sample ratio', () => {
  it('breaches in both directions when arms do not have their units', () => {
    for (const chance of [0.2, 0.8]) {
      const verdict = verdictAfter(sampleRatioMismatch(), { outcomes: 2_000, every: 2, chance });
      expect(verdict.status).toBe('breach');
      expect(verdict.message).toContain('check the stickiness');
    }
    expect(verdictAfter(sampleRatioMismatch(), { outcomes: 2_000, every: 2 }).status).toBe('ok');
  });

  it('notices units in both arms', () => {
    const wandering: Traffic = { outcomes: 1_000, every: 2, unit: (i) => `unit-${i % 151}` };
    expect(verdictAfter(usersInBothArms(), wandering)).toMatchObject({ status: 'breach' });
    const staying: Traffic = { outcomes: 1_000, every: 2, unit: (i, arm) => `${arm}-${i % 151}` };
    expect(verdictAfter(usersInBothArms(), staying)).toMatchObject({ status: 'ok', observed: 0 });
  });
});

describe('limits', () => {
  it.each([
    ['error-rate-above', errorRateAbove(0.05, SEQUENTIAL), 0.05, 1],
    ['success-rate-below', successRateBelow(0.95, SEQUENTIAL), 0.95, 0],
  ])('%s needs no minimum where no control runs', (name, trigger, threshold, observed) => {
    const breach = verdictAfter(trigger, { outcomes: 4, every: 1, call: failing('treatment') });
    expect(breach).toMatchObject({
      trigger: name,
      status: 'breach',
      threshold,
      observed,
      blame: 'treatment',
    });
    expect(verdictAfter(trigger, { outcomes: 0, every: 1 }).status).toBe('insufficient-data');
  });

  const rules = [
    ['sequential', errorRateAbove(0.05, SEQUENTIAL)],
    ['point', errorRateAbove(0.05, { windowMs: 300_000 })],
  ] as const;

  it.each(rules)('%s stop what is the treatment’s fault', (_, trigger) => {
    const traffic = { outcomes: 1_000, every: 2, call: failing('treatment', 0.3) };
    expect(verdictAfter(trigger, traffic, 0)).toMatchObject({ status: 'breach', blame: 'treatment' });
  });

  it.each(rules)('%s call it a shared outage when the control breaks the limit alike', (_, trigger) => {
    const traffic: Traffic = {
      outcomes: 1_000,
      every: 2,
      call: (_, i) => ((i >> 1) % 3 === 0 ? { result: 'failure' } : {}),
    };
    const verdict = verdictAfter(trigger, traffic, 0);
    expect(verdict).toMatchObject({ status: 'ok', blame: 'shared' });
    expect(verdict.message).toContain('a shared outage.');
  });

  it.each(rules)('%s judge by outcomes where there are few units, and say so', (_, trigger) => {
    const traffic = {
      outcomes: 200,
      every: 2,
      unit: (__: number, arm: Arm) => arm,
      call: failing('treatment'),
    };
    const verdict = verdictAfter(trigger, traffic, 0);
    expect(verdict).toMatchObject({ status: 'breach', evidence: { basis: 'outcomes' } });
    expect(verdict.message).toContain('by outcomes, of 1 unit in the window');
  });

  it('look at the last 20 outcomes where the window has fewer', () => {
    const trigger = errorRateAbove(0.05, { windowMs: 1_000 });
    const traffic = { outcomes: 100, every: 2, call: failing('treatment', 0.8) };
    expect(verdictAfter(trigger, traffic, 500)).toMatchObject({
      status: 'breach',
      sampleSize: { treatment: 20 },
    });
    expect(verdictAfter(errorRateAbove(0.05, { windowMs: 1_000, strict: true }), traffic, 500).status).toBe(
      'insufficient-data',
    );
  });

  it('do not take a few failures for more than chance, unless they are strict', () => {
    const few = {
      outcomes: 40,
      every: 2,
      call: (arm: Arm, i: number): Call => (arm === 'treatment' && i % 20 === 0 ? { result: 'failure' } : {}),
    };
    expect(verdictAfter(errorRateAbove(0.05), few, 0)).toMatchObject({ status: 'ok', blame: 'unproven' });
    expect(verdictAfter(errorRateAbove(0.05, { strict: true }), few, 0)).toMatchObject({ status: 'breach' });
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
    [() => failureRegression(null as never), /failureRegression/],
    [
      () => eventRegression('failed' as never),
      /event: expected 'aborted', 'expected', 'fallback' or 'retried'/,
    ],
    [() => latencyRegression({ ratio: -1.2 }), /ratio/],
    [() => sampleRatioMismatch({ alpha: 2 }), /alpha/],
    [() => usersInBothArms({ maxShare: 5 }), /maxShare: .*did you mean 0\.05\?/],
    [() => errorRateAbove(0, SEQUENTIAL), /rate: expected a fraction above 0 and below 1/],
    [() => errorRateAbove(5, SEQUENTIAL), /rate: .*did you mean 0\.05\?/],
    [() => errorRateAbove(0.05, { ...SEQUENTIAL, alpha: 5 }), /alpha: .*did you mean 0\.05\?/],
    [() => errorRateAbove(0.05, { strict: 'yes' } as never), /strict: expected true or false/],
    [() => successRateBelow(1, SEQUENTIAL), /rate/],
    [
      () => successRateBelow(0.95, { ...SEQUENTIAL, minOutcomes: 5 } as never),
      /minOutcomes: expected one of/,
    ],
    [
      () => successRateBelow(0.95, { evidence: 'some' } as never),
      /evidence: expected 'point' or 'sequential'/,
    ],
  ])('are refused with the reason: %s', (make, message) => {
    expect(make).toThrow(message);
  });
});
