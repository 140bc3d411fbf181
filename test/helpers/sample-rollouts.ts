import type { RolloutView } from '../../src/model/rollout-view.js';
import type { Arm, ArmCounts, Decision } from '../../src/model/shapes.js';
import type { Annotation, RolloutHistory } from '../../src/rollups/rollup.js';
import { formatSpan } from '../../src/support/wording.js';
import {
  type Stretch,
  sampleCounts,
  sampleDecision,
  sampleHistory,
  sampleVerdict,
  sampleView,
} from './dashboard-samples.js';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** The control has nothing to fall back to. */
const controlCounts = (successes: number, failures: number) => ({
  ...sampleCounts(successes, failures),
  fallbacks: 0,
});

const CALM = { errorRates: [0.004, 0.004], medians: [150, 183] } as const;

/** Without trouble, and at 50 % for most of a day. */
const HEALTHY: readonly Stretch[] = [
  { ...CALM, lengthMs: 3 * DAY_MS, percentage: 1, serviceVersion: '2.3.0' },
  { ...CALM, lengthMs: 7 * DAY_MS, percentage: 10, serviceVersion: '2.3.0' },
  { ...CALM, lengthMs: 10 * DAY_MS, percentage: 10, serviceVersion: '2.4.0' },
  { ...CALM, lengthMs: 19 * HOUR_MS, percentage: 50, serviceVersion: '2.5.0' },
];

/** At 50 %, it needs more of its storage than that can do. */
const FAILING: readonly Stretch[] = [
  ...HEALTHY.slice(0, 3),
  {
    lengthMs: 3 * HOUR_MS,
    percentage: 50,
    errorRates: [0.0095, 0.0041],
    medians: [204, 185],
    serviceVersion: '2.5.0',
  },
];

/** What both arms have counted since the percentage last changed. */
function sinceLastStep({ rollups }: RolloutHistory) {
  const { epoch } = rollups.at(-1)!;
  const last = rollups.filter((rollup) => rollup.epoch === epoch);
  const sum = (arm: Arm, what: 'successes' | 'failures') =>
    last.reduce((total, { arms }) => total + arms[arm][what], 0);
  return {
    startedAt: last[0]!.at,
    treatment: sampleCounts(sum('treatment', 'successes'), sum('treatment', 'failures')),
    control: controlCounts(sum('control', 'successes'), sum('control', 'failures')),
  };
}

const trialsOf = ({ successes, failures }: ArmCounts) => successes + failures;

/** How many failures of each type, by their shares; the last type has the rest. */
function typesOf(failures: number, shares: readonly (readonly [errorType: string, share: number])[]) {
  let rest = failures;
  return shares.map(([errorType, share], index) => {
    const count = index === shares.length - 1 ? rest : Math.round(failures * share);
    rest -= count;
    return { errorType, count };
  });
}

