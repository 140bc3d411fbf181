import { describe, expect, it } from 'vitest';
import { evaluateStage } from '../../src/guard/evaluate/stages.js';
import type { Stage } from '../../src/model/stage.js';
import { Random } from '../../src/what-if/simulate/random.js';
import { armCounts, FIVE_MINUTES, NOW, snapshotOf } from '../triggers/snapshots.js';

const HOUR = 3_600_000;

const stages: readonly Stage[] = [
  { percentage: 1, minOutcomes: 100, minSuccessRate: 0.995, minDurationMs: HOUR },
  { percentage: 10, minOutcomes: 500, minSuccessRate: 0.99 },
];

function progressOf(
  index: number,
  counts: { readonly successes: number; readonly failures: number },
  { elapsedMs = HOUR, reviews = [] as string[] } = {},
) {
  const snapshot = snapshotOf({});
  const total = { ...snapshot.total, treatment: { ...snapshot.total.treatment, ...armCounts(counts) } };
  const control = { ...snapshot.total.control, ...armCounts({ successes: 1, failures: 9_999 }) };
  return evaluateStage(
    stages,
    index,
    { ...snapshot, total: { ...total, control }, epochStartedAt: NOW - elapsedMs },
    reviews,
  );
}

describe('evaluateStage', () => {
  it.each([
    ['no outcome', 0, { successes: 0, failures: 0 }, 'collecting', undefined],
    ['one outcome too few', 0, { successes: 99, failures: 0 }, 'collecting', 1],
    ['enough, all good', 0, { successes: 100, failures: 0 }, 'met', 1],
    ['exactly the rate', 0, { successes: 199, failures: 1 }, 'met', 0.995],
    ['just below the rate', 0, { successes: 198, failures: 1 }, 'collecting', 198 / 199],
    ['twice the failures, for long', 0, { successes: 9_900, failures: 100 }, 'missed', 0.99],
    ['the next stage, its own numbers', 1, { successes: 495, failures: 5 }, 'met', 0.99],
  ] as const)('evaluates %s', (_what, index, counts, status, successRate) => {
    expect(progressOf(index, counts)).toMatchObject({ status, successRate, index, stage: stages[index] });
  });

  it('waits for the least time of the stage', () => {
    const counts = { successes: 1_000, failures: 0 };
    expect(progressOf(0, counts, { elapsedMs: HOUR - 1 })).toMatchObject({
      status: 'collecting',
      message: 'The stage at 1 % needs 1 more minute.',
    });
    expect(progressOf(0, counts, { elapsedMs: HOUR })).toMatchObject({ status: 'met' });
  });

  it('is called missed only when an interval that is valid at any time excludes the target', () => {
    const undecided = progressOf(1, { successes: 590, failures: 10 });
    expect(undecided.status).toBe('collecting');
    expect(undecided.message).toMatch(
      /^The stage at 10 % is not decided: 98\.3 % of 600 outcomes succeeded, 99\.0 % needed\. About 400 more outcomes without a failure meet it, about [\d,]+ more as they are show that it is missed\.$/,
    );
    expect(progressOf(1, { successes: 59_000, failures: 1_000 }).status).toBe('missed');
  });

  it('stays missed at this percentage: an operator is not told "missed" and then "met"', () => {
    const snapshot = snapshotOf({ treatment: { successes: 1_000 } });
    expect(evaluateStage(stages, 1, snapshot, [], true).status).toBe('missed');
    expect(evaluateStage(stages, 1, snapshot, [], false).status).toBe('met');
  });

  it.each([
    { healthy: 0.001, stage: { percentage: 1, minOutcomes: 100, minSuccessRate: 0.995 } },
    { healthy: 0.01, stage: { percentage: 10, minOutcomes: 500, minSuccessRate: 0.99 } },
  ])(
    'calls a path that fails $healthy missed in at most 5 % of runs, and finds one that fails twice its target',
    ({ healthy, stage }) => {
      const wasMissed = (rate: number, seed: number): boolean => {
        const random = new Random(seed);
        let [successes, failures] = [0, 0];
        for (let outcome = 1; outcome <= 20_000; outcome++) {
          if (random.chance(rate)) failures += 1;
          else successes += 1;
          if (outcome % 100 > 0) continue;
          const snapshot = snapshotOf({ treatment: { successes, failures } });
          if (evaluateStage([stage], 0, snapshot, []).status === 'missed') return true;
        }
        return false;
      };
      const runs = Array.from({ length: 100 }, (_, run) => run + 1);
      expect(runs.filter((run) => wasMissed(healthy, run)).length).toBeLessThanOrEqual(5);
      const twice = 2 * (1 - stage.minSuccessRate);
      expect(runs.filter((run) => wasMissed(twice, run)).length).toBeGreaterThanOrEqual(95);
    },
  );

  describe('when callers give up', () => {
    const given = (treatment: object, control: object) =>
      evaluateStage(stages, 1, snapshotOf({ treatment, control }), []);

    it('is not met on survivors', () => {
      const lost = given({ successes: 700, aborted: 300 }, { successes: 1_000 });
      expect(lost).toMatchObject({ status: 'blocked', outcomes: 700, successRate: 1 });
      expect(lost.message).toBe(
        "The stage at 10 % counts survivors only: 30.0 % of the treatment's calls were given up by their callers or ended with expected errors, 0.0 % of the control's. Check what happens to these calls.",
      );
      expect(given({ successes: 700, expected: 300 }, { successes: 1_000 }).status).toBe('blocked');
    });

    it('is met where they give up on the control as often, or where it may be chance', () => {
      expect(given({ successes: 700, aborted: 300 }, { successes: 700, aborted: 300 }).status).toBe('met');
      expect(given({ successes: 700, aborted: 2 }, { successes: 700, aborted: 1 }).status).toBe('met');
    });

    it('is met without a control to compare with', () => {
      expect(given({ successes: 700, aborted: 300 }, {}).status).toBe('met');
    });
  });

  it('is blocked while a review is open, however good the numbers', () => {
    const reviews = ['Latency is high.', 'Users complain.'];
    const blocked = progressOf(0, { successes: 1_000, failures: 0 }, { reviews });
    expect(blocked).toMatchObject({ status: 'blocked', outcomes: 1_000 });
    expect(blocked.message).toBe('The stage at 1 % waits for an operator: Latency is high. Users complain.');
  });

  it('names the next step in Unleash, and the end of the rollout', () => {
    expect(progressOf(0, { successes: 100, failures: 0 }).message).toContain(
      'Set the rollout to 10 % in Unleash',
    );
    expect(progressOf(1, { successes: 500, failures: 0 }).message).toContain('the rollout is complete');
  });

  describe('without the data that should have come', () => {
    const half = { successes: 50, failures: 0 };
    const given = (facts: Parameters<typeof snapshotOf>[0], reviews: string[] = []) =>
      evaluateStage(stages, 1, snapshotOf(facts), reviews);
    const exposed = (due: number, unreported: number) => ({ treatment: { due, unreported } });

    it.each([
      ['there was no exposure', given({}), 'collecting'],
      ['the first exposure has no outcome', given({ exposures: exposed(1, 1) }), 'blocked'],
      ['one of them has', given({ exposures: exposed(9, 8) }), 'collecting'],
      ['only later ones have', given({ exposures: exposed(9, 9), treatment: { aborted: 1 } }), 'collecting'],
      [
        'the last outcome came a window ago',
        given({ treatment: half, lastOutcomeAt: NOW - FIVE_MINUTES }),
        'collecting',
      ],
      [
        'the last outcome came longer ago',
        given({ treatment: half, lastOutcomeAt: NOW - FIVE_MINUTES - 1 }),
        'blocked',
      ],
    ])('is blocked or collecting when %s', (_what, { status }, expected) => {
      expect(status).toBe(expected);
    });

    it('names what is missing and what to check', () => {
      expect(given({ exposures: exposed(3, 3) }).message).toBe(
        "The stage at 10 % has no data: none of the treatment's 3 exposures in the last 5 min has an outcome. " +
          'It still needs 500 more outcomes. Check that the new path runs and reports.',
      );
      expect(given({ treatment: half, lastOutcomeAt: NOW - 2 * FIVE_MINUTES }).message).toContain(
        'no outcome of the treatment has come for more than 5 min',
      );
    });

    it('stays met or collecting when a stage has its outcomes', () => {
      const enough = { successes: 500, failures: 0 };
      expect(given({ treatment: enough, lastOutcomeAt: NOW - HOUR })).toMatchObject({ status: 'met' });
      const waiting = snapshotOf({ treatment: enough, lastOutcomeAt: NOW - HOUR });
      expect(evaluateStage(stages, 0, { ...waiting, epochStartedAt: NOW - 1 }, [])).toMatchObject({
        status: 'collecting',
      });
    });

    it('names an open review before missing data', () => {
      expect(given({ exposures: exposed(1, 1) }, ['Latency is high.']).message).toContain('Latency is high.');
    });

    it('is never blocked by silence without a window', () => {
      const silent = { ...snapshotOf({ treatment: half, lastOutcomeAt: NOW - HOUR }), windows: [] };
      expect(evaluateStage(stages, 1, silent, []).status).toBe('collecting');
    });
  });
});
