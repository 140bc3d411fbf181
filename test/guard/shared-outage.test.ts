import { describe, expect, it } from 'vitest';
import { Evaluator } from '../../src/guard/evaluate/evaluator.js';
import type { GuardEvent } from '../../src/model/event.js';
import type { Verdict } from '../../src/model/shapes.js';
import { reportedStateSchema } from '../../src/model/state.js';
import { errorRateAbove } from '../../src/triggers/error-rate-above.js';
import type { Trigger } from '../../src/triggers/trigger.js';
import { Random } from '../../src/what-if/simulate/random.js';
import { simulateRollout } from '../../src/what-if/simulate/rollout.js';
import { NOW, snapshotOf } from '../triggers/snapshots.js';

const MINUTE = 60_000;

/** A limit whose blame is set by hand. */
function limit(name: string, state: { blame?: Verdict['blame'] }): Trigger {
  return {
    name,
    windowMs: MINUTE,
    evaluate: () => ({
      trigger: name,
      status: state.blame === 'treatment' ? 'breach' : 'ok',
      observed: 0.3,
      threshold: 0.05,
      unit: 'fraction',
      sampleSize: { treatment: 100, control: 100 },
      windowMs: MINUTE,
      message: `${name} is broken.`,
      blame: state.blame,
    }),
  };
}

function newEvaluator() {
  const events: GuardEvent[] = [];
  const [success, error] = [{} as { blame?: Verdict['blame'] }, {} as { blame?: Verdict['blame'] }];
  const evaluator = new Evaluator({
    rollback: [limit('success', success), limit('error', error)],
    review: [],
    reviewCloseAfterMs: 5 * MINUTE,
    stages: [],
    records: {
      emit: (event) => events.push(event),
      fault: (_what, fault) => {
        throw fault;
      },
    },
  });
  const step = (afterMs: number) => {
    const snapshot = { ...snapshotOf(), at: NOW + afterMs };
    const stops = evaluator.breaches(snapshot, 'all');
    const changed = evaluator.review(snapshot, undefined);
    return { stops: stops.length, changed };
  };
  return { evaluator, success, error, events, step };
}

describe('limits that both arms break', () => {
  it('are one review, reported once, and stop nothing', () => {
    const { evaluator, success, error, events, step } = newEvaluator();
    success.blame = 'shared';
    error.blame = 'shared';
    expect(step(0)).toEqual({ stops: 0, changed: true });
    expect(step(1_000)).toEqual({ stops: 0, changed: false });
    expect(events).toMatchObject([
      {
        type: 'review-opened',
        verdict: { trigger: 'shared-outage', status: 'breach', message: 'success is broken.' },
      },
    ]);
    expect(evaluator.openReviews).toHaveLength(1);
  });

  it('close by themselves once all limits have been kept for the closing time', () => {
    const { success, error, events, step } = newEvaluator();
    success.blame = 'shared';
    step(0);
    success.blame = undefined;
    error.blame = 'shared';
    step(MINUTE);
    error.blame = undefined;
    step(2 * MINUTE);
    step(6 * MINUTE);
    expect(events.map(({ type }) => type)).toEqual(['review-opened']);
    step(7 * MINUTE);
    expect(events.map(({ type }) => type)).toEqual(['review-opened', 'review-closed']);
  });

  it('stay one review after a restart, which does not report it again', () => {
    const first = newEvaluator();
    first.success.blame = 'shared';
    first.step(0);
    const second = newEvaluator();
    second.evaluator.restore(
      reportedStateSchema.parse(JSON.parse(JSON.stringify(first.evaluator.reportedState))),
    );
    second.success.blame = 'shared';
    second.step(1_000);
    expect(second.events).toEqual([]);
    second.success.blame = undefined;
    second.step(2_000);
    second.step(6 * MINUTE);
    expect(second.events.map(({ type }) => type)).toEqual(['review-closed']);
  });

  it('are no outage while the blame is open, and a stop once it is the treatment', () => {
    const { success, events, step } = newEvaluator();
    success.blame = 'unproven';
    step(0);
    expect(events).toEqual([]);
    success.blame = 'treatment';
    expect(step(1_000).stops).toBe(1);
  });

  it('stop nothing later, when the rollout goes to 100 % and no control of the same minutes is left', () => {
    let next = 0;
    const isOut = (at: number) => at >= 5 * MINUTE && at < 10 * MINUTE;
    const played = simulateRollout(
      {
        rollback: [
          errorRateAbove(0.05, { evidence: 'sequential', alpha: 0.01 }),
          errorRateAbove(0.05, { name: 'point' }),
        ],
      },
      {
        requestsPerSecond: 5,
        stages: [
          { share: 0.5, durationMs: 10 * MINUTE },
          { share: 1, durationMs: 15 * MINUTE },
        ],
        unit: (random) => ({ key: `user-${next++}`, position: random.next(), frailty: 0 }),
        call: (_unit, _treated, at, random) => ({
          result: random.chance(isOut(at) ? 0.3 : 0.01) ? 'failure' : 'success',
          durationMs: 100,
        }),
      },
      new Random(1),
    );
    expect(played).toMatchObject({ stoppedBy: [], reviews: ['shared-outage'] });
  });
});
