import { describe, expect, it } from 'vitest';
import { successRateBetween } from '../../src/triggers/success-rate-between.js';
import { armCounts, NOW, snapshotOf } from './snapshots.js';

const HALF_AN_HOUR = 1_800_000;

function verdictOf(successes: number, failures: number, epochAgeMs = HALF_AN_HOUR) {
  const snapshot = snapshotOf({ windowMs: HALF_AN_HOUR, treatment: armCounts({ successes, failures }) });
  return successRateBetween(0.95, 0.97, { minOutcomes: 100 }).evaluate(
    { ...snapshot, epochStartedAt: NOW - epochAgeMs },
    NOW,
  );
}

describe('successRateBetween', () => {
  it.each([
    ['at the low end', 95, 5, 'breach'],
    ['between both ends', 96, 4, 'breach'],
    ['at the high end', 97, 3, 'ok'],
    ['above both ends', 100, 0, 'ok'],
    ['below both ends, where another trigger stops the flag', 94, 6, 'ok'],
  ] as const)('is $3 for a rate %s', (_where, successes, failures, status) => {
    expect(verdictOf(successes, failures)).toMatchObject({
      status,
      observed: successes / 100,
      threshold: 0.97,
    });
  });

  it('has no verdict with one outcome too few, or before the epoch is as old as the window', () => {
    expect(verdictOf(95, 4)).toMatchObject({ status: 'insufficient-data', observed: undefined });
    expect(verdictOf(960, 40, HALF_AN_HOUR - 1)).toMatchObject({ status: 'insufficient-data' });
  });

  it.each([
    [
      'percentages',
      () => successRateBetween(95, 97),
      /low: expected a fraction 0–1.*got 95; did you mean 0.95/,
    ],
    [
      'ends in the wrong order',
      () => successRateBetween(0.97, 0.95),
      /high: expected a rate above the low one/,
    ],
    ['an unknown option', () => successRateBetween(0.9, 0.95, { min: 1 } as object), /options\.min/],
    [
      'the kind of evidence, which its type does not have',
      // @ts-expect-error types promise nothing that run time refuses
      () => successRateBetween(0.9, 0.95, { evidence: 'point' }),
      /options\.evidence/,
    ],
  ])('refuses %s', (_what, make, message) => {
    expect(make).toThrow(message);
  });
});
