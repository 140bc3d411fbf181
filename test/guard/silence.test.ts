import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { RolloutGuard } from '../../src/guard/rollout-guard.js';
import type { GuardEvent } from '../../src/model/event.js';
import { successRateBelow } from '../../src/triggers/success-rate-below.js';
import { unreportedAbove } from '../../src/triggers/unreported-above.js';
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
    review: [unreportedAbove({ ratio: 2, minExposures: 20 })],
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
    getBooleanDetails: async () => ({ value: index++ % 2 === 0, reason: 'SPLIT' }),
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
  it('opens a review once its outcomes are overdue, and closes it when they have come', async () => {
    const { all, finish } = uploads();
    await vi.advanceTimersByTimeAsync(MINUTE - 1_000);
    // Nothing but successes has been reported, all of the control's.
    expect(guard.status().snapshot.total).toMatchObject({
      treatment: { successes: 0, failures: 0 },
      control: { successes: 20 },
    });
    expect(reviews()).toEqual([]);
    await vi.advanceTimersByTimeAsync(10_000);
    expect(reviews()).toEqual(['review-opened']);
    expect(guard.status().openReviews[0]?.verdict).toMatchObject({
      trigger: 'unreported-above',
      sampleSize: { treatment: 20, control: 20 },
      message: expect.stringContaining('(20 of 20 in the last 5 min)'),
    });
    expect(guard.state.status).toBe('armed');
    finish();
    await all;
    await vi.advanceTimersByTimeAsync(1_000);
    expect(guard.status().verdicts.at(-1)).toMatchObject({ trigger: 'unreported-above', status: 'ok' });
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
