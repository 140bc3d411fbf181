import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { RolloutGuardOptions } from '../../src/guard/options/options.js';
import { RolloutGuard } from '../../src/guard/rollout-guard.js';
import type { GuardEventOf } from '../../src/model/event.js';
import { isConfigError } from '../../src/support/config-error.js';
import { type SignalOptions, signal } from '../../src/triggers/signals/signal.js';
import { FakeAdminApi } from '../helpers/fake-admin-api.js';
import { FakeFlags } from '../helpers/fake-flags.js';

const SECOND = 1_000;
const EVERY = 15 * SECOND;
const MINUTE = 60 * SECOND;

let flags: FakeFlags;
let guard: RolloutGuard;
let opened: GuardEventOf<'review-opened'>[];
let closed: number;
let depth: number | undefined | { value: number; at: number };

beforeEach(() => {
  vi.useFakeTimers({ now: 1_700_000_000_000 });
  flags = new FakeFlags();
  opened = [];
  closed = 0;
  depth = 5;
});
afterEach(async () => {
  await guard.close();
  vi.useRealTimers();
});

async function start(
  more: Partial<SignalOptions>,
  options: Partial<RolloutGuardOptions> = {},
): Promise<void> {
  guard = new RolloutGuard({
    flagKey: 'async-upload',
    flags,
    unleash: { url: 'http://unleash.test/api', token: '*:*.made-up', environment: 'production' },
    rollback: [signal('queue-depth', () => depth, { above: 1_000, ...more } as SignalOptions)],
    folder: false,
    logger: false,
    fetch: new FakeAdminApi().fetch,
    reviewCloseAfterMs: 10 * SECOND,
    onEvent: (event) => {
      if (event.type === 'review-opened') opened.push(event);
      if (event.type === 'review-closed') closed++;
    },
    clock: { now: () => Date.now(), monotonic: () => Date.now() },
    ...options,
  });
  await guard.start();
  await vi.advanceTimersByTimeAsync(SECOND);
}

/** As many readings. */
async function read(value: typeof depth, times: number): Promise<void> {
  depth = value;
  await vi.advanceTimersByTimeAsync(times * EVERY);
}

const isArmed = () => guard.state.status === 'armed';
const message = () => guard.status().verdicts[0]?.message;

describe('confirmations', () => {
  it('needs so many readings in a row: one that is within the limit begins anew', async () => {
    await start({ confirmations: 3 });
    await read(2_000, 2);
    expect(message()).toMatch(/above 1000\. Not confirmed yet: 2 of 3 readings in a row\.$/);
    await read(5, 1);
    await read(2_000, 2);
    expect(isArmed()).toBe(true);
    await read(2_000, 1);
    expect(isArmed()).toBe(false);
  });

  it('counts a reading once, however often the source returns it', async () => {
    await start({ confirmations: 3, maxAgeMs: 10 * MINUTE });
    await read({ value: 2_000, at: Date.now() + SECOND }, 6);
    expect(message()).toMatch(/1 of 3 readings/);
    await read({ value: 2_000, at: Date.now() }, 1);
    await read({ value: 2_000, at: Date.now() }, 1);
    expect(isArmed()).toBe(false);
  });

  it('does not count readings from before the percentage changed', async () => {
    await start({ confirmations: 3 });
    await read(2_000, 2);
    flags.change({ rolloutPercentage: 50 });
    await read(2_000, 2);
    expect([isArmed(), message()]).toEqual([true, expect.stringMatching(/2 of 3 readings/)]);
    await read(2_000, 1);
    expect(isArmed()).toBe(false);
  });

  it('begins anew after an outage longer than a reading counts', async () => {
    await start({ confirmations: 3 });
    await read(2_000, 2);
    await read(undefined, 6);
    await read(2_000, 2);
    expect(isArmed()).toBe(true);
  });
});

describe('forMs', () => {
  it('needs readings beyond the limit that span the time', async () => {
    await start({ forMs: MINUTE });
    await read(2_000, 4);
    expect([isArmed(), message()]).toEqual([true, expect.stringMatching(/for 45 s of 1 min/)]);
    await read(2_000, 1);
    expect(isArmed()).toBe(false);
  });
});

describe('onMissing', () => {
  it('ignores missing data by default', async () => {
    await start({});
    await read(undefined, 40);
    expect([isArmed(), opened]).toEqual([true, []]);
  });

  it('stops the flag when no reading was usable for as long as one counts, and not before', async () => {
    await start({ onMissing: 'stop' });
    depth = undefined;
    await vi.advanceTimersByTimeAsync(MINUTE - 3 * SECOND);
    expect(isArmed()).toBe(true);
    await vi.advanceTimersByTimeAsync(EVERY);
    expect(guard.state).toMatchObject({
      decision: { reason: expect.stringMatching(/has no verdict: the latest/) },
    });
  });

  it('stops also when there never was one', async () => {
    depth = undefined;
    await start({ onMissing: 'stop' });
    await vi.advanceTimersByTimeAsync(MINUTE - 2 * SECOND);
    expect(isArmed()).toBe(true);
    await vi.advanceTimersByTimeAsync(3 * SECOND);
    expect(isArmed()).toBe(false);
  });

  it('opens a review for a rollback trigger, closes it when data is back, and still stops at a breach', async () => {
    await start({ onMissing: 'review' });
    await read(undefined, 6);
    expect([isArmed(), opened.map(({ verdict }) => verdict.trigger)]).toEqual([true, ['queue-depth']]);
    await read(5, 2);
    expect([closed, guard.status().openReviews]).toEqual([1, []]);
    await read(2_000, 1);
    expect(isArmed()).toBe(false);
  });

  it('takes the time in which the flag was off for no outage', async () => {
    await start({ onMissing: 'stop' });
    flags.change({ enabled: false });
    depth = undefined;
    await vi.advanceTimersByTimeAsync(10 * MINUTE);
    flags.change({ enabled: true });
    await vi.advanceTimersByTimeAsync(MINUTE / 2);
    expect(isArmed()).toBe(true);
    await vi.advanceTimersByTimeAsync(MINUTE);
    expect(isArmed()).toBe(false);
  });
});

it.each<[fields: object, path: string]>([
  [{ confirmations: 0 }, 'options.confirmations'],
  [{ confirmations: 1.5 }, 'options.confirmations'],
  [{ confirmations: 1_001 }, 'options.confirmations'],
  [{ forMs: -1 }, 'options.forMs'],
  [{ forMs: 1e9 }, 'options.forMs'],
  [{ onMissing: 'page' }, 'options.onMissing'],
])('rejects %o', async (fields, path) => {
  await start({});
  try {
    signal('a', () => 1, { above: 1, ...fields } as SignalOptions);
    expect.unreachable();
  } catch (error) {
    expect(isConfigError(error) && error.problems.map((problem) => problem.path)).toEqual([path]);
  }
});
