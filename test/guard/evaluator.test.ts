import { describe, expect, it } from 'vitest';
import { Evaluator } from '../../src/guard/evaluate/evaluator.js';
import { GuardRecords } from '../../src/guard/records/guard-records.js';
import type { GuardEvent } from '../../src/model/event.js';
import type { FlagFacts } from '../../src/model/flags.js';
import type { Verdict } from '../../src/model/shapes.js';
import { reportedStateSchema } from '../../src/model/state.js';
import { resolveLogger } from '../../src/support/logger.js';
import type { Trigger } from '../../src/triggers/trigger.js';
import { FakeFlags } from '../helpers/fake-flags.js';
import { NOW, snapshotOf } from '../triggers/snapshots.js';

const MINUTE = 60_000;
const facts = new FakeFlags().facts as FlagFacts;

/** A judge of one stage with one review, whose status is set by hand. */
function newJudge() {
  const events: GuardEvent[] = [];
  const slow = { status: 'ok' as Verdict['status'], observed: 1 };
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
    folder: false,
    clock: { now: () => NOW, monotonic: () => NOW },
    logger: resolveLogger(false),
    listener: (event) => events.push(event),
  });
  const judge = new Evaluator({
    rollback: [],
    review: [trigger],
    reviewCloseAfterMs: 5 * MINUTE,
    stages: [{ percentage: 10, minOutcomes: 5, minSuccessRate: 0.9 }],
    records,
  });
  const review = (afterMs: number, rolloutPercentage = 10) =>
    judge.review(snapshotOf({ treatment: { successes: 5 } }), { ...facts, rolloutPercentage }, NOW + afterMs);
  const told = () =>
    events.map((event) => (event.type === 'stage' ? `stage ${event.progress.status}` : event.type));
  return { judge, slow, review, told, events };
}

/** What another judge knows, after its memory has been on a disk. */
function heirOf({ judge }: ReturnType<typeof newJudge>) {
  const heir = newJudge();
  heir.judge.restore(reportedStateSchema.parse(JSON.parse(JSON.stringify(judge.memory))));
  return heir;
}

describe('Evaluator', () => {
  it('tells no stage again that the judge before it told', () => {
    const first = newJudge();
    first.review(0);
    expect(first.told()).toEqual(['stage met']);
    const heir = heirOf(first);
    heir.review(1);
    expect(heir.told()).toEqual([]);
  });

  it('keeps a review open that the judge before it opened, and lets it close when its time is up', () => {
    const first = newJudge();
    first.slow.status = 'breach';
    first.review(0);
    first.slow.status = 'ok';
    first.review(MINUTE);
    const heir = heirOf(first);
    heir.review(2 * MINUTE);
    expect(heir.judge.stage?.status).toBe('blocked');
    heir.review(6 * MINUTE - 1);
    expect(heir.told()).toEqual([]);
    heir.review(6 * MINUTE);
    expect(heir.told()).toEqual(['review-closed', 'stage met']);
  });

  it('lets a stage go on that only a review of another percentage would block for ever', () => {
    const { judge, slow, review, events } = newJudge();
    slow.status = 'breach';
    review(0, 1);
    slow.status = 'insufficient-data';
    review(60 * MINUTE, 1);
    expect(judge.openReviews).toHaveLength(1);
    review(61 * MINUTE, 10);
    expect(judge.stage?.status).toBe('met');
    const closed = events.filter((event) => event.type === 'review-closed');
    expect(closed.map(({ verdict }) => verdict.message)).toEqual([
      'A person moved the rollout on from 1 % to 10 %. It is 1 times as slow.',
    ]);
  });

  it('leaves out reviews of triggers that it does not have', () => {
    const { judge } = newJudge();
    const first = newJudge();
    first.slow.status = 'breach';
    first.review(0);
    const [review] = first.judge.memory.openReviews;
    judge.restore({ openReviews: [{ ...review!, trigger: 'gone' }] });
    expect(judge.openReviews).toEqual([]);
  });

  it('says when there is something to remember, which fresh figures are not', () => {
    const { review, slow } = newJudge();
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

describe('parseReportedState', () => {
  it.each([
    undefined,
    {},
    { openReviews: [{}] },
    { openReviews: [], stage: { epoch: 1, index: -1, status: 'met' } },
  ])('refuses %j', (value) => {
    expect(() => reportedStateSchema.parse(value)).toThrow();
  });
});
