import { describe, expect, it } from 'vitest';
import { forecastStage } from '../../../src/guard/view/stage-forecast.js';
import {
  buildView,
  changeKeyOf,
  failingOf,
  stepStatuses,
  type ViewFacts,
} from '../../../src/guard/view/view-builder.js';
import { rolloutViewSchema } from '../../../src/model/rollout-view.js';
import type { Verdict } from '../../../src/model/shapes.js';
import type { Evidence, Snapshot } from '../../../src/model/snapshot.js';
import type { StageProgress } from '../../../src/model/stage.js';
import { decision } from '../../notify/events.js';
import { NOW, snapshotOf } from '../../triggers/snapshots.js';

const MINUTE = 60_000;

const verdictOf = (overrides: Partial<Verdict> = {}): Verdict => ({
  trigger: 'failure-regression',
  status: 'ok',
  threshold: 0,
  unit: 'fraction',
  sampleSize: { treatment: 10, control: 10 },
  windowMs: 0,
  message: 'No regression shown.',
  ...overrides,
});

const figures = (e: number, threshold = 100): NonNullable<Verdict['evidence']> => ({
  e,
  threshold,
  alpha: 0.01,
  treatment: { trials: 10, failures: 1 },
  control: { trials: 10, failures: 1 },
  basis: 'units',
  events: 1,
  excluded: 0,
  repeated: 0,
  invalid: 0,
});

const factsOf = (overrides: Partial<ViewFacts> = {}): ViewFacts => ({
  flagKey: 'async-upload',
  project: 'default',
  environment: 'production',
  flagUrl: 'https://unleash.example.com/projects/default/features/async-upload',
  dryRun: false,
  state: { status: 'armed', since: NOW },
  isClosed: false,
  health: { status: 'ok', since: NOW, reasons: [] },
  problems: [],
  tokenExpiresAt: undefined,
  flag: undefined,
  stages: [],
  stage: undefined,
  advance: 'manual',
  rollback: [{ name: 'failure-regression' }],
  review: [{ name: 'latency-above' }],
  verdicts: [],
  statuses: new Map(),
  failing: [],
  openReviews: [],
  controls: { mutes: [] },
  fleet: undefined,
  snapshot: snapshotOf(),
  guardVersion: '0.1.0',
  serviceVersion: undefined,
  ...overrides,
});

const evidenceOf = (view: ReturnType<typeof buildView>) => view.triggers[0]?.evidence;

