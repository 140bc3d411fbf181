import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { armOf } from '../../src/measure/exposure-ledger.js';
import type { EvaluationContextLike, ExposureSink } from '../../src/model/flags.js';
import { EXPOSURE_SLOT, type ExposureSlot } from '../../src/model/flags.js';
import type { Evaluation, Exposure, Outcome } from '../../src/model/shapes.js';
import {
  guardedOperation,
  type OperationHost,
  type OperationOptions,
} from '../../src/operation/guarded-operation.js';

const user = { targetingKey: 'user-1' };

function makeHost(value: boolean | (() => Promise<Evaluation>)) {
  const outcomes: Outcome[] = [];
  const faults: string[] = [];
  const sink: ExposureSink = {
    flagKey: 'async-upload',
    exposed: (evaluation, targetingKey): Exposure => ({
      flagKey: 'async-upload',
      arm: armOf(evaluation),
      variant: undefined,
      reason: evaluation.reason,
      errorCode: evaluation.errorCode,
      targetingKey,
      epoch: 1,
      at: 0,
    }),
  };
  const host: OperationHost & { stopped: boolean } = {
    stopped: false,
    flagKey: 'async-upload',
    clock: { now: () => Date.now(), monotonic: () => Date.now() },
    random: () => 0,
    criticalErrorTypes: new Set(['ECORRUPT']),
    sink,
    client: () => ({
      getBooleanDetails: typeof value === 'function' ? value : async () => ({ value, reason: 'SPLIT' }),
    }),
    flags: {},
    isOverridden() {
      return this.stopped;
    },
    toControl: (exposure) => ({ ...exposure, arm: 'control', reason: 'DISABLED' }),
    record: (outcome) => outcomes.push(outcome),
    fault: (what) => faults.push(what),
  };
  return { host, outcomes, faults };
}

const defaults = { retries: 2, timeoutMs: 1_000, retryDelayMs: 100, fallback: true };

function run<Value>(
  host: OperationHost,
  options: Omit<OperationOptions<string, Value>, 'control'> & Partial<OperationOptions<string, Value>>,
) {
  return guardedOperation<string, Value>(host, { control: () => 'old' as Value, ...options }, defaults);
}

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

