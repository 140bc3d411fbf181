import { describe, expect, it } from 'vitest';
import type { SignalValue } from '../../../src/model/snapshot.js';
import { type SignalOptions, signal } from '../../../src/triggers/signals/signal.js';
import { NOW, snapshotOf } from '../snapshots.js';

const above: SignalOptions = { above: 1_000, unit: 'count' };
const below: SignalOptions = { below: 1_000, unit: 'count' };

const evaluate = (signals: readonly SignalValue[] | undefined, options: SignalOptions = above) =>
  signal('queue-depth', () => undefined, options).evaluate({ ...snapshotOf(), signals }, NOW);

function verdictOf(read: Partial<SignalValue> | undefined, options: SignalOptions = above) {
  const value = { trigger: 'queue-depth', reading: undefined, problem: undefined, ...read };
  return evaluate(read && [value], options);
}

const reading = (value: number, ageMs = 3_000) => ({ reading: { value, at: NOW - ageMs } });

describe('the verdict on a signal', () => {
  it.each<[string, Partial<SignalValue>, SignalOptions, string, number | undefined]>([
    ['a value above the upper limit', reading(1_001), above, 'breach', 1_001],
    ['exactly the upper limit', reading(1_000), above, 'ok', 1_000],
    ['a value below the upper limit', reading(-5), above, 'ok', -5],
    ['a value below the lower limit', reading(999.5), below, 'breach', 999.5],
    ['exactly the lower limit', reading(1_000), below, 'ok', 1_000],
    ['a value above the lower limit', reading(1_001), below, 'ok', 1_001],
    ['a reading as old as it may be', reading(2_000, 60_000), above, 'breach', 2_000],
    ['a reading that is too old', reading(2_000, 60_001), above, 'insufficient-data', undefined],
    ['nothing but a problem', { problem: 'timed out' }, above, 'insufficient-data', undefined],
    [
      'a reading that a later read did not renew',
      { ...reading(2_000), problem: 'x' },
      above,
      'breach',
      2_000,
    ],
  ])('is $3 for %s', (_, read, options, status, observed) => {
    expect(verdictOf(read, options)).toMatchObject({
      trigger: 'queue-depth',
      status,
      observed,
      threshold: 1_000,
      windowMs: 0,
      sampleSize: { treatment: 0, control: 0 },
    });
  });

  it('gives the age of the reading as its freshness', () => {
    expect(verdictOf(reading(1, 3_000)).freshnessMs).toBe(3_000);
    expect(verdictOf(reading(1, 90_000)).freshnessMs).toBe(90_000);
    expect(verdictOf(reading(1, -5)).freshnessMs).toBe(0);
    expect(verdictOf(undefined).freshnessMs).toBeUndefined();
  });

  it('ignores a reading from before the epoch: it described another rollout', () => {
    const { epochStartedAt } = snapshotOf();
    const options = { ...above, maxAgeMs: 3_600_000 };
    expect(verdictOf({ reading: { value: 2_000, at: epochStartedAt } }, options).status).toBe('breach');
    expect(verdictOf({ reading: { value: 2_000, at: epochStartedAt - 1 } }, options)).toMatchObject({
      status: 'insufficient-data',
      message: 'The signal queue-depth has no verdict: nothing has been read since the rollout changed.',
    });
  });

  it('evaluates its own signal only', () => {
    const other = { trigger: 'another', ...reading(2_000), problem: undefined };
    expect(evaluate([other]).status).toBe('insufficient-data');
    expect(evaluate(undefined).status).toBe('insufficient-data');
  });

  it.each<[Partial<SignalValue> | undefined, string]>([
    [reading(1_200), 'The signal queue-depth is 1200 (3 s ago), above 1000.'],
    [reading(12.123456789), 'The signal queue-depth is 12.1235 (3 s ago), not above 1000.'],
    [reading(1_000.0000001), 'The signal queue-depth is 1000.0000001 (3 s ago), above 1000.'],
    [undefined, 'The signal queue-depth has no verdict: nothing has been read yet.'],
    [
      { problem: 'no data (NaN)' },
      'The signal queue-depth has no verdict: nothing has been read yet (the last attempt: no data (NaN)).',
    ],
    [
      { ...reading(1, 180_000), problem: 'timed out after 5000 ms' },
      'The signal queue-depth has no verdict: the latest reading is from 3 min ago, and one older than 1 min is ignored (the last attempt: timed out after 5000 ms).',
    ],
  ])('explains its verdict on %o', (read, message) => {
    expect(verdictOf(read).message).toBe(message);
  });
});
