import type { RolloutView } from '../../src/model/rollout-view.js';
import type { Decision } from '../../src/model/shapes.js';
import type { Annotation } from '../../src/rollups/rollup.js';
import { sampleCounts, sampleDecision, sampleVerdict, sampleView } from './dashboard-samples.js';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** The control has nothing to fall back to. */
const controlCounts = (successes: number, failures: number) => ({
  ...sampleCounts(successes, failures),
  fallbacks: 0,
});

/** What a team may have on its dashboard: rollouts in different states, for pictures. */
export function sampleRollouts(now: number): {
  readonly running: RolloutView;
  readonly stopped: RolloutView;
  readonly others: readonly RolloutView[];
  readonly decision: Decision;
  readonly annotations: readonly Annotation[];
} {
  const plain = sampleView(now);
  const regression = sampleVerdict({
    trigger: 'failure-regression',
    status: 'breach',
    observed: 2.34,
    threshold: 1.5,
    unit: 'ratio',
    sampleSize: { treatment: 51_204, control: 51_377 },
    message:
      'Users of the treatment have a first failure 2.34 times as often as those of the control; up to 1.5 times is tolerated.',
    evidence: {
      e: 21_400,
      threshold: 2_000,
      alpha: 0.0005,
      since: now - 180 * MINUTE_MS,
      treatment: { trials: 51_204, failures: 486 },
      control: { trials: 51_377, failures: 211 },
      basis: 'units',
      events: 697,
      excluded: 0,
      repeated: 83,
      invalid: 0,
    },
    failing: [
      {
        attribute: 'content_type',
        value: 'text/csv',
        treatment: { count: 402, of: 486 },
        control: { count: 31, of: 211 },
        others: { count: 140, of: 1_000 },
      },
      {
        attribute: 'errorType',
        value: 'StorageTimeoutError',
        treatment: { count: 377, of: 486 },
        control: { count: 18, of: 211 },
        others: { count: 0, of: 0 },
      },
    ],
  });
  const errorTypes = {
    treatment: [
      { errorType: 'StorageTimeoutError', count: 377 },
      { errorType: 'ECONNRESET', count: 71 },
      { errorType: 'HTTP_503', count: 38 },
    ],
    control: [
      { errorType: 'ECONNRESET', count: 118 },
      { errorType: 'HTTP_503', count: 75 },
      { errorType: 'StorageTimeoutError', count: 18 },
    ],
  };
  const decision = sampleDecision({
    flagKey: 'checkout-v2',
    at: now - 12 * MINUTE_MS,
    verdicts: [regression],
    counts: { treatment: sampleCounts(50_718, 486), control: controlCounts(51_166, 211) },
    errorTypes,
    reason: regression.message,
  });
  const arms: RolloutView['arms'] = {
    treatment: {
      ...plain.arms.treatment,
      counts: decision.counts.treatment,
      p50Ms: 204,
      p95Ms: 402,
      p99Ms: 524,
      errorTypes: errorTypes.treatment,
    },
    control: {
      ...plain.arms.control,
      counts: decision.counts.control,
      errorTypes: errorTypes.control,
    },
  };
  const fleet: RolloutView['fleet'] = {
    processes: [
      {
        instance: 'upload-7d9c-x2k4p',
        role: 'leader',
        version: '0.1.0',
        serviceVersion: '2.5.0',
        sameRules: true,
        lastHeardAt: now,
      },
      {
        instance: 'upload-7d9c-8fj2m',
        role: 'follower',
        version: '0.1.0',
        serviceVersion: '2.5.0',
        sameRules: true,
        lastHeardAt: now - 800,
      },
      {
        instance: 'upload-7d9c-qq71z',
        role: 'follower',
        version: '0.1.0',
        serviceVersion: '2.5.0',
        sameRules: true,
        lastHeardAt: now - 1_900,
      },
    ],
    groups: [{ version: '0.1.0', serviceVersion: '2.5.0', sameRules: true, processes: 3 }],
  };
  const half = { ...plain.stages[2]!, minOutcomes: 6_000_000 };
  const running = {
    ...plain,
    fleet,
    flag: { enabled: true, percentage: 50 },
    epochStartedAt: now - 19 * HOUR_MS,
    stages: plain.stages.map((stage, index) => (index === 2 ? half : stage)),
    stage: {
      stage: half,
      index: 2,
      status: 'collecting' as const,
      outcomes: 5_112_204,
      successRate: 0.996,
      elapsedMs: 19 * HOUR_MS,
      message: '887,796 more outcomes and 5 h at 50 % are needed.',
    },
    stageRemainingMs: 5 * HOUR_MS,
    advance: 'automatic' as const,
    arms: {
      treatment: { ...plain.arms.treatment, counts: sampleCounts(5_091_755, 20_449) },
      control: { ...plain.arms.control, counts: controlCounts(5_088_911, 20_960) },
    },
  };
  const stopped: RolloutView = {
    ...plain,
    flagKey: 'checkout-v2',
    fleet,
    state: { status: 'stopped', since: decision.at + 412, decision, confirmedBy: 'read-back', seenOff: true },
    flag: { enabled: false, percentage: 50 },
    stage: undefined,
    stageRemainingMs: undefined,
    epochStartedAt: now - 7 * DAY_MS,
    arms,
    failing: regression.failing!,
    triggers: plain.triggers.map((trigger) =>
      trigger.name === 'failure-regression'
        ? { ...trigger, since: decision.at, evidence: 1, verdict: regression }
        : trigger,
    ),
  };
  const others = [
    { ...plain, flagKey: 'search-ranking', flag: { enabled: true, percentage: 1 } },
    {
      ...plain,
      flagKey: 'thumbnail-service',
      openReviews: [
        {
          trigger: 'latency-above',
          openedAt: now - 30 * MINUTE_MS,
          percentage: 10,
          verdict: sampleVerdict(),
        },
      ],
    },
    {
      ...plain,
      flagKey: 'new-billing',
      flag: { enabled: false },
      stage: undefined,
      stageRemainingMs: undefined,
    },
  ];
  const annotations: Annotation[] = [
    {
      at: now - 15 * DAY_MS,
      type: 'stage',
      title: 'stage 1 % met',
      text: '100 of 100 outcomes, 99.6 % of them succeeded.',
    },
    {
      at: now - 8.9 * DAY_MS,
      type: 'review',
      title: 'review: latency-above',
      text: "The treatment's p95 was 1.31 times the control's.",
    },
    {
      at: now - 8.4 * DAY_MS,
      type: 'control',
      title: 'acknowledged latency-above',
      text: 'A slow disk, replaced.',
      by: 'ada@example.com',
    },
    { at: now - 4.6 * DAY_MS, type: 'health', title: 'blind', text: 'No flags from Unleash for 90 s.' },
    { at: decision.at, type: 'decision', title: 'stopped', text: decision.reason, decisionId: decision.id },
  ];
  return { running, stopped, others, decision, annotations };
}
