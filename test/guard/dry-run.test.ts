import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { errorRateAbove } from '../../src/triggers/error-rate-above.js';
import { GuardHarness } from '../helpers/guard-harness.js';

let harness: GuardHarness;

beforeEach(async () => {
  harness = await GuardHarness.create();
});

afterEach(() => harness.close());

describe('a dry run that would have stopped the flag', () => {
  it('continues to report stages and reviews', async () => {
    const guard = await harness.started({
      dryRun: true,
      tickMs: 5,
      review: [errorRateAbove(0.9, { minOutcomes: 30, strict: true })],
      stages: [{ percentage: 10, minOutcomes: 40, minSuccessRate: 0.9 }],
    });
    await harness.fail(guard);
    await harness.until('decided', () => harness.reported('decided').length === 1);
    expect(harness.reported('review-opened')).toEqual([]);
    await harness.fail(guard);
    await harness.until('opened', () => harness.reported('review-opened').length === 1);
    await harness.until('blocked', () => guard.status().stage?.status === 'blocked');
    expect(guard.status().stage).toMatchObject({ outcomes: 40 });
    expect(harness.reported('decided')).toHaveLength(1);
    expect(harness.flags.isOverridden()).toBe(false);
  });
});
