import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { DeadlineError, withDeadline } from '../../src/support/deadline.js';

const never = () => new Promise<never>(() => {});

describe('withDeadline', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    expect(vi.getTimerCount()).toBe(0);
    vi.useRealTimers();
  });

  it('passes on what the work returns or throws', async () => {
    expect(await withDeadline(100, undefined, async () => 'done')).toBe('done');
    const error = new Error('broken');
    await expect(withDeadline(100, undefined, () => Promise.reject(error))).rejects.toBe(error);
    await expect(
      withDeadline(100, undefined, () => {
        throw error;
      }),
    ).rejects.toBe(error);
  });

  it('abandons work at the deadline, and aborts its signal', async () => {
    let signal: AbortSignal | undefined;
    const result = withDeadline(100, undefined, (given) => {
      signal = given;
      return never();
    });
    result.catch(() => {});
    await vi.advanceTimersByTimeAsync(99);
    expect(signal?.aborted).toBe(false);
    await vi.advanceTimersByTimeAsync(1);
    await expect(result).rejects.toThrow(DeadlineError);
    expect(signal?.aborted).toBe(true);
  });

  it("ends with the caller's reason, even if the work ends with another", async () => {
    const controller = new AbortController();
    const result = withDeadline(
      100,
      controller.signal,
      (signal) =>
        new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('own')))),
    );
    controller.abort('enough');
    await expect(result).rejects.toBe('enough');
  });

  it('does not begin when the caller has ended already', async () => {
    const work = vi.fn(never);
    await expect(withDeadline(100, AbortSignal.abort('too late'), work)).rejects.toBe('too late');
    expect(work).not.toHaveBeenCalled();
  });
});
