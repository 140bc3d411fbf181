import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  AdminPermissionError,
  AdminRateLimitError,
  AdminUnavailableError,
} from '../../src/unleash/admin-error.js';
import { withRetries } from '../../src/unleash/admin-retry.js';

const backoff = { initialDelayMs: 500, maxDelayMs: 30_000 };
const down = () => new AdminUnavailableError('down');

describe('withRetries', () => {
  beforeEach(() => {
    vi.useFakeTimers();
    // The longest pauses.
    vi.spyOn(Math, 'random').mockReturnValue(1);
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it('tries again after doubling pauses, and says so before each', async () => {
    const attempt = vi
      .fn()
      .mockRejectedValueOnce(down())
      .mockRejectedValueOnce(down())
      .mockResolvedValue('done');
    const onRetry = vi.fn();
    const result = withRetries(attempt, backoff, {
      retries: 2,
      onRetry,
    });

    await vi.advanceTimersByTimeAsync(499);
    expect(attempt).toHaveBeenCalledTimes(1);
    await vi.advanceTimersByTimeAsync(1);
    expect(attempt).toHaveBeenCalledTimes(2);
    await vi.advanceTimersByTimeAsync(999);
    expect(attempt).toHaveBeenCalledTimes(2);
    await vi.advanceTimersByTimeAsync(1);
    await expect(result).resolves.toBe('done');
    expect(onRetry.mock.calls).toEqual([
      [expect.any(AdminUnavailableError), 1],
      [expect.any(AdminUnavailableError), 2],
    ]);
  });

  it.each([
    { chance: 0, delayMs: 250 },
    { chance: 0.5, delayMs: 375 },
  ])('leaves up to half of a pause to chance: $delayMs ms', async ({ chance, delayMs }) => {
    vi.mocked(Math.random).mockReturnValue(chance);
    const attempt = vi.fn().mockRejectedValueOnce(down()).mockResolvedValue('done');
    const result = withRetries(attempt, backoff, { retries: 1 });
    await vi.advanceTimersByTimeAsync(delayMs - 1);
    expect(attempt).toHaveBeenCalledTimes(1);
    await vi.advanceTimersByTimeAsync(1);
    await expect(result).resolves.toBe('done');
  });

  it('gives up with the last error when the retries are used up', async () => {
    const attempt = vi.fn().mockImplementation(() => Promise.reject(down()));
    const result = withRetries(attempt, backoff, { retries: 3 }).catch((error: unknown) => error);
    await vi.runAllTimersAsync();
    expect(await result).toBeInstanceOf(AdminUnavailableError);
    expect(attempt).toHaveBeenCalledTimes(4);
  });

  it('goes on for an hour when the retries have no end, at least every 30 s', async () => {
    const startedAt = Date.now();
    let attempts = 0;
    const result = withRetries(
      async () => {
        attempts++;
        if (Date.now() - startedAt < 3_600_000) throw down();
        return 'up again';
      },
      backoff,
      { retries: Number.POSITIVE_INFINITY },
    );
    await vi.advanceTimersByTimeAsync(3_630_000);
    await expect(result).resolves.toBe('up again');
    expect(attempts).toBeGreaterThanOrEqual(120);
  });

  it.each([
    ['as long as the server asks', 60_000, 60_500],
    ['no longer than five minutes, whatever the server asks', 24 * 3_600_000, 300_500],
  ])('waits %s', async (_, retryAfterMs, delayMs) => {
    const limited = new AdminRateLimitError('slower', { retryAfterMs });
    const attempt = vi.fn().mockRejectedValueOnce(limited).mockResolvedValue('done');
    const result = withRetries(attempt, backoff, { retries: 1 });
    await vi.advanceTimersByTimeAsync(delayMs - 1);
    expect(attempt).toHaveBeenCalledTimes(1);
    await vi.advanceTimersByTimeAsync(1);
    await expect(result).resolves.toBe('done');
  });

  it.each([
    ['what only a person can mend', new AdminPermissionError('not allowed')],
    ['what is no answer of Unleash', new TypeError('a bug')],
  ])('does not repeat %s', async (_, error) => {
    const attempt = vi.fn().mockRejectedValue(error);
    await expect(withRetries(attempt, backoff, { retries: 5 })).rejects.toBe(error);
    expect(attempt).toHaveBeenCalledTimes(1);
  });

  it.each([
    ['a pause', down()],
    ['a pause that the server asked for', new AdminRateLimitError('slower', { retryAfterMs: 60_000 })],
  ])("ends %s with the signal's reason and leaves no timer", async (_, error) => {
    const controller = new AbortController();
    const attempt = vi.fn().mockRejectedValue(error);
    const result = withRetries(attempt, backoff, { retries: 5, signal: controller.signal });
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
    await expect(withRetries(attempt, backoff, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    expect(attempt).not.toHaveBeenCalled();
  });

  it('ends the pause at once when the listener itself aborts', async () => {
    const controller = new AbortController();
    const reason = new Error('enough');
    const onRetry = () => controller.abort(reason);
    const result = withRetries(() => Promise.reject(down()), backoff, {
      retries: 5,
      signal: controller.signal,
      onRetry,
    });
    await expect(result).rejects.toBe(reason);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('survives a listener that throws', async () => {
    const attempt = vi.fn().mockRejectedValueOnce(down()).mockResolvedValue('done');
    const onRetry = () => {
      throw new Error('listener');
    };
    const result = withRetries(attempt, backoff, { retries: 1, onRetry });
    await vi.runAllTimersAsync();
    await expect(result).resolves.toBe('done');
  });
});
