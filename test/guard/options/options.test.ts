import { describe, expect, it } from 'vitest';
import type { RolloutGuardOptions } from '../../../src/guard/options/options.js';
import { checkOperationOptions, resolveOptions } from '../../../src/guard/options/resolve-options.js';
import type { FlagSource } from '../../../src/model/flags.js';
import { isConfigError } from '../../../src/support/config-error.js';
import { errorRateAbove } from '../../../src/triggers/error-rate-above.js';
import { successRateBelow } from '../../../src/triggers/success-rate-below.js';

const nothing = () => {};

const flags: FlagSource = {
  flag: () => undefined,
  override: nothing,
  clearOverride: nothing,
  isOverridden: () => false,
  onChange: () => nothing,
  onTrack: () => nothing,
  defaultClient: () => ({ getBooleanDetails: async () => ({ value: false }) }),
};

const secret = 'b9e1c0de5ec2e7';

const valid: RolloutGuardOptions = {
  flagKey: 'async-upload',
  flags,
  unleash: { url: 'https://unleash.example.com/api', token: `*:*.${secret}`, environment: 'production' },
  rollback: [successRateBelow(0.95)],
};

function problemsOf(options: unknown): string {
  try {
    resolveOptions(options as RolloutGuardOptions);
  } catch (error) {
    if (!isConfigError(error)) throw error;
    expect(error.message).not.toContain(secret);
    return error.message;
  }
  return 'no problem';
}

const stage = (percentage: number) => ({ percentage, minOutcomes: 1, minSuccessRate: 0.9 });

const withUnleash = (fields: object) => ({ ...valid, unleash: { ...valid.unleash, ...fields } });

