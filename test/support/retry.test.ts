import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type RetryPolicy, retry } from '../../src/support/retry.js';

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

  it('adds what the server asks for', async () => {
    expect(await startsOf({ retries: 2, shouldRetry: (_, attempt) => attempt * 10_000 })).toEqual([
      0, 11_000, 33_000,
    ]);
  });

  it('asks after each failure that may be repeated, and gives up when told', async () => {
    const shouldRetry = vi.fn((_: Error, attempt: number) => (attempt < 2 ? 0 : false));
    expect(await startsOf({ shouldRetry })).toHaveLength(2);
    expect(shouldRetry.mock.calls.map(([, attempt]) => attempt)).toEqual([1, 2]);
  });

  it('does not ask when no attempt is left', async () => {
    const shouldRetry = vi.fn(() => 0);
    await startsOf({ retries: 0, shouldRetry });
    expect(shouldRetry).not.toHaveBeenCalled();
  });
});
