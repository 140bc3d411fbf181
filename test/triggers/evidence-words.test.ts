import { describe, expect, it } from 'vitest';
import { describeEvidence } from '../../src/triggers/evidence-rule.js';

describe('describeEvidence', () => {
  it.each([
    [3, false, 'the evidence E is 3, the limit is 50'],
    [73, true, 'the evidence E is 73, the limit is 50: at most 2 % of healthy rollouts ever reach it'],
    // A breach stays one, though E may have fallen since.
    [30, true, 'the evidence E has reached its limit of 50: at most 2 % of healthy rollouts ever reach it'],
  ])('never shows a limit that was reached as one that was not: %d', (e, breached, words) => {
    expect(describeEvidence({ logE: Math.log(e), breached }, Math.log(50), 0.02)).toBe(words);
  });
});