describe('resolveOptions', () => {
  it('fills in the documented defaults', () => {
    const resolved = resolveOptions(valid);
    expect(resolved).toMatchObject({
      unleash: { project: 'default', timeoutMs: 5_000 },
      operation: { retries: 2, timeoutMs: 30_000, retryDelayMs: 100, fallback: true },
      folder: 'logs/async_upload_rollout',
      dryRun: false,
      tickMs: 1_000,
      recheckMs: 30_000,
      outcomeTimeoutMs: 60_000,
      maxTrackedUsers: 10_000,
    });
    expect(Object.isFrozen(resolved)).toBe(true);
    expect(resolved.readMemoryBytes?.()).toBeGreaterThan(1_000_000);
  });

  it('does not let an explicit undefined erase a default', () => {
    expect(resolveOptions({ ...valid, tickMs: undefined, operation: { retries: undefined } })).toMatchObject({
      tickMs: 1_000,
      operation: { retries: 2 },
    });
  });

  it('gives every option the same value whether it is absent or undefined', () => {
    const unset = (names: readonly string[]) => Object.fromEntries(names.map((name) => [name, undefined]));
    const complete = resolveOptions(valid);
    const optional = Object.keys(complete).filter((name) => !(name in valid));
    const nested = {
      unleash: { ...unset(Object.keys(complete.unleash)), ...valid.unleash },
      operation: unset(Object.keys(complete.operation)),
      log: unset(Object.keys(complete.log)),
    };
    const readMemoryBytes = expect.any(Function);
    expect(resolveOptions({ ...unset(optional), ...valid, ...nested })).toEqual({
      ...complete,
      logger: expect.anything(),
      readMemoryBytes,
    });
  });

  it.each([
    [
      'a flag key with spaces',
      { ...valid, flagKey: 'async upload' },
      /flagKey: expected .*without spaces.*got "async upload"/,
    ],
    ['an empty flag key', { ...valid, flagKey: '' }, /flagKey/],
    [
      'an admin URL without scheme',
      withUnleash({ url: 'unleash.example.com/api' }),
      /unleash\.url: expected a URL with its scheme/,
    ],
    [
      'credentials in the admin URL, which nothing would send',
      withUnleash({ url: `https://ann:${secret}@unleash.example.com/api` }),
      /unleash\.url: expected a URL .*without credentials/,
    ],
    ['a flag key that leads to another path', { ...valid, flagKey: '..' }, /flagKey/],
    ['a project that leads to another path', withUnleash({ project: '..' }), /unleash\.project/],
    [
      'a source of flags that operations would break on',
      { ...valid, flags: { ...flags, isOverridden: undefined } },
      /flags: expected an UnleashProvider/,
    ],
    [
      'more tracked users than there is room for',
      { ...valid, maxTrackedUsers: 5_000_000_000 },
      /maxTrackedUsers: expected at most 10000000/,
    ],
    ['another scheme', withUnleash({ url: 'ftp://unleash.example.com' }), /unleash\.url/],
    ['no host', withUnleash({ url: 'http:///api' }), /unleash\.url/],
    [
      'a client token given as admin token',
      withUnleash({ token: `default:production.${secret}` }),
      /unleash\.token: expected an admin token, got a string \(not shown\); this is a client or frontend token/,
    ],
    [
      'a query in the URL',
      withUnleash({ url: 'https://unleash.example.com/?a=1' }),
      /unleash\.url: .*leave it out/,
    ],
    ['an empty token', withUnleash({ token: '' }), /unleash\.token/],
    [
      'a missing environment',
      withUnleash({ environment: undefined }),
      /unleash\.environment: expected a name without spaces, got nothing/,
    ],
    ['an empty rollback list', { ...valid, rollback: [] }, /rollback: expected at least one trigger/],
    ['a rate in place of a trigger', { ...valid, rollback: [0.95] }, /rollback\[0\]: expected a trigger/],
    [
      'two triggers of one name',
      { ...valid, rollback: [errorRateAbove(0.05), errorRateAbove(0.1)] },
      /rollback\[1\]\.name: expected a name of its own/,
    ],
    [
      'stages out of order',
      { ...valid, stages: [stage(10), stage(1)] },
      /stages\[1\]\.percentage: expected a percentage above that of the stage before \(10\)/,
    ],
    ['a percentage twice', { ...valid, stages: [stage(10), stage(10)] }, /stages\[1\]\.percentage/],
    [
      'a stage beyond 100 %',
      { ...valid, stages: [stage(101)] },
      /stages\[0\]\.percentage: expected a percentage 0–100.*got 101/,
    ],
    [
      'a rate given as a percentage',
      { ...valid, stages: [{ ...stage(1), minSuccessRate: 99.5 }] },
      /minSuccessRate: .*did you mean 0\.995/,
    ],
    [
      'a review that is named like a rollback trigger',
      { ...valid, review: [successRateBelow(0.97)] },
      /review\[0\]\.name: expected a name that no rollback trigger has/,
    ],
    [
      'a negative tick',
      { ...valid, tickMs: -1 },
      /tickMs: expected a positive number of milliseconds.*got -1/,
    ],
    ['an unknown key', { ...valid, rolback: [] }, /rolback: .*unknown option/],
    ['an unknown key deep inside', withUnleash({ enviroment: 'x' }), /unleash\.enviroment: .*unknown option/],
    [
      'a negative number of retries',
      { ...valid, operation: { retries: -1 } },
      /operation\.retries: expected a whole number, 0 or more/,
    ],
    ['something that is no provider', { ...valid, flags: {} }, /flags: expected an UnleashProvider/],
    ['nothing at all', undefined, /expected an object/],
  ])('refuses %s', (_what, options, message) => {
    expect(problemsOf(options)).toMatch(message);
  });

  it('lists every problem in one error', () => {
    const message = problemsOf({
      ...withUnleash({ url: 'nowhere' }),
      flagKey: 'a b',
      rollback: [],
      tickMs: 0,
    });
    for (const path of ['unleash.url', 'flagKey', 'rollback', 'tickMs']) expect(message).toContain(path);
  });

  it('accepts the admin tokens that Unleash gives out', () => {
    for (const token of [`*:*.${secret}`, `user:${secret}`, secret]) {
      expect(problemsOf(withUnleash({ token }))).toBe('no problem');
    }
  });
});

const arm = (): number => 1;

describe('checkOperationOptions', () => {
  it.each([
    ['no control', { treatment: arm }, /control: expected a function/],
    [
      'a time limit of 0',
      { treatment: arm, control: arm, timeoutMs: 0 },
      /timeoutMs: expected a positive number/,
    ],
    ['an unknown option', { treatment: arm, control: arm, retry: 3 }, /retry: .*unknown option/],
  ])('refuses %s', (_what, options, message) => {
    expect(() => checkOperationOptions(options)).toThrow(message);
  });
});
