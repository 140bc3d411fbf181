import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  type ArmFunction,
  type Attempted,
  type AttemptPolicy,
  isOperationTimeoutError,
  OperationTimeoutError,
  runAttempts,
} from '../../src/operation/attempts.js';
import { Deadlines } from '../../src/operation/deadlines.js';

let policy: AttemptPolicy;

const newPolicy = (): AttemptPolicy => ({
  retries: 2,
  timeoutMs: 1_000,
  retryDelayMs: 100,
  isRetryable: () => true,
  random: () => 0.5,
  deadlines: new Deadlines(1_000, { now: () => Date.now(), monotonic: () => Date.now() }),
});

beforeEach(() => {
  vi.useFakeTimers();
  policy = newPolicy();
});

afterEach(() => {
  vi.useRealTimers();
});

/** As the operation calls it. */
function attempt<Value>(
  run: ArmFunction<number, Value>,
  input: number,
  by: AttemptPolicy,
  signal: AbortSignal | undefined,
): Promise<Attempted<Value>> {
  return runAttempts(run, { input, signal, sources: [], variant: undefined }, by, Date.now());
}

describe('runAttempts', () => {
  it('returns the value of a first success', async () => {
    const answer = await attempt(async (input: number) => input + 1, 41, policy, undefined);
    expect(answer).toEqual({ ok: true, value: 42, attempts: 1 });
  });

  it('accepts plain values and synchronous throws as well as promises', async () => {
    expect(await attempt(() => 'plain', 0, policy, undefined)).toMatchObject({ value: 'plain' });
    const error = new Error('at once');
    const thrown = await attempt(
      () => {
        throw error;
      },
      0,
      { ...policy, retries: 0 },
      undefined,
    );
    expect(thrown).toEqual({ ok: false, error, attempts: 1, aborted: false });
  });

  it('retries with doubled, jittered waits and counts the attempts', async () => {
    const startedAt: number[] = [];
    const begin = Date.now();
    const run = attempt(
      async (_input, { attempt }) => {
        startedAt.push(Date.now() - begin);
        if (attempt < 3) throw new Error('not yet');
        return attempt;
      },
      0,
      policy,
      undefined,
    );
    await vi.runAllTimersAsync();
    expect(await run).toEqual({ ok: true, value: 3, attempts: 3 });
    expect(startedAt).toEqual([0, 50, 150]);
  });

  it('starts no attempt when the error is not retryable any more after the pause', async () => {
    let isWorthIt = true;
    let attempts = 0;
    const error = new Error('stopped meanwhile');
    const run = attempt(
      async () => {
        attempts++;
        throw error;
      },
      0,
      { ...policy, isRetryable: () => isWorthIt },
      undefined,
    );
    await vi.advanceTimersByTimeAsync(49);
    isWorthIt = false;
    await vi.runAllTimersAsync();
    expect(await run).toEqual({ ok: false, error, attempts: 1, aborted: false });
    expect(attempts).toBe(1);
  });

  it('fails with the last error after the last retry', async () => {
    const run = attempt(
      async (_input, { attempt }) => {
        throw new Error(`attempt ${attempt}`);
      },
      0,
      policy,
      undefined,
    );
    await vi.runAllTimersAsync();
    expect(await run).toMatchObject({ ok: false, error: { message: 'attempt 3' }, attempts: 3 });
  });

  it('does not retry what is not retryable', async () => {
    const attempted = await attempt(
      () => Promise.reject(new Error('final')),
      0,
      { ...policy, isRetryable: () => false },
      undefined,
    );
    expect(attempted).toMatchObject({ ok: false, attempts: 1 });
  });

  it('times out over all attempts together, aborts the signal with the reason, and ignores later results', async () => {
    const signals: AbortSignal[] = [];
    const run = attempt(
      (_input, { signal, attempt }) => {
        signals.push(signal);
        if (attempt === 1) throw new Error('first');
        return new Promise<string>((resolve) => {
          setTimeout(() => resolve('too late'), 5_000);
        });
      },
      0,
      policy,
      undefined,
    );
    await vi.advanceTimersByTimeAsync(1_000);
    const attempted = await run;
    expect(attempted).toMatchObject({ ok: false, attempts: 2, aborted: false });
    expect(attempted.ok || isOperationTimeoutError(attempted.error)).toBe(true);
    expect(signals[0]?.aborted).toBe(true);
    expect(signals[0]?.reason).toBeInstanceOf(OperationTimeoutError);
    await vi.runAllTimersAsync();
  });

  it('times out while it waits for the next attempt', async () => {
    let calls = 0;
    const run = attempt(
      () => {
        calls++;
        return Promise.reject(new Error('down'));
      },
      0,
      { ...policy, retryDelayMs: 10_000 },
      undefined,
    );
    await vi.advanceTimersByTimeAsync(1_000);
    expect(await run).toMatchObject({ ok: false, attempts: 1, error: { code: 'OPERATION_TIMEOUT' } });
    await vi.runAllTimersAsync();
    expect(calls).toBe(1);
  });

  it("ends with the caller's own reason when the caller aborts, even if the arm throws something else", async () => {
    const caller = new AbortController();
    const run = attempt(
      (_input, { signal }) =>
        new Promise<never>((_resolve, reject) => {
          signal.addEventListener('abort', () => reject(new Error('reaction to the signal')));
        }),
      0,
      policy,
      caller.signal,
    );
    const reason = new Error('the user left');
    caller.abort(reason);
    expect(await run).toEqual({ ok: false, error: reason, attempts: 1, aborted: true });
  });

  it('does not begin when the caller has aborted already', async () => {
    const arm = vi.fn();
    const attempted = await attempt(arm, 0, policy, AbortSignal.abort('gone'));
    expect(attempted).toEqual({ ok: false, error: 'gone', attempts: 0, aborted: true });
    expect(arm).not.toHaveBeenCalled();
  });

  it('gives an aborted signal to code that reads it only after the time is up', async () => {
    let late: AbortSignal | undefined;
    const run = attempt(
      (_input, context) =>
        new Promise<never>(() => {
          setTimeout(() => {
            late = context.signal;
          }, 2_000);
        }),
      0,
      policy,
      undefined,
    );
    await vi.advanceTimersByTimeAsync(2_000);
    await run;
    expect(late?.aborted).toBe(true);
  });
});
