import { LatencyHistogram } from '../../src/measure/latency-histogram.js';
import { type RolloutView, VIEW_VERSION } from '../../src/model/rollout-view.js';
import type { ArmCounts, Decision, Verdict } from '../../src/model/shapes.js';
import type { Annotation, RolloutHistory, Rollup, RollupArm } from '../../src/rollups/rollup.js';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** One stretch of a rollout in which nothing changes. */
export interface Stretch {
  readonly lengthMs: number;
  /** 0: the flag is off. */
  readonly percentage: number;
  /** Of the treatment and the control. */
  readonly errorRates: readonly [number, number];
  /** Medians, in milliseconds. */
  readonly medians: readonly [number, number];
  readonly serviceVersion: string;
}

/** A rollout over three weeks at 200 requests a second: 1 %, 10 %, 50 %, and a deploy that breaks the treatment. */
export const THREE_WEEKS: readonly Stretch[] = [
  {
    lengthMs: 3 * DAY_MS,
    percentage: 1,
    errorRates: [0.0041, 0.004],
    medians: [148, 182],
    serviceVersion: '2.3.0',
  },
  {
    lengthMs: 7 * DAY_MS,
    percentage: 10,
    errorRates: [0.0039, 0.004],
    medians: [150, 183],
    serviceVersion: '2.3.0',
  },
  {
    lengthMs: 4 * DAY_MS,
    percentage: 25,
    errorRates: [0.0038, 0.0041],
    medians: [149, 181],
    serviceVersion: '2.4.0',
  },
  {
    lengthMs: 7 * DAY_MS - 3 * HOUR_MS,
    percentage: 50,
    errorRates: [0.004, 0.004],
    medians: [152, 184],
    serviceVersion: '2.4.1',
  },
  {
    lengthMs: 3 * HOUR_MS,
    percentage: 50,
    errorRates: [0.0095, 0.0041],
    medians: [204, 185],
    serviceVersion: '2.5.0',
  },
];

/** Rollups of a rollout that ends now: of minutes within the last day, of ten minutes within the last week, of hours before. */
export function sampleHistory(stretches: readonly Stretch[], now: number, perSecond = 200): RolloutHistory {
  const random = randomFrom(7);
  const rollups: Rollup[] = [];
  const annotations: Annotation[] = [];
  let at = Math.floor((now - stretches.reduce((sum, { lengthMs }) => sum + lengthMs, 0)) / HOUR_MS) * HOUR_MS;
  let [percentage, version] = [0, stretches[0]?.serviceVersion ?? ''];
  for (const [epoch, stretch] of stretches.entries()) {
    if (stretch.percentage !== percentage) {
      percentage = stretch.percentage;
      annotations.push({
        at,
        type: 'percentage',
        title: `${percentage} %`,
        text: `An operator set the rollout to ${percentage} %.`,
        by: 'ada@example.com',
        percentage,
      });
    }
    if (stretch.serviceVersion !== version) {
      version = stretch.serviceVersion;
      annotations.push({ at, type: 'deploy', title: version, text: `Version ${version} of the service.` });
    }
    // The last one lasts up to now.
    const end = epoch === stretches.length - 1 ? now : at + stretch.lengthMs;
    while (at < end) {
      const durationMs = lengthOf(now - at, at);
      // Nights are quieter.
      const busy = 0.65 + 0.35 * Math.sin((2 * Math.PI * (at % DAY_MS)) / DAY_MS - 2);
      const outcomes = (perSecond * busy * Math.min(durationMs, end - at)) / 1_000;
      const arm = (index: 0 | 1, share: number) =>
        sampleArm(
          poisson(outcomes * share, random),
          stretch.errorRates[index],
          stretch.medians[index],
          random,
        );
      rollups.push({
        at,
        durationMs,
        epoch,
        percentage,
        arms: { treatment: arm(0, percentage / 100), control: arm(1, 1 - percentage / 100) },
        triggers: [],
        metrics: sampleMetrics(outcomes * (percentage / 100), outcomes * (1 - percentage / 100), random),
        serviceVersions: [version],
      });
      at += durationMs;
    }
  }
  return { rollups, annotations };
}

