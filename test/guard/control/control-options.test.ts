import { describe, expect, it } from 'vitest';
import type { RolloutGuardOptions } from '../../../src/guard/options/options.js';
import { resolveOptions } from '../../../src/guard/options/resolve-options.js';
import { isConfigError } from '../../../src/support/config-error.js';
import { successRateBelow } from '../../../src/triggers/success-rate-below.js';
import { FakeFlags } from '../../helpers/fake-flags.js';

const stage = { percentage: 10, minOutcomes: 5, minSuccessRate: 0.9 };

function problemsOf(options: object): readonly string[] {
  try {
    resolveOptions({
      flagKey: 'async-upload',
      flags: new FakeFlags(),
      unleash: { url: 'http://unleash.test/api', token: '*:*.made-up', environment: 'production' },
      rollback: [successRateBelow(0.95)],
      ...options,
    } as RolloutGuardOptions);
    return [];
  } catch (error) {
    if (!isConfigError(error)) throw error;
    return error.problems.map(({ path }) => path);
  }
}

describe('the options of automatic advance', () => {
  it.each<[what: string, options: object, problems: readonly string[]]>([
    ['a deadline', { stages: [{ ...stage, deadlineMs: 1, onDeadline: 'hold' }] }, []],
    ['no deadline', { stages: [{ ...stage, deadlineMs: 0 }] }, ['stages[0].deadlineMs']],
    [
      'a deadline without an end',
      { stages: [{ ...stage, deadlineMs: Number.POSITIVE_INFINITY }] },
      ['stages[0].deadlineMs'],
    ],
    [
      'a deadline that comes before the least time',
      { stages: [{ ...stage, minDurationMs: 100, deadlineMs: 100 }] },
      ['stages[0].deadlineMs'],
    ],
    [
      'a consequence of no deadline',
      { stages: [{ ...stage, onDeadline: 'hold' }] },
      ['stages[0].deadlineMs'],
    ],
    [
      'another consequence',
      { stages: [{ ...stage, deadlineMs: 1, onDeadline: 'stop' }] },
      ['stages[0].onDeadline'],
    ],
    ['never to hold', { holdAfterStops: false }, []],
    ['to hold after each stop', { holdAfterStops: { stops: 1, withinMs: 1 } }, []],
    ['to hold after no stop', { holdAfterStops: { stops: 0, withinMs: 1 } }, ['holdAfterStops']],
    ['to hold for no reason', { holdAfterStops: true }, ['holdAfterStops']],
    ['an empty list of windows', { changeWindows: [] }, ['changeWindows']],
    ['a window', { changeWindows: [{ days: ['mon'], timeZone: 'Europe/Berlin' }] }, []],
    ['a window of another form', { changeWindows: ['mon'] }, ['changeWindows[0]']],
  ])('%s: what is wrong is named', (_what, options, problems) => {
    expect(problemsOf(options).map((path) => path.replace(/^(holdAfterStops)\..*/, '$1'))).toEqual(problems);
  });
});