/** What a team may have on its dashboard: rollouts in different states, for pictures. */
export function sampleRollouts(now: number): {
  readonly running: RolloutView;
  readonly stopped: RolloutView;
  /** Of all but the one that was stopped. */
  readonly healthy: RolloutHistory;
  readonly failing: RolloutHistory;
  readonly others: readonly RolloutView[];
  readonly decision: Decision;
  readonly annotations: readonly Annotation[];
} {
  const plain = sampleView(now);
  const decidedAt = now - 12 * MINUTE_MS;
  const healthy = sampleHistory(HEALTHY, now);
  const failing = sampleHistory(FAILING, decidedAt, 20);
  const calm = sinceLastStep(healthy);
  const broken = sinceLastStep(failing);
  const counts = { treatment: broken.treatment, control: broken.control };
  const trials = { treatment: trialsOf(counts.treatment), control: trialsOf(counts.control) };
  const failures = { treatment: counts.treatment.failures, control: counts.control.failures };
  const times = failures.treatment / trials.treatment / (failures.control / trials.control);
  const errorTypes = {
    treatment: typesOf(failures.treatment, [
      ['StorageTimeoutError', 0.78],
      ['ECONNRESET', 0.14],
      ['HTTP_503', 0.08],
    ]),
    control: typesOf(failures.control, [
      ['ECONNRESET', 0.56],
      ['HTTP_503', 0.35],
      ['StorageTimeoutError', 0.09],
    ]),
  };
  const ofFailures = (treatment: number, control: number) => ({
    treatment: { count: treatment, of: failures.treatment },
    control: { count: control, of: failures.control },
  });
  const regression = sampleVerdict({
    trigger: 'failure-regression',
    status: 'breach',
    observed: times,
    threshold: 1.5,
    unit: 'ratio',
    sampleSize: trials,
    windowMs: 0,
    message: `Users of the treatment have a first failure ${times.toFixed(2)} times as often as those of the control; up to 1.5 times is tolerated.`,
    evidence: {
      e: 2_140,
      threshold: 2_000,
      alpha: 0.0005,
      since: broken.startedAt,
      // Of 83 users, a second outcome is left out.
      treatment: { trials: trials.treatment - 41, failures: failures.treatment },
      control: { trials: trials.control - 42, failures: failures.control },
      basis: 'units',
      events: failures.treatment + failures.control,
      excluded: 0,
      repeated: 83,
      invalid: 0,
    },
    failing: [
      {
        attribute: 'content_type',
        value: 'text/csv',
        ...ofFailures(Math.round(failures.treatment * 0.83), Math.round(failures.control * 0.15)),
        others: { count: 140, of: 1_000 },
      },
      {
        attribute: 'errorType',
        value: 'StorageTimeoutError',
        ...ofFailures(errorTypes.treatment[0]!.count, errorTypes.control[2]!.count),
        others: { count: 0, of: 0 },
      },
    ],
  });
  const decision = sampleDecision({
    flagKey: 'checkout-v2',
    at: decidedAt,
    verdicts: [regression],
    counts,
    errorTypes,
    reason: regression.message,
  });
  const arms: RolloutView['arms'] = {
    treatment: {
      ...plain.arms.treatment,
      counts: counts.treatment,
      p50Ms: 204,
      p95Ms: 402,
      p99Ms: 524,
      errorTypes: errorTypes.treatment,
    },
    control: {
      ...plain.arms.control,
      counts: counts.control,
      errorTypes: errorTypes.control,
    },
  };
  const success = counts.treatment.successes / trials.treatment;
  const slower = arms.treatment.p95Ms! / arms.control.p95Ms!;
  const observed: Readonly<Record<string, Partial<RolloutView['triggers'][number]>>> = {
    'failure-regression': { since: decidedAt, evidence: 1, verdict: regression },
    'success-rate-below': {
      verdict: sampleVerdict({
        trigger: 'success-rate-below',
        observed: success,
        threshold: 0.95,
        rate: 'success',
        sampleSize: trials,
        message: `${(success * 100).toFixed(1)} % of ${trials.treatment.toLocaleString('en')} outcomes of the treatment succeeded; at least 95 % are required.`,
      }),
    },
    'latency-above': {
      verdict: sampleVerdict({
        trigger: 'latency-above',
        observed: slower,
        threshold: 1.2,
        unit: 'ratio',
        message: `The treatment's p95 is ${arms.treatment.p95Ms} ms, ${slower.toFixed(2)} times the control's ${arms.control.p95Ms} ms; up to 1.2 times is tolerated.`,
      }),
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
  const outcomes = trialsOf(calm.treatment);
  const half = { ...plain.stages[2]!, minOutcomes: Math.ceil((1.1 * outcomes) / 100_000) * 100_000 };
  const elapsedMs = now - calm.startedAt;
  const remainingMs = DAY_MS - elapsedMs;
  const running = {
    ...plain,
    fleet,
    flag: { enabled: true, percentage: 50 },
    epochStartedAt: calm.startedAt,
    stages: plain.stages.map((stage, index) => (index === 2 ? half : stage)),
    stage: {
      stage: half,
      index: 2,
      status: 'collecting' as const,
      outcomes,
      successRate: calm.treatment.successes / outcomes,
      elapsedMs,
      message: `${(half.minOutcomes - outcomes).toLocaleString('en')} more outcomes and ${formatSpan(remainingMs)} at 50 % are needed.`,
    },
    stageRemainingMs: remainingMs,
    advance: 'automatic' as const,
    arms: {
      treatment: { ...plain.arms.treatment, counts: calm.treatment },
      control: { ...plain.arms.control, counts: calm.control },
    },
  };
  const stopped: RolloutView = {
    ...plain,
    flagKey: 'checkout-v2',
    fleet,
    state: { status: 'stopped', since: decidedAt + 412, decision, confirmedBy: 'read-back', seenOff: true },
    flag: { enabled: false, percentage: 50 },
    stage: undefined,
    stageRemainingMs: undefined,
    epochStartedAt: broken.startedAt,
    arms,
    failing: regression.failing!,
    triggers: plain.triggers.map((trigger) => ({ ...trigger, ...observed[trigger.name] })),
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
      at: now - 18 * DAY_MS,
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
  return { running, stopped, others, healthy, failing, decision, annotations };
}