describe('guardedOperation', () => {
  it.each([
    [true, 'new', 'treatment'],
    [false, 'old', 'control'],
  ] as const)('runs the arm that the flag says (%s) and records one success', async (value, answer, arm) => {
    const { host, outcomes } = makeHost(value);
    const upload = run(host, { treatment: (input) => `new ${input}`, control: (input) => `old ${input}` });
    expect(await upload(user, 'file')).toBe(`${answer} file`);
    expect(outcomes).toHaveLength(1);
    expect(outcomes[0]).toMatchObject({
      exposure: { arm, reason: 'SPLIT', targetingKey: 'user-1' },
      result: 'success',
      fallbackUsed: false,
      userSucceeded: true,
      attempts: 1,
      errorType: undefined,
      critical: false,
    });
  });

  it("falls back to the control: a failure of the treatment and the user's success", async () => {
    const { host, outcomes } = makeHost(true);
    const upload = run(host, {
      treatment: () => Promise.reject(Object.assign(new Error('x'), { code: 'EBROKEN' })),
    });
    expect(await upload(user, 'file')).toBe('old');
    expect(outcomes).toHaveLength(1);
    expect(outcomes[0]).toMatchObject({
      exposure: { arm: 'treatment' },
      result: 'failure',
      errorType: 'EBROKEN',
      fallbackUsed: true,
      userSucceeded: true,
    });
  });

  it("throws the control's own error when the fallback fails too", async () => {
    const { host, outcomes } = makeHost(true);
    const controlError = new Error('old path down');
    const upload = run(host, {
      treatment: () => Promise.reject(new Error('new path down')),
      control: () => Promise.reject(controlError),
    });
    await expect(upload(user, 'file')).rejects.toBe(controlError);
    expect(outcomes).toHaveLength(1);
    expect(outcomes[0]).toMatchObject({ result: 'failure', fallbackUsed: true, userSucceeded: false });
  });

  it("throws the treatment's error when the fallback is off, and the control's when the flag is off", async () => {
    const error = new Error('down');
    const withFlag = makeHost(true);
    const noFallback = run(withFlag.host, { treatment: () => Promise.reject(error), fallback: false });
    await expect(noFallback(user, 'file')).rejects.toBe(error);
    expect(withFlag.outcomes[0]).toMatchObject({
      result: 'failure',
      fallbackUsed: false,
      userSucceeded: false,
    });

    const withoutFlag = makeHost(false);
    const controlFails = run(withoutFlag.host, {
      treatment: () => 'new',
      control: () => Promise.reject(error),
    });
    await expect(controlFails(user, 'file')).rejects.toBe(error);
    expect(withoutFlag.outcomes[0]).toMatchObject({ exposure: { arm: 'control' }, fallbackUsed: false });
  });

  it('counts a success after retries as a success and keeps the number of attempts', async () => {
    const { host, outcomes } = makeHost(true);
    const upload = run(host, {
      treatment: (_input, { attempt }) => {
        if (attempt < 3) throw Object.assign(new Error(), { code: 'ECONNRESET' });
        return 'new';
      },
    });
    const answer = upload(user, 'file');
    await vi.runAllTimersAsync();
    expect(await answer).toBe('new');
    expect(outcomes[0]).toMatchObject({ result: 'success', attempts: 3, errorType: undefined });
  });

  it.each([
    ['expected', 'expected', false, false],
    ['failure', 'failure', false, true],
    ['critical', 'failure', true, true],
  ] as const)(
    'records an error that is classified as %s',
    async (errorClass, result, critical, fallbackUsed) => {
      const { host, outcomes } = makeHost(true);
      const upload = run(host, {
        treatment: () => Promise.reject(Object.assign(new Error(), { code: 'ECONNRESET' })),
        classifyError: () => errorClass,
        retries: 0,
      });
      await upload(user, 'file').catch(() => {});
      expect(outcomes[0]).toMatchObject({ result, critical, fallbackUsed });
    },
  );

  it.each(['expected', 'critical'] as const)(
    'does not retry an error that is classified as %s',
    async (errorClass) => {
      const { host, outcomes } = makeHost(true);
      const upload = run(host, {
        treatment: () => Promise.reject(Object.assign(new Error(), { code: 'ECONNRESET' })),
        classifyError: () => errorClass,
      });
      await upload(user, 'file').catch(() => {});
      expect(outcomes[0]?.attempts).toBe(1);
    },
  );

  it('uses the default for an error that classifyError leaves undefined', async () => {
    const { host, outcomes } = makeHost(true);
    const diskFull = Object.assign(new Error(), { code: 'ENOSPC' });
    const upload = run(host, { treatment: () => Promise.reject(diskFull), classifyError: () => undefined });
    await upload(user, 'file');
    expect(outcomes[0]).toMatchObject({ result: 'failure', critical: true });
  });

  it.each(['ENOSPC', 'EMFILE', 'ENOMEM', 'ECORRUPT'])(
    'classifies %s as critical by default',
    async (code) => {
      const { host, outcomes } = makeHost(true);
      await run(host, { treatment: () => Promise.reject(Object.assign(new Error(), { code })) })(
        user,
        'file',
      );
      expect(outcomes[0]).toMatchObject({ result: 'failure', critical: true, errorType: code });
    },
  );

  it("records the caller's own abort as neither success nor failure, and does not fall back", async () => {
    const { host, outcomes } = makeHost(true);
    const control = vi.fn();
    const upload = run(host, { treatment: () => new Promise<string>(() => {}), control });
    const caller = new AbortController();
    const answer = upload(user, 'file', { signal: caller.signal });
    await vi.advanceTimersByTimeAsync(10);
    const reason = new Error('left');
    caller.abort(reason);
    await expect(answer).rejects.toBe(reason);
    expect(control).not.toHaveBeenCalled();
    expect(outcomes).toHaveLength(1);
    expect(outcomes[0]).toMatchObject({ result: 'aborted', critical: false });
  });

  it('times out the treatment, then serves the user by the control', async () => {
    const { host, outcomes } = makeHost(true);
    const upload = run(host, { treatment: () => new Promise<string>(() => {}) });
    const answer = upload(user, 'file');
    await vi.advanceTimersByTimeAsync(1_000);
    expect(await answer).toBe('old');
    expect(outcomes[0]).toMatchObject({
      errorType: 'OPERATION_TIMEOUT',
      fallbackUsed: true,
      durationMs: 1_000,
    });
  });

  it('starts no treatment once the flag is stopped here, even if the evaluation was true', async () => {
    const { host, outcomes } = makeHost(true);
    host.stopped = true;
    const treatment = vi.fn(() => 'new');
    expect(await run(host, { treatment })(user, 'file')).toBe('old');
    expect(treatment).not.toHaveBeenCalled();
    expect(outcomes[0]?.exposure).toMatchObject({ arm: 'control', reason: 'DISABLED' });
  });

  it('does not retry a treatment once the flag is stopped here: the control serves the user at once', async () => {
    const { host, outcomes } = makeHost(true);
    const upload = run(host, {
      treatment: () => {
        host.stopped = true;
        return Promise.reject(Object.assign(new Error(), { code: 'ECONNRESET' }));
      },
    });
    expect(await upload(user, 'file')).toBe('old');
    expect(outcomes[0]).toMatchObject({ result: 'failure', attempts: 1, fallbackUsed: true });
  });

  it("completes the hook's exposure instead of opening a second one", async () => {
    let made: Exposure | undefined;
    const { host, outcomes } = makeHost(true);
    const exposed = vi.spyOn(host.sink, 'exposed');
    const client = {
      getBooleanDetails: async (
        _key: string,
        _value: boolean,
        _context?: unknown,
        options?: { hookHints?: Readonly<Record<string, unknown>> },
      ) => {
        const slot = options?.hookHints?.[EXPOSURE_SLOT] as ExposureSlot;
        made = host.sink.exposed({ value: true, reason: 'SPLIT' }, 'user-1');
        slot.exposure = made;
        return { value: true };
      },
    };
    await run({ ...host, client: () => client }, { treatment: () => 'new' })(user, 'file');
    expect(exposed).toHaveBeenCalledTimes(1);
    expect(outcomes[0]?.exposure).toBe(made);
  });

  it('serves the user by the control when the evaluation itself throws', async () => {
    const { host, outcomes, faults } = makeHost(() => Promise.reject(new Error('no client')));
    expect(await run(host, { treatment: () => 'new' })(user, 'file')).toBe('old');
    expect(faults).toEqual(['evaluating the flag']);
    expect(outcomes[0]?.exposure).toMatchObject({ arm: 'control', errorCode: 'GENERAL' });
  });

  it('serves a caller without a context', async () => {
    const { host, outcomes } = makeHost(true);
    const upload = run(host, { treatment: () => 'new' });
    expect(await upload(undefined as unknown as EvaluationContextLike, 'file')).toBe('new');
    expect(outcomes[0]?.exposure.targetingKey).toBeUndefined();
  });

  it.each(['classifyError', 'isRetryable', 'attributes'] as const)(
    'survives a %s function that throws, and reports it',
    async (name) => {
      const { host, outcomes, faults } = makeHost(true);
      const broken = {
        [name]: () => {
          throw new Error('broken');
        },
      };
      const upload = run(host, { treatment: () => Promise.reject(new Error('down')), ...broken });
      expect(await upload(user, 'file')).toBe('old');
      expect(faults).toContain(name);
      expect(outcomes[0]).toMatchObject({ result: 'failure', critical: false });
    },
  );

  it.each([
    ['classifyError', undefined],
    ['isRetryable', undefined],
    ['attributes', undefined],
    ['classifyError', 'a value'],
    ['isRetryable', 'a value'],
    ['attributes', 'a value'],
  ] as const)(
    'survives a %s function that is async (it resolves to %s), and reports it',
    async (name, value) => {
      vi.useRealTimers();
      const unhandled = vi.fn();
      process.on('unhandledRejection', unhandled);
      const { host, outcomes, faults } = makeHost(true);
      const answer = () =>
        value === undefined ? Promise.reject(new Error('later')) : Promise.resolve(value);
      const error = Object.assign(new Error('down'), { code: 'ECONNRESET' });
      const upload = run(host, {
        treatment: () => Promise.reject(error),
        retryDelayMs: 1,
        ...({ [name]: answer } as object),
      });
      expect(await upload(user, 'file')).toBe('old');
      await new Promise((resolve) => setImmediate(resolve));
      process.off('unhandledRejection', unhandled);
      expect(unhandled).not.toHaveBeenCalled();
      expect(faults).toContain(name);
      expect(outcomes[0]).toMatchObject({
        result: 'failure',
        critical: false,
        attempts: name === 'isRetryable' ? 1 : 3,
        attributes: undefined,
      });
    },
  );

  it('does not take an isRetryable for true that resolves to false, nor one that never answers', async () => {
    for (const answer of [Promise.resolve(false), new Promise<boolean>(() => {})]) {
      const { host, outcomes } = makeHost(true);
      const upload = run(host, {
        treatment: () => Promise.reject(Object.assign(new Error(), { code: 'ECONNRESET' })),
        isRetryable: (() => answer) as unknown as () => boolean,
      });
      expect(await upload(user, 'file')).toBe('old');
      expect(outcomes[0]?.attempts).toBe(1);
    }
  });

  it('warns of no leak however many calls share a signal, and ends all of them when it aborts', async () => {
    vi.useRealTimers();
    const warned = vi.fn();
    process.on('warning', warned);
    const { host, outcomes } = makeHost(true);
    const upload = run(host, { treatment: () => new Promise<string>(() => {}), timeoutMs: 60_000 });
    const caller = new AbortController();
    const calls = Array.from({ length: 50 }, () => upload(user, 'file', { signal: caller.signal }));
    await new Promise((resolve) => setImmediate(resolve));
    caller.abort(new Error('left'));
    const results = await Promise.allSettled(calls);
    expect(results.every(({ status }) => status === 'rejected')).toBe(true);
    expect(outcomes.map(({ result }) => result)).toEqual(Array(50).fill('aborted'));
    await new Promise((resolve) => setImmediate(resolve));
    process.off('warning', warned);
    expect(warned).not.toHaveBeenCalled();
  });

  it('records the attributes that the caller derives from the input', async () => {
    const { host, outcomes } = makeHost(true);
    const upload = run(host, {
      treatment: () => 'new',
      attributes: (input, context) => ({ length: input.length, user: context.targetingKey ?? '' }),
    });
    await upload(user, 'file');
    expect(outcomes[0]?.attributes).toEqual({ length: 4, user: 'user-1' });
  });
});
