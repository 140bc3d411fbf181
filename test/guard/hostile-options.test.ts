import {
  complaintRateRising,
  criticalErrors,
  errorRateAbove,
  failureRegression,
  isConfigError,
  latencyAbove,
  latencyRegression,
  memoryGrowth,
  OutcomeHook,
  prometheusAbove,
  prometheusBelow,
  RolloutGuard,
  type RolloutGuardOptions,
  signal,
  slack,
  successRateBelow,
  successRateBetween,
  unreportedAbove,
  verifyWebhook,
  webhook,
} from 'unleash-rollout-guard';
import { RedisOutcomeStore } from 'unleash-rollout-guard/redis';
import { describe, expect, it } from 'vitest';
import { openTelemetry } from '../../src/opentelemetry/index.js';
import { FakeFlags } from '../helpers/fake-flags.js';
import { processorMs } from '../helpers/machine-time.js';

// biome-ignore lint/suspicious/noExplicitAny: a user in JavaScript may pass anything.
type Anything = any;

function errorOf(call: () => unknown): unknown {
  try {
    call();
  } catch (error) {
    return error;
  }
  return undefined;
}

function guardOf(options: object): RolloutGuard {
  return new RolloutGuard({
    flagKey: 'async-upload',
    flags: new FakeFlags(),
    unleash: { url: 'https://unleash.test/api', token: '*:*.made-up', environment: 'production' },
    rollback: [successRateBelow(0.95)],
    folder: false,
    logger: false,
    ...options,
  } as RolloutGuardOptions);
}

const SECRET = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;

/** What is no options object; `undefined` stands for none and is fine. */
const NO_OPTIONS: readonly (readonly [string, unknown])[] = [
  ['null', null],
  ['a list', []],
  ['a list of one', [{}]],
  ['text', 'minOutcomes'],
  ['an empty text', ''],
  ['a number', 42],
  ['NaN', Number.NaN],
  ['true', true],
  ['a function', () => ({})],
  ['a symbol', Symbol('options')],
  ['a bigint', 10n],
  ['an unknown option', { minOutcome: 5 }],
];

const FACTORIES: Readonly<Record<string, (options: Anything) => unknown>> = {
  successRateBelow: (options) => successRateBelow(0.95, options),
  errorRateAbove: (options) => errorRateAbove(0.05, options),
  successRateBetween: (options) => successRateBetween(0.9, 0.95, options),
  memoryGrowth: (options) => memoryGrowth(1.2, options),
  complaintRateRising,
  criticalErrors,
  latencyAbove: (options) => latencyAbove(500, options),
  unreportedAbove,
  failureRegression,
  latencyRegression,
  signal: (options) => signal('depth', () => 1, options),
  prometheusAbove,
  prometheusBelow,
  slack,
  webhook,
  verifyWebhook: (options) => verifyWebhook('{}', {}, SECRET, options),
  openTelemetry,
  RolloutGuard: (options) => new RolloutGuard(options),
  RedisOutcomeStore: (options) => new RedisOutcomeStore(options),
  OutcomeHook: (guard) => new OutcomeHook(guard),
  'guard.operation': (options) => guardOf({}).operation(options),
};

describe.each(Object.entries(FACTORIES))('%s', (_, make) => {
  it.each(NO_OPTIONS)('refuses %s instead of its options with a ConfigError', (_, options) => {
    const error = errorOf(() => make(options));
    expect(isConfigError(error), String(error)).toBe(true);
  });
});