describe('buildView', () => {
  it('is a document that its readers accept', () => {
    const view = buildView(factsOf({ verdicts: [verdictOf({ evidence: figures(3) })] }));
    expect(rolloutViewSchema.parse(JSON.parse(JSON.stringify(view)))).toEqual(
      JSON.parse(JSON.stringify(view)),
    );
  });

  it('has every trigger, those without a verdict too', () => {
    const { triggers } = buildView(factsOf({ verdicts: [verdictOf({ trigger: 'latency-above' })] }));
    expect(triggers).toMatchObject([
      { name: 'failure-regression', severity: 'rollback', verdict: undefined },
      { name: 'latency-above', severity: 'review', verdict: { status: 'ok' } },
    ]);
  });

  it.each([
    ['none', figures(1), 0],
    ['against a regression', figures(0.001), 0],
    ['half way, by logarithms', figures(10), 0.5],
    ['at its threshold', figures(100), 1],
    ['beyond it', figures(1e300), 1],
  ])('shows evidence that is %s', (_, evidence, share) => {
    const view = buildView(factsOf({ verdicts: [verdictOf({ evidence })] }));
    expect(evidenceOf(view)).toBeCloseTo(share, 10);
  });

  it('shows the evidence of a breach as reached, also when it has fallen again', () => {
    const verdict = verdictOf({ status: 'breach', evidence: figures(2) });
    expect(evidenceOf(buildView(factsOf({ verdicts: [verdict] })))).toBe(1);
  });

  it('shows the evidence beside a limit that is not broken, and none of a point rule', () => {
    const gathered = { trigger: 'failure-regression', logE: 1, logThreshold: 4 } as Evidence;
    const snapshot = snapshotOf({ evidence: [gathered] });
    expect(evidenceOf(buildView(factsOf({ verdicts: [verdictOf()], snapshot })))).toBe(0.25);
    expect(evidenceOf(buildView(factsOf({ verdicts: [verdictOf()] })))).toBeUndefined();
  });

  it('shows since when a trigger has its status', () => {
    const ok = stepStatuses(new Map(), [verdictOf()], 1_000);
    const stillOk = stepStatuses(ok, [verdictOf()], 2_000);
    const breach = stepStatuses(stillOk, [verdictOf({ status: 'breach' })], 3_000);
    const sinceOf = (statuses: ViewFacts['statuses']) =>
      buildView(factsOf({ verdicts: [verdictOf()], statuses })).triggers[0]?.since;
    expect([ok, stillOk, breach].map(sinceOf)).toEqual([1_000, 1_000, 3_000]);
  });

  it('shows where the treatment fails, and after a stop where it failed then', () => {
    const failing = [
      {
        attribute: 'errorType',
        value: '<b>E</b>',
        treatment: { count: 4, of: 5 },
        control: { count: 0, of: 5 },
        others: { count: 0, of: 5 },
      },
    ];
    const failure = (at: number) => ({ at, arm: 'treatment' as const, errorType: 'ECONNRESET' });
    const details: Snapshot['details'] = { failures: [1, 2, 3, 4].map(failure), others: [] };
    const snapshot = snapshotOf({ details });
    expect(failingOf(factsOf({ snapshot }))).toMatchObject([{ value: 'ECONNRESET' }]);
    const decided = decision({ verdicts: [verdictOf({ status: 'breach', failing })] });
    const state = { status: 'stopping', since: NOW, decision: decided } as const;
    expect(failingOf(factsOf({ snapshot, state }))).toEqual(failing);
  });

  it('is complete when the last stage is met', () => {
    const stages = [10, 100].map((percentage) => ({ percentage, minOutcomes: 1, minSuccessRate: 0.9 }));
    const at = (index: number, status: StageProgress['status']) =>
      buildView(factsOf({ stages, stage: progressOf({ index, status }) })).isComplete;
    expect([at(0, 'met'), at(1, 'collecting'), at(1, 'met')]).toEqual([false, false, true]);
  });

  it('reads on without a verdict of which nothing can be made', () => {
    const verdict = {
      trigger: 'failure-regression',
      status: 'ok',
      observed: Number.NaN,
    } as unknown as Verdict;
    const view = buildView(factsOf({ verdicts: [verdict] }));
    const read = rolloutViewSchema.parse(JSON.parse(JSON.stringify(view)));
    expect(read.triggers.map(({ name }) => name)).toEqual(['failure-regression', 'latency-above']);
  });
});

const progressOf = (overrides: Partial<StageProgress> = {}): StageProgress => ({
  stage: { percentage: 10, minOutcomes: 500, minSuccessRate: 0.99 },
  index: 0,
  status: 'collecting',
  outcomes: 312,
  successRate: 1,
  elapsedMs: 60 * MINUTE,
  message: 'What to do.',
  ...overrides,
});

