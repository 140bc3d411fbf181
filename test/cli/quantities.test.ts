import { describe, expect, it } from 'vitest';
import {
  durationOption,
  fractionOption,
  positiveOption,
  requestRateOption,
  shareOption,
  wholeOption,
} from '../../src/cli/quantities.js';
import { parseConfig } from '../../src/support/config-error.js';

describe('quantities on the command line', () => {
  it.each([
    [requestRateOption, '50/s', 50],
    [requestRateOption, '200/min', 200 / 60],
    [requestRateOption, ' 7.2 / h ', 0.002],
    [requestRateOption, '86400/day', 1],
    [durationOption, '90s', 90_000],
    [durationOption, '1.5h', 5_400_000],
    [durationOption, '200ms', 200],
    [fractionOption, '0', 0],
    [fractionOption, '.05', 0.05],
    [shareOption, '1', 1],
    [positiveOption, '1.2', 1.2],
    [wholeOption(1), '20', 20],
  ])('are read: %#', (schema, text, value) => {
    expect(parseConfig(schema, text, 'option')).toBeCloseTo(value as number, 12);
  });

  it.each([
    [shareOption, '10', /a fraction 0–1 .*got "10"; did you mean 0\.1\?/],
    [shareOption, '0', /above 0/],
    [shareOption, '', /a fraction/],
    [shareOption, '0x1', /a fraction/],
    [fractionOption, '-0.1', /a fraction/],
    [fractionOption, 'NaN', /a fraction/],
    [requestRateOption, '50', /for example 50\/s.*did you mean 50\/s\?/],
    [requestRateOption, '0/s', /a number of requests/],
    [requestRateOption, '5/fortnight', /a number of requests/],
    [requestRateOption, '1.2.3/s', /a number of requests/],
    [durationOption, '30', /a length of time, for example/],
    [durationOption, '-5min', /a length of time/],
    [positiveOption, '0', /a number above 0/],
    [wholeOption(20), '19', /a whole number, 20 or more/],
    [wholeOption(0), '1.5', /a whole number/],
  ])('are refused with the reason: %#', (schema, text, message) => {
    expect(() => parseConfig(schema, text, 'option')).toThrow(message);
  });
});
