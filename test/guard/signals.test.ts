import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { RolloutGuardOptions } from '../../src/guard/options/options.js';
import { RolloutGuard } from '../../src/guard/rollout-guard.js';
import type { GuardEvent } from '../../src/model/event.js';
import { signal } from '../../src/triggers/signals/signal.js';
import { successRateBelow } from '../../src/triggers/success-rate-below.js';
import { FakeAdminApi } from '../helpers/fake-admin-api.js';
import { FakeFlags } from '../helpers/fake-flags.js';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;

let flags: FakeFlags;
let unleash: FakeAdminApi;
let guard: RolloutGuard;
let events: GuardEvent[];
let depth: number | undefined;
const read = vi.fn(async () => depth);

beforeEach(() => {
  vi.useFakeTimers({ now: 1_700_000_000_000 });
  flags = new FakeFlags();
  unleash = new FakeAdminApi();
  events = [];
  depth = 5;
  read.mockReset().mockImplementation(async () => depth);
});

afterEach(async () => {
  await guard.close();
  vi.useRealTimers();
});

async function start(options: Partial<RolloutGuardOptions> = {}): Promise<void> {
  guard = new RolloutGuard({
    flagKey: 'async-upload',
    flags,
    unleash: { url: 'http://unleash.test/api', token: '*:*.made-up', environment: 'production' },
    rollback: [signal('queue-depth', read, { above: 1_000 })],
    folder: false,
    logger: false,
    fetch: unleash.fetch,
    onEvent: (event) => events.push(event),
    clock: { now: () => Date.now(), monotonic: () => Date.now() },
    ...options,
  });
  await guard.start();
}

const reported = (type: GuardEvent['type']) => events.filter((event) => event.type === type);
const verdict = () => guard.status().verdicts[0];

describe('a signal', () => {
  it('stops the flag when it breaches, without a single outcome', async () => {
    await start();
    expect(verdict()).toMatchObject({ status: 'insufficient-data' });
    await vi.advanceTimersByTimeAsync(MINUTE);
    expect(verdict()).toMatchObject({ status: 'ok', observed: 5 });
    depth = 2_000;
    await vi.advanceTimersByTimeAsync(20 * SECOND);
    expect(guard.state).toMatchObject({
      status: 'stopped',
      decision: {
        reason: expect.stringMatching(/^The signal queue-depth is 2000 \(\d+ s ago\), above 1000\.$/),
      },
    });
    expect(flags.isOverridden()).toBe(true);
    expect(unleash.enabled).toBe(false);
  });

  it('opens a review and closes it', async () => {
    const review = [signal('queue-depth', read, { above: 1_000 })];
    await start({ rollback: [successRateBelow(0.95)], review, reviewCloseAfterMs: MINUTE });
    depth = 2_000;
    await vi.advanceTimersByTimeAsync(20 * SECOND);
    expect(reported('review-opened')).toHaveLength(1);
    expect(guard.state.status).toBe('armed');
    depth = 5;
    await vi.advanceTimersByTimeAsync(2 * MINUTE);
    expect(reported('review-closed')).toHaveLength(1);
  });

  it('leads to no verdict once its last reading is a minute old', async () => {
    const review = [signal('queue-depth', read, { above: 1_000 })];
    await start({ rollback: [successRateBelow(0.95)], review });
    depth = 2_000;
    await vi.advanceTimersByTimeAsync(16 * SECOND);
    read.mockRejectedValue(new Error('no route'));
    const statusOf = () => guard.status().verdicts.find(({ trigger }) => trigger === 'queue-depth');
    await vi.advanceTimersByTimeAsync(50 * SECOND);
    expect(statusOf()?.status).toBe('breach');
    await vi.advanceTimersByTimeAsync(20 * SECOND);
    expect(statusOf()).toMatchObject({
      status: 'insufficient-data',
      message: expect.stringContaining('(the last attempt: no route)'),
    });
    expect(reported('fault')).toMatchObject([{ what: 'the signal queue-depth', message: 'no route' }]);
  });

  it('is not read while the flag is off, and earlier readings expire when an operator turns it on', async () => {
    await start();
    depth = 2_000;
    await vi.advanceTimersByTimeAsync(20 * SECOND);
    expect(guard.state.status).toBe('stopped');
    flags.change({ enabled: false });
    const before = read.mock.calls.length;
    await vi.advanceTimersByTimeAsync(40 * SECOND);
    expect(read).toHaveBeenCalledTimes(before);

    // The queue was drained; the reading of 2000 is younger than a minute.
    depth = 5;
    unleash.toggle(true, 'an operator');
    flags.change({ enabled: true });
    await vi.advanceTimersByTimeAsync(2 * MINUTE);
    expect(guard.state.status).toBe('armed');
    expect(verdict()).toMatchObject({ status: 'ok', observed: 5 });
  });

  it('delays nothing when it hangs, and ends with the guard', async () => {
    let aborted = false;
    const hangs = signal(
      'hangs',
      ({ signal }) =>
        new Promise(() => {
          signal.addEventListener('abort', () => {
            aborted = true;
          });
        }),
      { above: 1, timeoutMs: MINUTE },
    );
    await start({ rollback: [hangs, signal('queue-depth', read, { above: 1_000 })] });
    await vi.advanceTimersByTimeAsync(20 * SECOND);
    expect(read).toHaveBeenCalledTimes(2);
    expect(aborted).toBe(false);
    await guard.close();
    expect(aborted).toBe(true);
    expect(reported('fault')).toEqual([]);
    expect(vi.getTimerCount()).toBe(0);
  });
});