/** A share who check out, and what is in their carts. */
function sampleMetrics(treatment: number, control: number, random: () => number): Rollup['metrics'] {
  const arm = (outcomes: number, value: number, spread: number) => {
    const trials = Math.round(outcomes / 40);
    return { trials, sum: trials * (value + spread * (random() - 0.5)) };
  };
  return [
    {
      trigger: 'checkout-completed',
      kind: 'conversion',
      treatment: arm(treatment, 0.29, 0.06),
      control: arm(control, 0.31, 0.04),
    },
    {
      trigger: 'cart-value',
      kind: 'numeric',
      treatment: arm(treatment, 47, 6),
      control: arm(control, 46, 4),
    },
  ];
}

function lengthOf(ageMs: number, at: number): number {
  if (ageMs > 7 * DAY_MS) return HOUR_MS;
  return ageMs > DAY_MS && at % (10 * MINUTE_MS) === 0 ? 10 * MINUTE_MS : MINUTE_MS;
}

/** How many there are where so many are expected. */
function poisson(expected: number, random: () => number): number {
  if (expected > 30) {
    const deviations = 2 * (random() + random() + random() - 1.5);
    return Math.round(expected + deviations * Math.sqrt(expected));
  }
  let count = 0;
  const end = Math.exp(-expected);
  for (let product = random(); product > end; product *= random()) count++;
  return count;
}

function sampleArm(trials: number, errorRate: number, medianMs: number, random: () => number): RollupArm {
  const failures = Math.min(trials, poisson(errorRate * trials, random));
  const histogram = new LatencyHistogram();
  const drawn = Math.min(trials - failures, 160);
  for (let index = 0; index < drawn; index++) {
    histogram.record(medianMs * Math.exp(0.42 * (random() + random() + random() + random() - 2) * 1.73));
  }
  const { sumMs, buckets } = histogram.toSparse();
  const weight = drawn === 0 ? 0 : Math.max(1, Math.round((trials - failures) / drawn));
  return {
    ...sampleCounts(trials - failures, failures),
    userSuccesses: trials,
    unfinished: 0,
    errorTypes: failures === 0 ? [] : [['TimeoutError', failures]],
    latency: { sumMs: sumMs * weight, buckets: buckets.map(([slot, count]) => [slot, count * weight]) },
  };
}

export function sampleCounts(successes: number, failures: number): ArmCounts {
  return {
    successes,
    failures,
    expected: 0,
    aborted: 0,
    critical: 0,
    fallbacks: failures,
    retried: 0,
    complaints: 0,
  };
}

/** A verdict of a limit on the error rate. */
export function sampleVerdict(given: Partial<Verdict> = {}): Verdict {
  return {
    trigger: 'error-rate-above',
    status: 'ok',
    observed: 0.0041,
    threshold: 0.05,
    unit: 'fraction',
    ...(given.unit === undefined && { rate: 'error' as const }),
    sampleSize: { treatment: 30_120, control: 30_480 },
    windowMs: 300_000,
    freshnessMs: 900,
    message: '0.4 % of 30,120 outcomes of the treatment failed in the last 5 min; up to 5 % are tolerated.',
    ...given,
  };
}

export function sampleDecision(given: Partial<Decision> = {}): Decision {
  return {
    id: '5f0c6a3e-9f4b-4a51-8f43-3f7a1c0d9b11',
    flagKey: 'async-upload',
    action: 'stop',
    dryRun: false,
    at: Date.now() - 12 * MINUTE_MS,
    epoch: 4,
    rolloutPercentage: 50,
    verdicts: [sampleVerdict({ status: 'breach', observed: 0.061 })],
    counts: { treatment: sampleCounts(9_390, 610), control: sampleCounts(9_960, 40) },
    reason: '6.1 % of 10,000 outcomes of the treatment failed in the last 5 min; up to 5 % are tolerated.',
    ...given,
  };
}

const STAGES = [
  { percentage: 1, minOutcomes: 100, minSuccessRate: 0.995 },
  { percentage: 10, minOutcomes: 500, minSuccessRate: 0.99 },
  { percentage: 50, minOutcomes: 2_000, minSuccessRate: 0.985, minDurationMs: DAY_MS },
  { percentage: 100, minOutcomes: 5_000, minSuccessRate: 0.98 },
];

