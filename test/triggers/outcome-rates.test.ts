import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ArmCounts } from '../../src/model/shapes.js';
import { errorRateAbove } from '../../src/triggers/error-rate-above.js';
import type { OutcomeRateOptions } from '../../src/triggers/outcome-rate.js';
import { successRateBelow } from '../../src/triggers/success-rate-below.js';
import { NOW, snapshotOf } from './snapshots.js';

/** The bare rules: what they find is a matter of the window alone. */
const STRICT = { strict: true } as const;

type Case = [what: string, treatment: Partial<ArmCounts>, status: string, observed: number | undefined];

const successRateCases: Case[] = [
  ['a rate of exactly the threshold', { successes: 95, failures: 5 }, 'ok', 0.95],
  ['one failure beyond the threshold', { successes: 94, failures: 6 }, 'breach', 0.94],
  ['one outcome fewer than minOutcomes', { successes: 0, failures: 99 }, 'insufficient-data', undefined],
  ['exactly minOutcomes, all failed', { successes: 0, failures: 100 }, 'breach', 0],
  ['successes only', { successes: 100 }, 'ok', 1],
  ['no outcome', {}, 'insufficient-data', undefined],
  ['the users’ own mistakes', { successes: 99, expected: 50 }, 'insufficient-data', undefined],
  ['the users’ aborts', { successes: 100, aborted: 900 }, 'ok', 1],
  ['fallbacks, which are failures', { successes: 90, failures: 10, fallbacks: 10 }, 'breach', 0.9],
];

describe('successRateBelow', () => {
  it.each(successRateCases)('is $2 for %s', (_, treatment, status, observed) => {
    const verdict = successRateBelow(0.95, { minOutcomes: 100, strict: true }).evaluate(
      snapshotOf({ treatment }),
      NOW,
    );
    expect(verdict).toMatchObject({ trigger: 'success-rate-below', status, observed, threshold: 0.95 });
  });

  it('gives the rate, its limit, the sample sizes, the window and the age of the latest outcome', () => {
    const snapshot = snapshotOf({
      treatment: { successes: 90, failures: 10, expected: 3 },
      control: { successes: 899, failures: 1, aborted: 7 },
      lastOutcomeAt: NOW - 1500,
    });
    expect(successRateBelow(0.95, STRICT).evaluate(snapshot, NOW)).toEqual({
      trigger: 'success-rate-below',
      status: 'breach',
      observed: 0.9,
      threshold: 0.95,
      unit: 'fraction',
      rate: 'success',
      sampleSize: { treatment: 100, control: 900 },
      windowMs: 300_000,
      freshnessMs: 1500,
      message: "The treatment's success rate is 90.0 % (90 of 100 in the last 5 min), below 95 %.",
    });
  });

  it.each([
    [
      { successes: 97, failures: 3 },
      "The treatment's success rate is 97.0 % (97 of 100 in the last 5 min), not below 95 %.",
    ],
    [
      { successes: 95, failures: 5 },
      "The treatment's success rate is 95.0 % (95 of 100 in the last 5 min), not below 95 %.",
    ],
    [
      { successes: 94_996, failures: 5004 },
      "The treatment's success rate is 94.996 % (94,996 of 100,000 in the last 5 min), below 95 %.",
    ],
    [
      { successes: 19 },
      'No verdict on the success rate yet: 19 of 20 outcomes of the treatment in the last 5 min.',
    ],
    [
      { successes: 1 },
      'No verdict on the success rate yet: 1 of 20 outcomes of the treatment in the last 5 min.',
    ],
  ])('explains its verdict on %o', (treatment, sentence) => {
    const { message } = successRateBelow(0.95, STRICT).evaluate(snapshotOf({ treatment }), NOW);
    expect(message).toBe(sentence);
  });

  it('never breaches for a failing control', () => {
    const control = { failures: 1000, critical: 1000 };
    const snapshot = snapshotOf({ treatment: { successes: 100 }, control });
    expect(successRateBelow(0.95, STRICT).evaluate(snapshot, NOW).status).toBe('ok');
    expect(successRateBelow(0.95, STRICT).evaluate(snapshotOf({ control }), NOW).status).toBe(
      'insufficient-data',
    );
  });

  it('has no verdict on a window that the snapshot lacks', () => {
    const snapshot = snapshotOf({ windowMs: 60_000, treatment: { failures: 1000 } });
    expect(successRateBelow(0.95, STRICT).evaluate(snapshot, NOW)).toMatchObject({
      status: 'insufficient-data',
      observed: undefined,
      sampleSize: { treatment: 0, control: 0 },
      message: 'No verdict: the store has no window of 5 min.',
    });
  });

  it('does not count time backwards when the clock was set back', () => {
    const snapshot = snapshotOf({ lastOutcomeAt: NOW + 5000 });
    expect(successRateBelow(0.95, STRICT).evaluate(snapshot, NOW).freshnessMs).toBe(0);
    expect(successRateBelow(0.95, STRICT).evaluate(snapshotOf(), NOW).freshnessMs).toBeUndefined();
  });

  it('is plain data with its options', () => {
    const trigger = successRateBelow(0.5, {
      minOutcomes: 3,
      windowMs: 90_000,
      name: 'half-works',
      strict: true,
    });
    expect(JSON.parse(JSON.stringify(trigger))).toEqual({
      name: 'half-works',
      threshold: 0.5,
      unit: 'fraction',
      rate: 'success',
      minOutcomes: 3,
      windowMs: 90_000,
    });
    expect(Object.isFrozen(trigger)).toBe(true);
    const verdict = trigger.evaluate(snapshotOf({ windowMs: 90_000, treatment: { failures: 3 } }), NOW);
    expect(verdict).toMatchObject({ trigger: 'half-works', status: 'breach', windowMs: 90_000 });
  });

  it('uses the default for an explicit undefined', () => {
    const options = { minOutcomes: undefined, windowMs: undefined, name: undefined };
    expect(successRateBelow(0.95, options)).toMatchObject({
      name: 'success-rate-below',
      minOutcomes: 20,
      windowMs: 300_000,
    });
  });

  it.each([
    [95, {}, /rate: expected a fraction 0–1 \(.*percentages are 0–100\), got 95; did you mean 0.95\?/],
    [-0.1, {}, /rate: expected a fraction 0–1 .*got -0.1/],
    [Number.NaN, {}, /rate: expected a fraction 0–1, got NaN/],
    ['0.95', {}, /rate: expected a fraction 0–1, got "0.95"/],
    [0.95, { windowMs: 0 }, /options.windowMs: expected a positive number of milliseconds/],
    [0.95, { minOutcomes: 1.5 }, /options.minOutcomes: expected a whole number, 1 or more, got 1.5/],
    [0.95, { name: 'Success Rate' }, /options.name: expected a kebab-case name, got "Success Rate"/],
    [0.95, { minOutcome: 5 }, /options.minOutcome: expected one of minOutcomes, windowMs, name/],
    [95, { windowMs: -1, minOutcomes: 0 }, /3 problems/],
  ])('refuses a rate of %s with %o', (rate, options, message) => {
    expect(() => successRateBelow(rate as number, options as OutcomeRateOptions)).toThrow(message);
  });
});

