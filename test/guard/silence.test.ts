import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { RolloutGuard } from '../../src/guard/rollout-guard.js';
import type { GuardEvent } from '../../src/model/event.js';
import { failureRegression, unreportedAbove } from '../../src/triggers/event-regression.js';
import { successRateBelow } from '../../src/triggers/success-rate-below.js';
import { FakeAdminApi } from '../helpers/fake-admin-api.js';
import { FakeFlags } from '../helpers/fake-flags.js';

const MINUTE = 60_000;

let flags: FakeFlags;
let guard: RolloutGuard;
let events: GuardEvent[];

const reviews = () => events.filter(({ type }) => type.startsWith('review-')).map(({ type }) => type);

beforeEach(async () => {
  vi.useFakeTimers({ now: 1_700_000_000_000 });
  flags = new FakeFlags();
  events = [];
  guard = new RolloutGuard({
    flagKey: 'async-upload',
    flags,
    unleash: { url: 'http://unleash.test/api', token: '*:*.made-up', environment: 'production' },
    rollback: [successRateBelow(0.95)],
    review: [failureRegression(), unreportedAbove()],
    folder: false,
    logger: false,
    fetch: new FakeAdminApi().fetch,
    onEvent: (event) => events.push(event),
    clock: { now: () => Date.now(), monotonic: () => Date.now() },
  });
  await guard.start();
});

afterEach(async () => {
  await guard.close();
  vi.useRealTimers();
});

/** 40 users, every other one in the treatment, which ends when `finish` is called. */
function uploads() {
  const waiting: (() => void)[] = [];
  const run = guard.operation<void, string>({
    treatment: () => new Promise((resolve) => waiting.push(() => resolve('new'))),
    control: () => 'old',
    timeoutMs: 60 * MINUTE,
  });
  let index = 0;
  flags.defaultClient = () => ({
    getBooleanDetails: async (_flag, _default, { targetingKey } = {}) => ({
      value: index++ % 2 === 0,
      reason: 'SPLIT',
      flagMetadata: { chance: 0.5, contextId: targetingKey! },
    }),
  });
  const all = Array.from({ length: 40 }, (_, user) => run({ targetingKey: `user-${user}` }));
  return {
    all: Promise.all(all),
    finish: () => {
      for (const resolve of waiting) resolve();
    },
  };
}

describe('a treatment that hangs', () => {
  it('opens a review in seconds, long before its time limit, and what it does later changes nothing', async () => {
    const { all, finish } = uploads();
    await vi.advanceTimersByTimeAsync(4_000);
    // Nothing but successes has been reported, all of the control's.
    expect(guard.status().snapshot.total).toMatchObject({
      treatment: { successes: 0, failures: 0 },
      control: { successes: 20 },
    });
    expect(reviews()).toEqual([]);
    await vi.advanceTimersByTimeAsync(3_000);
    expect(reviews()).toEqual(['review-opened']);
    expect(guard.status().openReviews[0]?.verdict).toMatchObject({
      trigger: 'failure-regression',
      sampleSize: { treatment: 20, control: 20 },
      message: expect.stringMatching(/the treatment fails 100 % \(\d+ of \d+\), the control 0 %/),
    });
    expect(guard.state.status).toBe('armed');
    finish();
    await all;
    await vi.advanceTimersByTimeAsync(1_000);
    expect(guard.status().openReviews[0]?.verdict).toMatchObject({ status: 'breach' });
  });

  it('opens a review when it reports less often than a control that reports now and then', async () => {
    const expose = (user: number, value: boolean) =>
      guard.exposed(
        { value, reason: 'SPLIT', flagMetadata: { chance: 0.5, contextId: `user-${user}` } },
        `user-${user}`,
      );
    for (let user = 0; user < 400; user++) {
      expose(user, user % 2 === 0);
      // Every third of the control.
      if (user % 6 === 1) flags.track({ targetingKey: `user-${user}`, value: 5, details: { success: true } });
    }
    await vi.advanceTimersByTimeAsync(2 * MINUTE);
    expect(guard.status().openReviews.map(({ trigger }) => trigger)).toEqual(['unreported-above']);
    expect(guard.status().openReviews[0]?.verdict.message).toMatch(
      /the treatment has no outcome in 100 % .*, the control 66/,
    );
  });

  it('is not reported for a treatment that was stopped before it began: the control ran in its place', async () => {
    flags.defaultClient = () => ({
      getBooleanDetails: async () => {
        guard.exposed({ value: true, reason: 'SPLIT' }, 'elsewhere');
        flags.override('async-upload', 'while OpenFeature awaits hooks');
        return { value: true, reason: 'SPLIT' };
      },
    });
    const run = guard.operation<void, string>({ treatment: () => 'new', control: () => 'old' });
    expect(await run({ targetingKey: 'ann' })).toBe('old');
    await vi.advanceTimersByTimeAsync(2 * MINUTE);
    // Only the evaluation that led to no operation at all is without an outcome.
    expect(guard.status().snapshot.windows.at(-1)?.exposures).toEqual({
      treatment: { due: 2, unreported: 1 },
      control: { due: 1, unreported: 0 },
    });
  });
});
