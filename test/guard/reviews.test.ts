import { describe, expect, it } from 'vitest';
import { stepReviews } from '../../src/guard/evaluate/reviews.js';
import type { Verdict } from '../../src/model/shapes.js';
import type { OpenReview } from '../../src/model/state.js';

const MINUTE = 60_000;

function verdict(status: Verdict['status'], trigger = 'latency'): Verdict {
  return {
    trigger,
    status,
    observed: 1,
    threshold: 1,
    unit: 'fraction',
    sampleSize: { treatment: 1, control: 1 },
    windowMs: MINUTE,
    freshnessMs: 0,
    message: `${trigger} is ${status}`,
  };
}

const at = (rolloutPercentage: number | undefined) => ({ rolloutPercentage });

/** Plays statuses, one a minute, and returns at which minutes a review opened and closed. */
function play(statuses: readonly Verdict['status'][]) {
  let open: readonly OpenReview[] = [];
  const messages: string[] = [];
  statuses.forEach((status, minute) => {
    const step = stepReviews(open, [verdict(status)], at(10), minute * MINUTE, 3 * MINUTE);
    open = step.open;
    if (step.opened.length > 0) messages.push(`opened at ${minute}`);
    if (step.closed.length > 0) messages.push(`closed at ${minute}`);
  });
  return { messages, open: open.length };
}

describe('stepReviews', () => {
  it('reports a breach once, and its end once it has lasted', () => {
    const { messages, open } = play(['ok', 'breach', 'breach', 'ok', 'ok', 'ok', 'ok', 'ok']);
    expect(messages).toEqual(['opened at 1', 'closed at 6']);
    expect(open).toBe(0);
  });

  it('does not close on a value that swings around its threshold', () => {
    const { messages, open } = play(['breach', 'ok', 'ok', 'breach', 'ok', 'ok', 'breach', 'ok', 'ok', 'ok']);
    expect(messages).toEqual(['opened at 0']);
    expect(open).toBe(1);
  });

  it('does not close without data', () => {
    const nothing = 'insufficient-data';
    expect(play(['breach', 'ok', nothing, nothing, nothing, nothing, 'ok', 'ok', 'ok']).messages).toEqual([
      'opened at 0',
    ]);
  });

  it('keeps the reviews of several triggers apart, and when each was opened', () => {
    const first = stepReviews(
      [],
      [verdict('breach', 'latency'), verdict('ok', 'success')],
      at(10),
      1,
      MINUTE,
    );
    const second = stepReviews(
      first.open,
      [verdict('breach', 'latency'), verdict('breach', 'success')],
      at(10),
      2,
      MINUTE,
    );
    expect(second.opened.map(({ trigger }) => trigger)).toEqual(['success']);
    expect(second.open.map(({ trigger, openedAt }) => [trigger, openedAt])).toEqual([
      ['latency', 1],
      ['success', 2],
    ]);
  });

  describe('after an operator has moved the rollout', () => {
    const [opened] = stepReviews([], [verdict('breach')], at(50), 0, MINUTE).open as [OpenReview];
    const evaluateAt = (status: Verdict['status'], percentage: number | undefined, review = opened) =>
      stepReviews([review], [verdict(status)], at(percentage), 1, MINUTE);

    it('closes a review without data there, and names the move in the message', () => {
      const { open, closed } = evaluateAt('insufficient-data', 100);
      expect(open).toEqual([]);
      expect(closed.map(({ message }) => message)).toEqual([
        'An operator moved the rollout from 50 % to 100 %. latency is insufficient-data',
      ]);
    });

    it('leaves a review open that still breaches at the new percentage, without another message, until the next move', () => {
      const { open, opened, closed } = evaluateAt('breach', 100);
      expect({ opened, closed }).toEqual({ opened: [], closed: [] });
      expect(open).toMatchObject([{ openedAt: 0, percentage: 100 }]);
      expect(evaluateAt('insufficient-data', 100, open[0])).toMatchObject({
        open: [{ openedAt: 0 }],
        closed: [],
      });
      expect(evaluateAt('insufficient-data', 50, open[0]).closed).toHaveLength(1);
    });

    it('closes after the usual time when the trigger is ok at the new percentage', () => {
      expect(evaluateAt('ok', 100)).toMatchObject({ open: [{ okSince: 1 }], closed: [] });
    });

    it('leaves a review without data open at the same percentage, or before the percentage is known', () => {
      expect(evaluateAt('insufficient-data', 50).open).toHaveLength(1);
      expect(stepReviews([opened], [verdict('insufficient-data')], undefined, 1, MINUTE)).toMatchObject({
        open: [{ percentage: 50 }],
        closed: [],
      });
    });
  });
});
