import { describe, expect, it } from 'vitest';
import type { Verdict } from '../../src/flow.js';
import { type OpenReview, stepReviews } from '../../src/guard/reviews.js';

const MINUTE = 60_000;

function verdict(status: Verdict['status'], trigger = 'latency'): Verdict {
  return {
    trigger,
    status,
    observed: 1,
    threshold: 1,
    sampleSize: { treatment: 1, control: 1 },
    windowMs: MINUTE,
    freshnessMs: 0,
    message: `${trigger} is ${status}`,
  };
}

/** Plays statuses, one a minute, and says at which minutes a review opened and closed. */
function play(statuses: readonly Verdict['status'][]) {
  let open: readonly OpenReview[] = [];
  const news: string[] = [];
  statuses.forEach((status, minute) => {
    const step = stepReviews(open, [verdict(status)], minute * MINUTE, 3 * MINUTE);
    open = step.open;
    if (step.opened.length > 0) news.push(`opened at ${minute}`);
    if (step.closed.length > 0) news.push(`closed at ${minute}`);
  });
  return { news, open: open.length };
}

describe('stepReviews', () => {
  it('tells of a breach once, and of its end once it has lasted', () => {
    const { news, open } = play(['ok', 'breach', 'breach', 'ok', 'ok', 'ok', 'ok', 'ok']);
    expect(news).toEqual(['opened at 1', 'closed at 6']);
    expect(open).toBe(0);
  });

  it('does not close on a value that swings around its threshold', () => {
    const { news, open } = play(['breach', 'ok', 'ok', 'breach', 'ok', 'ok', 'breach', 'ok', 'ok', 'ok']);
    expect(news).toEqual(['opened at 0']);
    expect(open).toBe(1);
  });

  it('takes no data for no reason to close', () => {
    const nothing = 'insufficient-data';
    expect(play(['breach', 'ok', nothing, nothing, nothing, nothing, 'ok', 'ok', 'ok']).news).toEqual([
      'opened at 0',
    ]);
  });

  it('keeps the reviews of several triggers apart, and when each was opened', () => {
    const first = stepReviews([], [verdict('breach', 'latency'), verdict('ok', 'success')], 1, MINUTE);
    const second = stepReviews(
      first.open,
      [verdict('breach', 'latency'), verdict('breach', 'success')],
      2,
      MINUTE,
    );
    expect(second.opened.map(({ trigger }) => trigger)).toEqual(['success']);
    expect(second.open.map(({ trigger, openedAt }) => [trigger, openedAt])).toEqual([
      ['latency', 1],
      ['success', 2],
    ]);
  });
});
