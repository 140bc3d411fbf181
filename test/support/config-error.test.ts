import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import {
  ConfigError,
  type ConfigProblem,
  isConfigError,
  parseConfig,
} from '../../src/support/config-error.js';
import {
  countSchema,
  durationMsSchema,
  percentageSchema,
  rateSchema,
} from '../../src/support/config-schemas.js';

function problemsOf(schema: z.ZodType, value: unknown): readonly ConfigProblem[] {
  try {
    parseConfig(schema, value, 'test');
  } catch (error) {
    if (isConfigError(error)) return error.problems;
    throw error;
  }
  return [];
}

function messageOf(schema: z.ZodType, value: unknown): string {
  try {
    parseConfig(schema, value, 'test');
  } catch (error) {
    return (error as Error).message;
  }
  return '';
}

describe('parseConfig', () => {
  it('returns the parsed value with defaults, also for an explicit undefined', () => {
    const schema = z.strictObject({ windowMs: durationMsSchema.default(300_000), name: z.string() });
    expect(parseConfig(schema, { name: 'a', windowMs: undefined }, 'test')).toEqual({
      name: 'a',
      windowMs: 300_000,
    });
  });

  it('lists every problem with path, expected and got', () => {
    const schema = z.strictObject({
      unleash: z.strictObject({ url: z.url({ protocol: /^https?$/ }) }),
      stages: z.array(z.strictObject({ percentage: percentageSchema })),
      windowMs: durationMsSchema,
      mode: z.enum(['dry', 'live']),
    });
    const problems = problemsOf(schema, {
      unleash: { url: 'unleash.example.com' },
      stages: [{ percentage: 1 }, { percentage: 101 }],
      windowMs: -5,
      mode: 'wet',
      minOutcome: 3,
    });
    expect(problems).toEqual([
      { path: 'unleash.url', expected: 'a valid url', got: '"unleash.example.com"' },
      {
        path: 'stages[1].percentage',
        expected: 'a percentage 0–100 (percentages are 0–100, rates are fractions 0–1)',
        got: '101',
      },
      {
        path: 'windowMs',
        expected: 'a positive number of milliseconds, at most 2147483647',
        got: '-5',
      },
      { path: 'mode', expected: 'one of dry, live', got: '"wet"' },
      {
        path: 'minOutcome',
        expected: 'one of unleash, stages, windowMs, mode',
        got: 'an unknown option',
      },
    ]);
  });

  it('writes one line for one problem and a list for several', () => {
    const schema = z.strictObject({ a: countSchema, b: countSchema });
    expect(messageOf(schema, { a: 0, b: 1 })).toBe(
      'Invalid test: a: expected a whole number, 1 or more, got 0',
    );
    expect(messageOf(schema, { a: 0, b: 1.5 })).toBe(
      'Invalid test: 2 problems\n' +
        '  - a: expected a whole number, 1 or more, got 0\n' +
        '  - b: expected a whole number, 1 or more, got 1.5',
    );
  });

  it.each([
    ['a missing value', z.strictObject({ a: z.string() }), {}, 'a: expected a string, got nothing'],
    ['a value as a whole', z.strictObject({}), null, 'expected an object, got null'],
    ['a number', z.number(), 'x', 'expected a number, got "x"'],
    ['NaN', z.number(), Number.NaN, 'expected a number, got NaN'],
    ['an integer', z.int(), 1.5, 'expected an integer, got 1.5'],
    ['a minimum', z.number().min(2), 1, 'expected at least 2, got 1'],
    ['an exclusive maximum', z.number().lt(2), 2, 'expected less than 2, got 2'],
    ['a short list', z.array(z.string()).min(1), [], 'expected at least 1 item, got an empty array'],
    ['a long text', z.string().max(2), 'abc', 'expected at most 2 characters, got "abc"'],
    ['a pattern', z.string().regex(/^\S+$/), 'a b', 'expected text like /^\\S+$/, got "a b"'],
    ['a multiple', z.number().multipleOf(5), 7, 'expected a multiple of 5, got 7'],
    ['a function', z.string(), () => 1, 'expected a string, got a function'],
    ['an instance', z.string(), new Date(0), 'expected a string, got an object (Date)'],
    ['a custom check', z.custom((value) => value === 1), [2], 'expected a valid value, got an array of 1'],
    ['a schema with its own words', z.string({ error: 'a flag key' }), 7, 'expected a flag key, got 7'],
    ['a union of types', z.union([z.string(), z.number()]), true, 'expected a string, or a number, got true'],
    [
      'the branch of a union that fits',
      z.union([z.string(), z.strictObject({ x: z.number() })]),
      { x: 'y' },
      'x: expected a number, got "y"',
    ],
    [
      'a discriminator',
      z.discriminatedUnion('k', [
        z.strictObject({ k: z.literal('a') }),
        z.strictObject({ k: z.literal('b') }),
      ]),
      { k: 'c' },
      'k: expected one of a, b, got "c"',
    ],
  ])('describes %s', (_, schema, value, expected) => {
    expect(messageOf(schema, value)).toBe(`Invalid test: ${expected}`);
  });

  it.each([
    ['a percentage instead of a rate', rateSchema, 95, 'did you mean 0.95?'],
    ['a rate above any percentage', rateSchema, 950, undefined],
    ['a negative rate', rateSchema, -0.1, undefined],
    ['a rate of 2.3', rateSchema, 2.3, 'did you mean 0.023?'],
  ])('hints at what was meant: %s', (_, schema, value, hint) => {
    const [first] = problemsOf(schema, value);
    expect(first?.hint).toBe(hint);
    expect(first?.expected).toBe('a fraction 0–1 (rates are fractions, percentages are 0–100)');
  });

  it('accepts rates and percentages at their ends', () => {
    for (const rate of [0, 1]) expect(parseConfig(rateSchema, rate, 'test')).toBe(rate);
    for (const percentage of [0, 100])
      expect(parseConfig(percentageSchema, percentage, 'test')).toBe(percentage);
  });

  it.each([
    ['token', { token: 'abc123secret' }],
    ['authorization header', { customHeaders: { Authorization: 'abc123secret' } }],
    ['any header', { headers: { 'X-Team': 'abc123secret' } }],
    ['apiKey', { apiKey: 'abc123secret' }],
    ['password', { db: { password: 'abc123secret' } }],
    ['webhookUrl', { webhookUrl: 'https://hooks.example.com/abc123secret' }],
    ['a number under a secret name', { password: 123_456 }],
    ['an Unleash token in the wrong place', { project: '*:development.abc123secret' }],
    ['an Authorization value in the wrong place', { project: 'Bearer abc123secret' }],
    ['a key in the wrong place', { ca: '-----BEGIN EC PRIVATE KEY-----\nabc123secret' }],
    ['user and password of a URL', { url: 'https://me:abc123secret@example.com/api' }],
    ['a password with an @ in a URL', { url: 'https://me:p@abc123secret@example.com/api' }],
    ['the query of a URL', { url: 'https://example.com/api?token=abc123secret' }],
    ['an object that holds one', { unleash: { token: 'abc123secret' } }],
  ])('never shows a secret: %s', (_, value) => {
    const refuseLeaves: z.ZodType = z.lazy(() => z.union([z.never(), z.record(z.string(), z.boolean())]));
    const everywhere = z.record(z.string(), z.union([z.boolean(), refuseLeaves]));
    const text = messageOf(everywhere, value) + JSON.stringify(problemsOf(everywhere, value));
    expect(text).toContain('expected');
    expect(text).not.toMatch(/abc123secret|123456/);
  });

  it('shows a flag key, which is no secret, cut to a readable length', () => {
    expect(messageOf(z.strictObject({ flagKey: z.string().max(3) }), { flagKey: 'my flag' })).toContain(
      '"my flag"',
    );
    const long = messageOf(z.strictObject({ name: z.boolean() }), { name: 'n'.repeat(500) });
    expect(long).toContain(`"${'n'.repeat(60)}…"`);
  });
});

describe('ConfigError', () => {
  it('has a stable code, and isConfigError distinguishes it from other errors', () => {
    const error = new ConfigError('guard', [{ path: 'a', expected: 'b', got: 'c' }]);
    expect(error).toMatchObject({ name: 'ConfigError', code: 'INVALID_CONFIG' });
    expect(isConfigError(error)).toBe(true);
    expect(isConfigError(new Error('x'))).toBe(false);
    expect(isConfigError(undefined)).toBe(false);
  });
});