describe("a user's own trigger", () => {
  const mine = { name: 'mine', windowMs: 60_000, evaluate: () => undefined };
  const invalid: readonly (readonly [string, unknown])[] = [
    ['NaN', Number.NaN],
    ['-1', -1],
    ['Infinity', Number.POSITIVE_INFINITY],
    ['text', '60000'],
    ['a symbol', Symbol('window')],
    ['a bigint', 60_000n],
    ['null', null],
    ['nothing', undefined],
    ['a list', [60_000]],
    ['an object', {}],
    ['a function', () => 60_000],
  ];

  it.each(invalid)('is refused with %s as its windowMs, by the name of the field', (_, windowMs) => {
    const error = errorOf(() => guardOf({ rollback: [successRateBelow(0.95), { ...mine, windowMs }] }));
    expect(error).toMatchObject({ problems: [{ path: 'rollback[1].windowMs' }] });
    expect(String(error)).toContain('expected a number of milliseconds');
  });

  it.each([
    ['name', Symbol('name')],
    ['name', ' '],
    ['name', undefined],
    ['evaluate', 'a verdict'],
    ['unit', 'percent'],
    ['scope', 'all'],
    ['criticalErrorTypes', 'ENOSPC'],
    ['criticalErrorTypes', new Map()],
    ['signal', () => 1],
    ['signal', null],
  ])('is refused with a wrong %s, by the name of the field', (field, value) => {
    const error = errorOf(() => guardOf({ review: [{ ...mine, [field]: value }] }));
    expect(error).toMatchObject({ problems: [{ path: `review[0].${field}` }] });
  });

  it('is refused with a signal that cannot be read, by the name of the field', () => {
    const timing = { everyMs: 1_000, timeoutMs: 1_000, maxAgeMs: 2_000 };
    const error = errorOf(() =>
      guardOf({ review: [{ ...mine, signal: { ...timing, everyMs: Number.NaN, read: 5 } }] }),
    );
    const paths = ['review[0].signal.read', 'review[0].signal.everyMs'];
    expect(error).toMatchObject({ problems: paths.map((path) => ({ path })) });
  });

  it.each([null, undefined, 5, 'mine', [], () => {}, Symbol('mine')])(
    'is refused when it is %s',
    (trigger) => {
      expect(errorOf(() => guardOf({ rollback: [trigger] }))).toMatchObject({
        problems: [{ path: 'rollback[0]' }],
      });
    },
  );

  it('may be an instance of a class, and have no window', () => {
    class Mine {
      get name() {
        return 'mine';
      }
      get windowMs() {
        return 0;
      }
      evaluate() {
        return undefined;
      }
    }
    expect(errorOf(() => guardOf({ rollback: [new Mine()] }))).toBeUndefined();
  });
});

describe('a text of 200,000 characters', () => {
  const LENGTH = 200_000;
  const texts: readonly string[] = [
    '/'.repeat(LENGTH),
    `http:${'/'.repeat(LENGTH)} x`,
    `https://unleash.test${'/'.repeat(LENGTH)}x`,
    `https://unleash.test/${'a/'.repeat(LENGTH / 2)}?`,
    `a:${'.'.repeat(LENGTH)} `,
    `*:${'.a'.repeat(LENGTH / 2)} `,
    ' '.repeat(LENGTH),
    `${'a-'.repeat(LENGTH / 2)}!`,
    `${'a'.repeat(LENGTH)}!`,
    `https://${'@'.repeat(LENGTH)}`,
    `https://${'a@'.repeat(LENGTH / 2)}b c`,
    `whsec_${'A'.repeat(LENGTH)}!`,
    `eyJ${'a'.repeat(LENGTH)}`,
    '\\'.repeat(LENGTH),
    `https://x${'%2f'.repeat(LENGTH / 3)}`,
  ];

  const uses: readonly ((text: string) => unknown)[] = [
    (url) => guardOf({ unleash: { url, token: '*:*.x', environment: 'production' } }),
    (reportUrl) =>
      guardOf({
        unleash: { url: 'https://unleash.test', token: '*:*.x', environment: 'production', reportUrl },
      }),
    (dashboardUrl) => guardOf({ dashboardUrl }),
    (token) => guardOf({ unleash: { url: 'https://unleash.test', token, environment: 'production' } }),
    (environment) => guardOf({ unleash: { url: 'https://unleash.test', token: '*:*.x', environment } }),
    (project) =>
      guardOf({ unleash: { url: 'https://unleash.test', token: '*:*.x', environment: 'p', project } }),
    (flagKey) => guardOf({ flagKey }),
    (folder) => guardOf({ folder, dryRun: 'yes' }),
    (key) => guardOf({ [key]: 1 }),
    (name) => successRateBelow(0.95, { name }),
    (url) => prometheusAbove({ url, query: 'up', threshold: 1 }),
    (query) => prometheusAbove({ url: 'https://prometheus.test', query, threshold: 1 }),
    (header) =>
      prometheusAbove({ url: 'https://p.test', query: 'up', threshold: 1, headers: { [header]: header } }),
    (webhookUrl) => slack({ webhookUrl }),
    (url) => webhook({ url }),
    (secret) => webhook({ url: 'https://hook.test', secret }),
    (url) => new RedisOutcomeStore({ url }),
    (body) =>
      verifyWebhook(
        body,
        { 'webhook-id': body, 'webhook-timestamp': body, 'webhook-signature': body },
        SECRET,
      ),
  ];

  it.each(texts.map((text) => [`${text.slice(0, 24)}…`, text]))(
    'is checked in no time wherever it is given: %s',
    async (_, text) => {
      const slow: string[] = [];
      for (const use of uses) {
        const usedMs = await processorMs(() => errorOf(() => use(text)));
        if (usedMs >= 500) slow.push(`${use}: ${usedMs} ms`);
      }
      expect(slow).toEqual([]);
    },
  );
});
