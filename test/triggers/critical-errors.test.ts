import { describe, expect, it } from 'vitest';
import { type CriticalErrorsOptions, criticalErrors } from '../../src/triggers/critical-errors.js';
import { NOW, snapshotOf } from './snapshots.js';

describe('criticalErrors', () => {
  it.each([
    [
      'one critical error, though all else is well',
      { successes: 9999, failures: 1, critical: 1 },
      'breach',
      1,
    ],
    ['no critical error', { successes: 10, failures: 10 }, 'ok', 0],
    ['no outcome', {}, 'insufficient-data', 0],
    ['a critical error as the only outcome', { failures: 1, critical: 1 }, 'breach', 1],
    ['a critical error among the users’ own mistakes', { expected: 1, critical: 1 }, 'breach', 1],
  ])('is $2 for %s', (_, treatment, status, observed) => {
    const verdict = criticalErrors().evaluate(snapshotOf({ treatment }), NOW);
    expect(verdict.status).toBe(status);
    expect(verdict.observed).toBe(status === 'insufficient-data' ? undefined : observed);
    expect(verdict.threshold).toBe(1);
  });

  it('breaches from minCount errors on', () => {
    const trigger = criticalErrors({ minCount: 3 });
    expect(trigger.evaluate(snapshotOf({ treatment: { failures: 2, critical: 2 } }), NOW).status).toBe('ok');
    expect(trigger.evaluate(snapshotOf({ treatment: { failures: 3, critical: 3 } }), NOW).status).toBe(
      'breach',
    );
  });

  it('never breaches for critical errors of the control', () => {
    const snapshot = snapshotOf({ control: { failures: 5, critical: 5 } });
    expect(criticalErrors().evaluate(snapshot, NOW).status).toBe('insufficient-data');
  });

  it('names the latest critical error, and when it was: the message is read later, too', () => {
    const snapshot = snapshotOf({
      treatment: { failures: 2, critical: 2 },
      lastCritical: { errorType: 'ENOSPC', at: NOW - 12_000 },
    });
    expect(criticalErrors().evaluate(snapshot, NOW).message).toBe(
      'The treatment had 2 critical errors in the last 5 min (the latest: ENOSPC at 22:13 UTC), 1 or more are a breach.',
    );
    expect(criticalErrors().evaluate(snapshotOf({ treatment: { successes: 1 } }), NOW).message).toBe(
      'The treatment had 0 critical errors in the last 5 min, fewer than 1.',
    );
  });

  it('carries the error types that the user names', () => {
    expect(criticalErrors({ errorTypes: ['E_CORRUPT'] }).criticalErrorTypes).toEqual(['E_CORRUPT']);
    expect(criticalErrors().criticalErrorTypes).toEqual([]);
  });

  it.each([
    [{ minCount: 0 }, /minCount: expected a whole number, 1 or more, got 0/],
    [{ windowMs: Number.POSITIVE_INFINITY }, /windowMs: expected a positive number of milliseconds/],
    [{ errorTypes: [''] }, /errorTypes\[0\]: expected at least 1 character, got an empty string/],
    [{ minOutcomes: 1 }, /minOutcomes: expected one of minCount, errorTypes, windowMs, name/],
  ])('refuses %o', (options, message) => {
    expect(() => criticalErrors(options as CriticalErrorsOptions)).toThrow(message);
  });
});
