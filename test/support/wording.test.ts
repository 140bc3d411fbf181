import { describe, expect, it } from 'vitest';
import {
  briefReason,
  certaintyOf,
  formatCount,
  plainReason,
  verdictFigures,
  verdictWord,
} from '../../src/support/wording.js';

const FAILS =
  'Since 21:25 UTC the treatment fails 7.14 % (3 of 42): worse by 7.1 points; the evidence E is 188, the limit is 71.4.';

const of = (messages: readonly string[], rest = '') => ({
  reason: messages.join(' ') + rest,
  verdicts: messages.map((message) => ({ message })),
});

describe('the reason of a stop in a title', () => {
  it('leaves out the figures of the test', () => {
    expect(briefReason(of([FAILS]))).toBe(
      'Since 21:25 UTC the treatment fails 7.14 % (3 of 42): worse by 7.1 points.',
    );
  });

  it('keeps where the treatment fails, and counts what else breached', () => {
    expect(briefReason(of([FAILS, 'Memory grew.', 'Slow.'], ' Most of them: provider s3.'))).toBe(
      'Since 21:25 UTC the treatment fails 7.14 % (3 of 42): worse by 7.1 points, and 2 more triggers breached. Most of them: provider s3.',
    );
    expect(briefReason(of([FAILS, 'Memory grew.']))).toContain(', and 1 more trigger breached.');
  });

  it("leaves an operator's reason, and any other, as it is", () => {
    const reason = 'ann stopped it: lost files; the evidence E of the provider';
    expect(briefReason({ reason, verdicts: [] })).toBe(reason);
    expect(briefReason(of(['p99 too high; see the wiki.']))).toBe('p99 too high; see the wiki.');
    expect(briefReason({ reason: 'other words', verdicts: [{ message: FAILS }] })).toBe('other words');
  });
});

describe('the reason of a stop for an operator', () => {
  it('has all triggers, and the figures of none of their tests', () => {
    expect(plainReason(of([FAILS, 'Memory grew.'], ' Most of them: provider s3.'))).toBe(
      'Since 21:25 UTC the treatment fails 7.14 % (3 of 42): worse by 7.1 points. Memory grew. Most of them: provider s3.',
    );
    expect(plainReason({ reason: 'ann stopped it', verdicts: [] })).toBe('ann stopped it');
  });

  it('says how sure a test is of its breach, and nothing of what was compared directly', () => {
    const breach = { status: 'breach', evidence: { alpha: 0.035 } };
    expect(certaintyOf(breach)).toBe('at most 3.5 % of healthy rollouts ever get here');
    expect(certaintyOf({ ...breach, status: 'ok' })).toBeUndefined();
    expect(certaintyOf({ status: 'breach' })).toBeUndefined();
  });
});

describe('the figures of a verdict', () => {
  it.each<[string, Parameters<typeof verdictFigures>[0], string | undefined, string]>([
    [
      'a difference of the arms in points, as its message says',
      { observed: 0.138, threshold: 0.02, unit: 'fraction', evidence: {} },
      '13.8 points',
      '2 points',
    ],
    [
      'a rate with a test in percent',
      { observed: 0.138, threshold: 0.05, unit: 'fraction', rate: 'error', evidence: {} },
      '13.8 %',
      '5 %',
    ],
    ['one point', { threshold: 0.01, unit: 'fraction', evidence: {} }, undefined, '1 point'],
    ['a share in percent', { observed: 0.02, threshold: 0.01, unit: 'fraction' }, '2.0 %', '1 %'],
    ['a ratio', { observed: 6.07, threshold: 1.2, unit: 'ratio', evidence: {} }, '6.07×', '1.2×'],
    ['a threshold alone', { threshold: 0.02, unit: 'fraction', evidence: {} }, undefined, '2 points'],
  ])('are %s', (_, verdict, observed, threshold) => {
    expect(verdictFigures(verdict)).toEqual({ observed, threshold });
  });

  it.each([
    [0, '0'],
    [999, '999'],
    [2_000, '2,000'],
    [1_234_567, '1,234,567'],
  ])('have the count %d as %s', (count, text) => expect(formatCount(count)).toBe(text));
});

describe('a verdict in a word', () => {
  const limit = { status: 'ok', observed: 1, threshold: 0.05, rate: 'error' } as const;

  it.each<[string, Parameters<typeof verdictWord>[0], string]>([
    ['within its threshold', { ...limit, observed: 0.01, evidence: {} }, 'ok'],
    ['a success rate within its threshold', { ...limit, threshold: 0.95, rate: 'success' }, 'ok'],
    ['beyond it before the test agrees', { ...limit, evidence: {} }, 'ok, not proven'],
    ['beyond it, perhaps by chance', { ...limit, blame: 'unproven' }, 'ok, not proven'],
    [
      'a success rate beyond it',
      { ...limit, observed: 0.5, threshold: 0.95, rate: 'success', blame: 'unproven' },
      'ok, not proven',
    ],
    ['beyond it as the control is', { ...limit, blame: 'shared', evidence: {} }, 'ok, shared outage'],
    [
      'without enough data',
      { ...limit, status: 'insufficient-data', observed: undefined },
      'not enough data',
    ],
    ['a breach', { ...limit, status: 'breach', blame: 'treatment', evidence: {} }, 'breach'],
  ])('says %s', (_, verdict, word) => {
    expect(verdictWord(verdict)).toBe(word);
  });
});