/** A rollout at 10 % to which nothing has happened. */
export function sampleView(now: number, given: Partial<RolloutView> = {}): RolloutView {
  return {
    version: VIEW_VERSION,
    at: now,
    flagKey: 'async-upload',
    project: 'default',
    environment: 'production',
    flagUrl: 'https://unleash.example.com/projects/default/features/async-upload',
    dryRun: false,
    state: { status: 'armed', since: now - 7 * DAY_MS },
    isClosed: false,
    health: { status: 'ok', since: now - 7 * DAY_MS, reasons: [] },
    problems: [],
    tokenExpiresAt: now + 61 * DAY_MS,
    flag: { enabled: true, percentage: 10 },
    epoch: 2,
    epochStartedAt: now - 26 * MINUTE_MS,
    stages: STAGES,
    stage: {
      stage: STAGES[1]!,
      index: 1,
      status: 'collecting',
      outcomes: 312,
      successRate: 0.9936,
      elapsedMs: 26 * MINUTE_MS,
      message: '188 more outcomes at 10 % are needed.',
    },
    stageRemainingMs: 40 * MINUTE_MS,
    advance: 'manual',
    isComplete: false,
    arms: {
      treatment: {
        counts: sampleCounts(310, 2),
        p50Ms: 151,
        p95Ms: 298,
        p99Ms: 402,
        errorTypes: [{ errorType: 'TimeoutError', count: 2 }],
        lastOutcomeAt: now - 900,
      },
      control: {
        counts: sampleCounts(2_796, 12),
        p50Ms: 184,
        p95Ms: 352,
        p99Ms: 489,
        errorTypes: [
          { errorType: 'TimeoutError', count: 9 },
          { errorType: 'ECONNRESET', count: 3 },
        ],
        lastOutcomeAt: now - 200,
      },
    },
    triggers: [
      {
        name: 'success-rate-below',
        severity: 'rollback',
        since: now - 7 * DAY_MS,
        evidence: 0.04,
        verdict: sampleVerdict({
          trigger: 'success-rate-below',
          observed: 0.9936,
          threshold: 0.95,
          rate: 'success',
          message: '99.4 % of 312 outcomes of the treatment succeeded; at least 95 % are required.',
        }),
      },
      {
        name: 'failure-regression',
        severity: 'rollback',
        since: now - 20 * MINUTE_MS,
        evidence: 0.31,
        verdict: sampleVerdict({
          trigger: 'failure-regression',
          observed: 1.5,
          threshold: 2,
          unit: 'ratio',
          message:
            'Units of the treatment have a first failure 1.5 times as often as those of the control: not beyond chance.',
          evidence: {
            e: 10.6,
            threshold: 2_000,
            alpha: 0.0005,
            treatment: { trials: 298, failures: 2 },
            control: { trials: 2_611, failures: 12 },
            basis: 'units',
            events: 14,
            excluded: 0,
            repeated: 3,
            invalid: 0,
          },
        }),
      },
      {
        name: 'memory-growth',
        severity: 'rollback',
        since: now - 60_000,
        verdict: sampleVerdict({
          trigger: 'memory-growth',
          observed: 1.04,
          threshold: 1.2,
          unit: 'ratio',
          message: 'This process uses 1.04 times its baseline of 182.4 MiB; up to 1.2 times is tolerated.',
        }),
      },
      {
        name: 'latency-above',
        severity: 'review',
        since: now - 3 * HOUR_MS,
        verdict: sampleVerdict({
          trigger: 'latency-above',
          observed: 0.847,
          threshold: 1.2,
          unit: 'ratio',
          message:
            "The treatment's p95 is 298 ms, 0.85 times the control's 352 ms; up to 1.2 times is tolerated.",
        }),
      },
      {
        name: 'complaint-rate',
        severity: 'review',
        since: now - 3 * HOUR_MS,
        verdict: sampleVerdict({
          trigger: 'complaint-rate',
          status: 'insufficient-data',
          observed: undefined,
          threshold: 3,
          unit: 'count',
          message: 'Nobody has complained yet.',
        }),
      },
    ],
    failing: [],
    openReviews: [],
    controls: { mutes: [] },
    guardVersion: '0.1.0',
    serviceVersion: '2.5.0',
    ...given,
  };
}

/** The same numbers in every run: Lehmer's generator. */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 48_271) % 2_147_483_647;
    return state / 2_147_483_647;
  };
}