describe('errorRateAbove', () => {
  it.each<Case>([
    ['a rate of exactly the threshold', { successes: 95, failures: 5 }, 'ok', 0.05],
    ['one failure beyond the threshold', { successes: 94, failures: 6 }, 'breach', 0.06],
    ['one outcome fewer than minOutcomes', { failures: 99 }, 'insufficient-data', undefined],
    ['exactly minOutcomes, all failed', { failures: 100 }, 'breach', 1],
    ['no outcome', {}, 'insufficient-data', undefined],
    ['successes beside mistakes and aborts', { successes: 100, expected: 50, aborted: 50 }, 'ok', 0],
  ])('is $2 for %s', (_, treatment, status, observed) => {
    const verdict = errorRateAbove(0.05, { minOutcomes: 100, strict: true }).evaluate(
      snapshotOf({ treatment }),
      NOW,
    );
    expect(verdict).toMatchObject({ trigger: 'error-rate-above', status, observed, threshold: 0.05 });
  });

  it('never breaches for a failing control', () => {
    const snapshot = snapshotOf({ treatment: { successes: 100 }, control: { failures: 1000 } });
    expect(errorRateAbove(0.05, STRICT).evaluate(snapshot, NOW).status).toBe('ok');
  });

  it('explains its verdict with rate, counts, window and threshold', () => {
    const snapshot = snapshotOf({ treatment: { successes: 30, failures: 10 } });
    expect(errorRateAbove(0.05, STRICT).evaluate(snapshot, NOW).message).toBe(
      "The treatment's error rate is 25.0 % (10 of 40 in the last 5 min), above 5 %.",
    );
  });

  it('refuses a percentage', () => {
    expect(() => errorRateAbove(5)).toThrow(/errorRateAbove: rate: .*got 5; did you mean 0.05\?/);
  });
});

describe('both rates', () => {
  it('agree with exact arithmetic at every threshold of whole percent', () => {
    const count = fc.integer({ min: 0, max: 2000 });
    fc.assert(
      fc.property(count, count, fc.integer({ min: 0, max: 100 }), (successes, failures, percent) => {
        fc.pre(successes + failures >= 20);
        const snapshot = snapshotOf({ treatment: { successes, failures } });
        const counted = successes + failures;
        const tooFewSuccesses = successes * 100 < percent * counted;
        const tooManyErrors = failures * 100 > percent * counted;
        expect(successRateBelow(percent / 100, STRICT).evaluate(snapshot, NOW).status === 'breach').toBe(
          tooFewSuccesses,
        );
        expect(errorRateAbove(percent / 100, STRICT).evaluate(snapshot, NOW).status === 'breach').toBe(
          tooManyErrors,
        );
      }),
    );
  });
});
