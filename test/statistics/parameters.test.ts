import { describe, expect, it } from 'vitest';
import { DEFAULT_ALPHA_WEIGHTS, splitAlpha } from '../../src/statistics/parameters.js';
import { isConfigError } from '../../src/support/config-error.js';

describe('splitAlpha', () => {
  it('gives each test its weight times alpha', () => {
    const parts = splitAlpha(0.05, DEFAULT_ALPHA_WEIGHTS);
    expect(parts.failure).toBeCloseTo(0.035, 15);
    expect(parts.limit).toBeCloseTo(0.01, 15);
    expect(parts.aborted).toBeCloseTo(0.0025, 15);
    expect(parts.latency).toBeCloseTo(0.0025, 15);
  });

  it('accepts weights that add up to 1 but for rounding', () => {
    expect(() => splitAlpha(0.05, { a: 0.1, b: 0.2, c: 0.7 })).not.toThrow();
  });

  it.each<[number, Record<string, number>, string]>([
    [0.05, { a: 0.5, b: 0.4 }, 'expected weights that add up to 1, got 0.5 + 0.4 = 0.9'],
    [0.05, { a: 0.6, b: 0.6 }, 'add up to 1'],
    [0.05, { a: 1.5, b: -0.5 }, 'weights.b: expected a number above 0'],
    [0.05, { a: 1, b: 0 }, 'weights.b'],
    [0.05, { a: Number.NaN }, 'weights.a'],
    [0.5, { a: 1 }, 'alpha: expected a probability above 0 and below 0.5, got 0.5'],
    [5, { a: 1 }, 'did you mean 0.05?'],
  ])('refuses alpha %d with weights %j', (alpha, weights, reason) => {
    expect(() => splitAlpha(alpha, weights)).toThrow(reason);
  });

  it.each([undefined, null, 0.4, 'failure'])('refuses the weights %j by name', (weights) => {
    try {
      splitAlpha(0.05, weights as unknown as Record<string, number>);
      expect.unreachable();
    } catch (error) {
      expect(isConfigError(error)).toBe(true);
      expect(String(error)).toContain(`weights: expected weights by test name`);
      expect(String(error)).toMatch(/got (nothing|null|0\.4|"failure")$/);
    }
  });

  it('refuses with the stable code of a bad configuration', () => {
    try {
      splitAlpha(0, { a: 1 });
      expect.unreachable();
    } catch (error) {
      expect(isConfigError(error)).toBe(true);
    }
  });
});
