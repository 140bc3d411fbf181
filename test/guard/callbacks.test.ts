import { signal, successRateBelow } from 'unleash-rollout-guard';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { RolloutGuardOptions } from '../../src/guard/options/options.js';
import type { OperationOptions } from '../../src/operation/guarded-operation.js';
import { GuardHarness } from '../helpers/guard-harness.js';

// biome-ignore lint/suspicious/noExplicitAny: a user in JavaScript may return anything anywhere.
type Broken = () => any;

interface Place {
  readonly guard?: (broken: Broken) => Partial<RolloutGuardOptions>;
  readonly operation?: keyof OperationOptions<string, string>;
  /** Its name in the fault; undefined where a promise is allowed. */
  readonly fault: RegExp;
  /** A promise is what it may return: one that never ends is no fault. */
  readonly mayWait?: boolean;
}

const failing = successRateBelow(0.95, { minOutcomes: 20 });

const PLACES: Readonly<Record<string, Place>> = {
  classifyError: { operation: 'classifyError', fault: /^classifyError$/ },
  isRetryable: { operation: 'isRetryable', fault: /^isRetryable$/ },
  attributes: { operation: 'attributes', fault: /^attributes$/ },
  random: { guard: (broken) => ({ random: broken }), fault: /^random$/ },
  'clock.now': {
    guard: (broken) => ({ clock: { now: broken, monotonic: () => performance.now() } }),
    fault: /^clock\.now\(\)$/,
  },
  'clock.monotonic': {
    guard: (broken) => ({ clock: { now: () => Date.now(), monotonic: broken } }),
    fault: /^clock\.monotonic\(\)$/,
  },
  readMemoryBytes: { guard: (broken) => ({ readMemoryBytes: broken }), fault: /^reading the memory$/ },
  'a trigger': {
    guard: (broken) => ({ rollback: [{ name: 'mine', windowMs: 1_000, evaluate: broken }, failing] }),
    fault: /^the trigger mine$/,
  },
  'a signal': {
    guard: (broken) => ({ review: [signal('depth', broken, { above: 1, everyMs: 10, timeoutMs: 20 })] }),
    fault: /^the signal depth$/,
  },
  logger: {
    guard: (broken) => ({ logger: { debug: broken, info: broken, warn: broken, error: broken } }),
    fault: /^$/,
  },
  'observers[0].outcome': {
    guard: (broken) => ({ observers: [{ outcome: broken }] }),
    fault: /^observers\[0\]$/,
    mayWait: true,
  },
  'observers[0].event': {
    guard: (broken) => ({ observers: [{ event: broken }] }),
    fault: /^observers\[0\]$/,
    mayWait: true,
  },
  notify: { guard: (broken) => ({ notify: [broken] }), fault: /^$/, mayWait: true },
};

const nothing = Object.create(null);

const WAYS: Readonly<Record<string, Broken>> = {
  throws: () => {
    throw new Error('broken');
  },
  'throws nothing': () => {
    throw undefined;
  },
  'throws what cannot be shown': () => {
    throw nothing;
  },
  rejects: async () => {
    throw new Error('broken');
  },
  'rejects with nothing': () => Promise.reject(),
  'rejects with what cannot be shown': () => Promise.reject(nothing),
  "rejects with another library's promise": () => {
    const rejected = Promise.reject(new Error('broken'));
    // biome-ignore lint/suspicious/noThenProperty: it is one.
    return { then: rejected.then.bind(rejected) };
  },
  'never ends': () => new Promise(() => {}),
};

const escaped = vi.fn();

beforeAll(() => {
  process.on('uncaughtException', escaped);
  process.on('unhandledRejection', escaped);
});

afterAll(async () => {
  await new Promise(setImmediate);
  process.off('uncaughtException', escaped);
  process.off('unhandledRejection', escaped);
  // Nor while the guards closed.
  expect(escaped).not.toHaveBeenCalled();
});

describe.each(Object.entries(PLACES))(
  'a guard whose %s',
  (_, { guard: guardOptions, operation, fault, mayWait }) => {
    // At the same time: a guard whose notifier fails takes seconds to close.
    it.concurrent.for(Object.entries(WAYS))(
      '%s serves every user, stops the flag and reports it',
      async ([way, broken], { onTestFinished }) => {
        const harness = await GuardHarness.create();
        onTestFinished(() => harness.close());
        const guard = await harness.started({ tickMs: 20, ...guardOptions?.(broken) });
        const upload = guard.operation<string, string>({
          treatment: () => Promise.reject(Object.assign(new Error('down'), { code: 'ECONNRESET' })),
          control: () => 'old',
          retries: 1,
          retryDelayMs: 1,
          ...(operation && { [operation]: broken }),
        });
        const users = Array.from({ length: 20 }, (_, user) =>
          upload({ targetingKey: `user-${user}` }, 'file'),
        );
        expect(await Promise.all(users)).toEqual(Array(20).fill('old'));
        await harness.until('stopped', () => guard.state.status === 'stopped');
        const isReported = () => harness.reported('fault').some(({ what }) => fault.test(what));
        if (fault.source !== '^$' && !(mayWait && way === 'never ends'))
          await harness.until('reported', isReported);
        await new Promise(setImmediate);
        expect(escaped).not.toHaveBeenCalled();
      },
    );
  },
);