describe('forecastStage', () => {
  const silent = snapshotOf({ lastOutcomeAt: NOW - 1_000 });
  const flowing = (perFiveMinutes: number) =>
    snapshotOf({ treatment: { successes: perFiveMinutes }, lastOutcomeAt: NOW });
  const stage = (minDurationMs?: number, minOutcomes = 500) => ({
    ...progressOf().stage,
    minOutcomes,
    ...(minDurationMs === undefined ? {} : { minDurationMs }),
  });

  it.each<[string, Partial<StageProgress>, Snapshot, string, number | undefined]>([
    ['the present rate', {}, flowing(23), '312 of 500 outcomes, about 41 min at this rate', 188 / (23 / 5)],
    [
      'the rate so far, where few come',
      { outcomes: 60 },
      silent,
      '60 of 500 outcomes, about 7 h at this rate',
      440,
    ],
    [
      'the longer of rate and time',
      { stage: stage(120 * MINUTE) },
      flowing(23),
      '312 of 500 outcomes, 60 min of 2 h, about 60 min left',
      60,
    ],
    ['time alone', { stage: stage(90 * MINUTE, 300) }, flowing(0), '60 min of 90 min, about 30 min left', 30],
    [
      'no outcome yet',
      { outcomes: 0, successRate: undefined },
      snapshotOf(),
      '0 of 500 outcomes, no outcomes at present',
      undefined,
    ],
  ])('goes by %s', (_, progress, snapshot, text, minutes) => {
    const found = forecastStage(progressOf(progress), snapshot);
    expect(found.text).toBe(text);
    if (minutes === undefined) expect(found.remainingMs).toBeUndefined();
    else expect(found.remainingMs! / MINUTE).toBeCloseTo(minutes, 6);
  });

  it('does not say that no outcomes come while it is too early to say how many', () => {
    const progress = progressOf({ elapsedMs: 3_000, outcomes: 1_312, stage: stage(undefined, 2_000) });
    expect(forecastStage(progress, snapshotOf({ lastOutcomeAt: NOW }))).toEqual({
      remainingMs: undefined,
      text: '1,312 of 2,000 outcomes',
    });
  });

  it('promises no end while the success rate would not meet the stage', () => {
    const progress = progressOf({ successRate: 0.9 });
    expect(forecastStage(progress, flowing(23))).toEqual({
      remainingMs: undefined,
      text: `312 of 500 outcomes, 90.0 % succeed, ${progress.stage.minSuccessRate * 100} % needed`,
    });
  });

  it('does not promise an end when outcomes have stopped coming', () => {
    const stopped = snapshotOf({ lastOutcomeAt: NOW - 30 * MINUTE });
    expect(forecastStage(progressOf(), stopped)).toEqual({
      remainingMs: undefined,
      text: '312 of 500 outcomes, no outcomes at present',
    });
  });

  it('does not take the rate from a window of the percentage before', () => {
    const progress = progressOf({ elapsedMs: MINUTE, outcomes: 6 });
    const { remainingMs } = forecastStage(progress, flowing(50_000));
    expect(remainingMs! / MINUTE).toBeCloseTo(494 / 6, 6);
  });

  it.each(['met', 'missed', 'blocked'] as const)('says what to do when the stage is %s', (status) => {
    expect(forecastStage(progressOf({ status }), flowing(10))).toEqual({
      remainingMs: undefined,
      text: 'What to do.',
    });
  });
});

describe('changeKeyOf', () => {
  const view = buildView(factsOf({ stage: progressOf() }));

  it('stays the same while only time passes', () => {
    expect(changeKeyOf({ ...view, at: view.at + 1_000, stageRemainingMs: 1, stageText: 'x' })).toBe(
      changeKeyOf(view),
    );
  });

  it.each<[string, Partial<typeof view>]>([
    ['the state', { state: { status: 'armed', since: NOW + 1 } }],
    ['the health', { health: { status: 'blind', since: NOW, reasons: [] } }],
    ['the percentage', { flag: { enabled: true, percentage: 50 } }],
    ['the stage', { stage: progressOf({ status: 'met' }) }],
    ['the counts', { arms: { ...view.arms, control: { ...view.arms.control, lastOutcomeAt: NOW } } }],
    ['a control', { controls: { hold: { since: NOW, by: 'ada', reason: 'lunch' }, mutes: [] } }],
    ['the end', { isClosed: true }],
  ])('differs with %s', (_, change) => {
    expect(changeKeyOf({ ...view, ...change })).not.toBe(changeKeyOf(view));
  });
});
