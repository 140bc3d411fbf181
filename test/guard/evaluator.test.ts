import { describe, expect, it } from 'vitest';
import { GuardRecords } from '../../src/guard/context/guard-records.js';
import { Evaluator } from '../../src/guard/evaluate/evaluator.js';
import type { GuardEvent } from '../../src/model/event.js';
import type { FlagFacts } from '../../src/model/flags.js';
import type { Verdict } from '../../src/model/shapes.js';
import { reportedStateSchema } from '../../src/model/state.js';
import { noticeOf } from '../../src/notify/notifications.js';
import { resolveLogger } from '../../src/support/logger.js';
import type { Trigger } from '../../src/triggers/trigger.js';
import { FakeFlags } from '../helpers/fake-flags.js';
import { subject } from '../notify/events.js';
import { NOW, snapshotOf } from '../triggers/snapshots.js';

const MINUTE = 60_000;
const facts = new FakeFlags().facts as FlagFacts;

/** An evaluator of one stage with one review, whose status is set by hand. */
function newEvaluator() {
  const events: GuardEvent[] = [];
  const slow = { status: 'ok' as Verdict['status'], observed: 1 };
  const blind: string[] = [];
  const trigger: Trigger = {
    name: 'slow',
    windowMs: MINUTE,
    evaluate: () => ({
      trigger: 'slow',
      ...slow,
      threshold: 1.2,
      unit: 'fraction',
      sampleSize: { treatment: 1, control: 1 },
      windowMs: MINUTE,
      freshnessMs: 0,
      message: `It is ${slow.observed} times as slow.`,
    }),
  };
  const records = new GuardRecords({
    flagKey: 'async-upload',
    unleash: { project: 'default', environment: 'development' },
    folder: false,
    clock: { now: () => NOW, monotonic: () => NOW },
    logger: resolveLogger(false),
    onEvent: (event) => events.push(event),
  });
  const evaluator = new Evaluator(
    {
      rollback: [],
      review: [trigger],
      reviewCloseAfterMs: 5 * MINUTE,
      stages: [{ percentage: 10, minOutcomes: 5, minSuccessRate: 0.9 }],
      records,
    },
    undefined,
    undefined,
    undefined,
    () => [...blind],
  );
  const review = (afterMs: number, rolloutPercentage = 10) => {
    const snapshot = { ...snapshotOf({ treatment: { successes: 5 } }), at: NOW + afterMs };
    return evaluator.review(snapshot, { ...facts, rolloutPercentage });
  };
  const reported = () =>
    events.map((event) => (event.type === 'stage' ? `stage ${event.progress.status}` : event.type));
  return { evaluator, slow, blind, review, reported, events };
}

/** An evaluator that resumes from what `previous` reported, as read from a disk. */
function resumedFrom({ evaluator }: ReturnType<typeof newEvaluator>) {
  const resumed = newEvaluator();
  resumed.evaluator.restore(reportedStateSchema.parse(JSON.parse(JSON.stringify(evaluator.reportedState))));
  return resumed;
}

describe('Evaluator', () => {
  it('does not report a stage that was reported before it resumed', () => {
    const first = newEvaluator();
    first.review(0);
    expect(first.reported()).toEqual(['stage met', 'completed']);
    const resumed = resumedFrom(first);
    resumed.review(1);
    expect(resumed.reported()).toEqual([]);
  });

  it('advises nothing when a stage is met while the guard is blind, and does so when that is over', () => {
    const first = newEvaluator();
    first.blind.push('stale-flags');
    first.review(0);
    expect(first.reported()).toEqual(['stage met']);
    const resumed = resumedFrom(first);
    resumed.blind.push('stale-flags');
    resumed.review(1);
    expect(resumed.reported()).toEqual([]);
    resumed.blind.pop();
    resumed.review(2);
    resumed.blind.push('stale-flags');
    resumed.review(3);
    resumed.blind.pop();
    resumed.review(4);
    expect(resumed.reported()).toEqual(['stage met', 'completed']);

    const [met, again] = [...first.events, ...resumed.events].map((event) => noticeOf(event, subject)!);
    expect(met!.notification).toMatchObject({
      severity: 'warning',
      message:
        '100.0 % of 5 outcomes succeeded, and the guard is blind (stale-flags): leave the percentage as it is until that is over.',
    });
    expect(again!.notification).toMatchObject({
      severity: 'info',
      message: expect.stringMatching(/complete/),
    });
    // Another one, so that it is sent although it comes soon.
    expect(again!.key).not.toBe(met!.key);
  });

  it('keeps a review open that was opened before it resumed, and closes it when its time is up', () => {
    const first = newEvaluator();
    first.slow.status = 'breach';
    first.review(0);
    first.slow.status = 'ok';
    first.review(MINUTE);
    const resumed = resumedFrom(first);
    resumed.review(2 * MINUTE);
    expect(resumed.evaluator.stage?.status).toBe('blocked');
    resumed.review(6 * MINUTE - 1);
    expect(resumed.reported()).toEqual([]);
    resumed.review(6 * MINUTE);
    expect(resumed.reported()).toEqual(['review-closed', 'stage met', 'completed']);
  });

  it('closes a review without data after a move, so that it does not block the stage for ever', () => {
    const { evaluator, slow, review, events } = newEvaluator();
    slow.status = 'breach';
    review(0, 1);
    slow.status = 'insufficient-data';
    review(60 * MINUTE, 1);
    expect(evaluator.openReviews).toHaveLength(1);
    review(61 * MINUTE, 10);
    expect(evaluator.stage?.status).toBe('met');
    const closed = events.filter((event) => event.type === 'review-closed');
    expect(closed.map(({ verdict }) => verdict.message)).toEqual([
      'An operator moved the rollout from 1 % to 10 %. It is 1 times as slow.',
    ]);
  });

  it('leaves out reviews of triggers that it does not have', () => {
    const { evaluator } = newEvaluator();
    const first = newEvaluator();
    first.slow.status = 'breach';
    first.review(0);
    const [review] = first.evaluator.reportedState.openReviews;
    evaluator.restore({ openReviews: [{ ...review!, trigger: 'gone' }] });
    expect(evaluator.openReviews).toEqual([]);
  });

  it('returns whether the reported state has changed, which fresh figures do not', () => {
    const { review, slow } = newEvaluator();
    expect(review(0)).toBe(true);
    expect(review(1)).toBe(false);
    slow.status = 'breach';
    expect(review(2)).toBe(true);
    slow.observed = 2;
    expect(review(3)).toBe(false);
    slow.status = 'ok';
    expect(review(4)).toBe(true);
    expect(review(5)).toBe(false);
  });
});

describe('reportedStateSchema', () => {
  it.each([
    undefined,
    {},
    { openReviews: [{}] },
    { openReviews: [], stage: { epoch: 1, index: -1, status: 'met' } },
  ])('refuses %j', (value) => {
    expect(() => reportedStateSchema.parse(value)).toThrow();
  });
});
