import { describe, expect, it } from 'vitest';
import { briefReason } from '../../src/support/wording.js';

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
