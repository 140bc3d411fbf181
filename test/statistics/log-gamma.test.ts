import { describe, expect, it } from 'vitest';
import { logBeta, logGamma, logIncompleteBeta } from '../../src/statistics/log-gamma.js';
import { relativeError } from './golden.js';

// Expected values from mpmath with 30 digits.
describe('logGamma', () => {
  it.each([
    [1e-5, 11.512919692895826],
    [0.5, 0.5723649429247001],
    [3.3, 0.9870985778947344],
    [9.99, 12.779315214350193],
    [10, 12.80182748008147],
    [100.5, 361.4355404677776],
    [1e6, 12815504.569147611],
  ])('is right at %d', (x, expected) => {
    expect(relativeError(logGamma(x), expected)).toBeLessThan(1e-13);
  });

  it('is zero at 1 and 2', () => {
    expect(logGamma(1)).toBeCloseTo(0, 14);
    expect(logGamma(2)).toBeCloseTo(0, 14);
  });
});

describe('logBeta', () => {
  it('is the logarithm of a known integral', () => {
    expect(Math.exp(logBeta(3, 4))).toBeCloseTo(1 / 60, 14);
  });
});

describe('logIncompleteBeta', () => {
  it.each([
    [0.1, 2.5, 70, -0.010827935941376602],
    [0.2, 30, 5, -38.39868219250584],
    [0.43, 800, 1200, -0.0032565039732881666],
  ])('is right at x = %d, a = %d, b = %d', (x, a, b, expected) => {
    expect(relativeError(logIncompleteBeta(x, a, b), expected)).toBeLessThan(1e-10);
  });

  it('is a distribution function from 0 to 1', () => {
    expect(logIncompleteBeta(0, 2, 3)).toBe(Number.NEGATIVE_INFINITY);
    expect(logIncompleteBeta(1, 2, 3)).toBe(0);
    expect(Math.exp(logIncompleteBeta(0.5, 4, 4))).toBeCloseTo(0.5, 14);
  });
});
