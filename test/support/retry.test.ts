import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type RetryPolicy, retry } from '../../src/support/retry.js';
import { ADMIN_RETRY, AdminError } from '../../src/unleash/admin-error.js';

describe('retry', () => {
  beforeEach(() => {
    vi.useFakeTimers();
    vi.spyOn(Math, 'random').mockReturnValue(1);
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  const policy: RetryPolicy = { retries: 3, initialDelayMs: 1_000, maxDelayMs: 3_000, shouldRetry: () => 0 };
  const startsOf = async (overrides: Partial<RetryPolicy>) => {
    const startedAt = Date.now();
    const starts: number[] = [];
    const result = retry(
      async () => {
        starts.push(Date.now() - startedAt);
        throw new Error('still broken');
      },
      { ...policy, ...overrides },
    ).catch((error: unknown) => error);
    await vi.runAllTimersAsync();
    expect(await result).toEqual(new Error('still broken'));
    return starts;
  };

  it('doubles its pauses up to the longest', async () => {
    expect(await startsOf({ retries: 4 })).toEqual([0, 1_000, 3_000, 6_000, 9_000]);
  });

  it('adds what the server requests', async () => {
    expect(await startsOf({ retries: 2, shouldRetry: (_, attempt) => attempt * 10_000 })).toEqual([
      0, 11_000, 33_000,
    ]);
  });

  it('calls shouldRetry after each failure that may be repeated, and ends when it returns false', async () => {
    const shouldRetry = vi.fn((_: unknown, attempt: number) => (attempt < 2 ? 0 : false));
    expect(await startsOf({ shouldRetry })).toHaveLength(2);
    expect(shouldRetry.mock.calls.map(([, attempt]) => attempt)).toEqual([1, 2]);
  });

  it('does not call shouldRetry when no attempt is left', async () => {
    const shouldRetry = vi.fn(() => 0);
    await startsOf({ retries: 0, shouldRetry });
    expect(shouldRetry).not.toHaveBeenCalled();
  });

  it.each([
    { chance: 0, delayMs: 500 },
    { chance: 0.5, delayMs: 750 },
  ])('leaves up to half of a pause to chance: $delayMs ms', async ({ chance, delayMs }) => {
    vi.mocked(Math.random).mockReturnValue(chance);
    expect(await startsOf({ retries: 1 })).toEqual([0, delayMs]);
  });

  it('waits no longer than five minutes more, whatever the server requests', async () => {
    expect(await startsOf({ retries: 1, shouldRetry: () => 24 * 3_600_000 })).toEqual([0, 301_000]);
  });

  it('returns what a later attempt returns', async () => {
    const attempt = vi.fn().mockRejectedValueOnce(new Error('down')).mockResolvedValue('done');
    const result = retry(attempt, policy);
    await vi.runAllTimersAsync();
    await expect(result).resolves.toBe('done');
  });

  it('continues for an hour without a limit of retries, with no pause above the longest', async () => {
    const startedAt = Date.now();
    let attempts = 0;
    const result = retry(
      async () => {
        attempts++;
        if (Date.now() - startedAt < 3_600_000) throw new Error('down');
        return 'up again';
      },
      { ...policy, retries: Number.POSITIVE_INFINITY, maxDelayMs: 30_000 },
    );
    await vi.advanceTimersByTimeAsync(3_630_000);
    await expect(result).resolves.toBe('up again');
    expect(attempts).toBeGreaterThanOrEqual(120);
  });

  it.each([
    ['a pause', 0],
    ['a pause that the server requested', 60_000],
  ])("ends %s with the signal's reason and leaves no timer", async (_, retryAfterMs) => {
    const controller = new AbortController();
    const attempt = vi.fn().mockRejectedValue(new Error('down'));
    const result = retry(attempt, {
      ...policy,
      signal: controller.signal,
      shouldRetry: () => retryAfterMs,
    });
    result.catch(() => undefined);
    await vi.advanceTimersByTimeAsync(100);
    const reason = 'the guard stops';
    controller.abort(reason);
    await expect(result).rejects.toBe(reason);
    expect(vi.getTimerCount()).toBe(0);
    expect(attempt).toHaveBeenCalledTimes(1);
  });

  it('does not begin when the signal is already aborted', async () => {
    const attempt = vi.fn();
    const reason = new Error('too late');
    await expect(retry(attempt, { ...policy, signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    expect(attempt).not.toHaveBeenCalled();
  });

  it('ends at once when shouldRetry itself aborts', async () => {
    const controller = new AbortController();
    const reason = new Error('enough');
    const shouldRetry = () => {
      controller.abort(reason);
      return 0;
    };
    const result = retry(() => Promise.reject(new Error('down')), {
      ...policy,
      signal: controller.signal,
      shouldRetry,
    });
    await expect(result).rejects.toBe(reason);
    expect(vi.getTimerCount()).toBe(0);
  });

  it.each([
    ['ADMIN_UNAVAILABLE', undefined, 0],
    ['ADMIN_RATE_LIMIT', 7_000, 7_000],
    ['ADMIN_PERMISSION', undefined, false],
    ['ADMIN_RESPONSE', undefined, false],
  ] as const)('repeats what can succeed at the admin API: %s', (code, retryAfterMs, expected) => {
    expect(ADMIN_RETRY.shouldRetry(new AdminError(code, 'No.', { retryAfterMs }))).toBe(expected);
    expect(ADMIN_RETRY.shouldRetry(new TypeError('a bug'))).toBe(false);
  });
});
