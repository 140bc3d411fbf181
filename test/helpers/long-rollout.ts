import { AuditLog } from '../../src/journal/audit-log.js';
import { ViewFile } from '../../src/journal/view-file.js';
import { LatencyHistogram } from '../../src/measure/latency-histogram.js';
import type { GuardEvent } from '../../src/model/event.js';
import type { RolloutView } from '../../src/model/rollout-view.js';
import type { Arm, Verdict } from '../../src/model/shapes.js';
import type { RollupArm } from '../../src/rollups/rollup.js';
import { RollupBook } from '../../src/rollups/rollup-book.js';
import { RollupFiles } from '../../src/rollups/rollup-files.js';
import { successRateBelow } from '../../src/triggers/success-rate-below.js';
import { viewOf } from './views.js';

const MINUTE = 60_000;
const DAY = 1_440 * MINUTE;
export const LONG_START = Date.UTC(2026, 2, 2, 8);

interface LongRollout {
  readonly days: number;
  readonly perSecond: number;
  /** How long the treatment fails before the stop. @default 3 % of all days */
  readonly failingMs?: number;
  readonly flagKey?: string;
  readonly errorTypes?: readonly string[];
}

/**
 * Leaves the folder of a guard that has watched a rollout for days, at 1 %, 10 % and 50 %, with a review at 10 %, and that stopped the flag in
 * the end. What is counted per minute is made up; everything is written by the guard's own parts.
 */
export async function longRollout(
  folder: string,
  options: LongRollout,
): Promise<{ endedAt: number; outcomes: number }> {
  const {
    days,
    perSecond,
    failingMs = 0.03 * days * DAY,
    flagKey = 'async-upload',
    errorTypes = ['TimeoutError', 'ECONNRESET', 'StorageError'],
  } = options;
  const files = new RollupFiles(folder, flagKey, {}, () => {});
  await files.open();
  const book = new RollupBook();
  const length = days * DAY;
  const steps = [
    { at: LONG_START, percentage: 1 },
    { at: LONG_START + 0.15 * length, percentage: 10 },
    { at: LONG_START + 0.55 * length, percentage: 50 },
  ];
  const endedAt = LONG_START + length;
  const failingFrom = endedAt - failingMs;
  let outcomes = 0;
  for (let minute = 0; minute * MINUTE < length; minute++) {
    const at = LONG_START + minute * MINUTE;
    const epoch = steps.filter((step) => step.at <= at).length;
    const { percentage } = steps[epoch - 1]!;
    // Few come at night.
    const all = perSecond * 60 * (0.35 + 0.65 * Math.sin(((at % DAY) / DAY) * Math.PI) ** 2);
    const unhappy = Math.abs(at - (LONG_START + 0.3 * length)) < 0.02 * length ? 0.026 : 0.004;
    const rate = { treatment: at >= failingFrom ? 0.11 : unhappy, control: 0.006 };
    const share = { treatment: percentage / 100, control: 1 - percentage / 100 };
    const armOf = (arm: Arm) =>
      armAt(minute, Math.round(all * share[arm]), rate[arm], arm === 'treatment' ? 420 : 640, errorTypes);
    const arms = { treatment: armOf('treatment'), control: armOf('control') };
    outcomes +=
      arms.treatment.successes + arms.treatment.failures + arms.control.successes + arms.control.failures;
    book.add({
      at,
      durationMs: MINUTE,
      epoch,
      percentage,
      arms,
      triggers: [],
      serviceVersions: [minute * MINUTE < length / 2 ? '1.4.0' : '1.5.0'],
    });
    if (minute % 500 === 0) await write(files, book);
  }
  const events = eventsOf(steps, length, endedAt, flagKey);
  for (const event of events) book.mark(event);
  await write(files, book);
  const log = new AuditLog(folder, flagKey);
  for (const event of events) log.append(event);
  await log.close();
  await new ViewFile(folder).save(longView(flagKey, endedAt, events));
  return { endedAt, outcomes };
}

async function write(files: RollupFiles, book: RollupBook): Promise<void> {
  const { pending } = book;
  await files.write({ book: book.toState(), pending });
  book.written(pending);
}

function armAt(
  minute: number,
  trials: number,
  rate: number,
  medianMs: number,
  errorTypes: readonly string[],
): RollupArm {
  // The golden ratio spreads the remainders of small numbers evenly over the minutes.
  const failures = Math.min(trials, Math.floor(trials * rate + ((minute * 0.618_033_988_7) % 1)));
  const successes = trials - failures;
  const latency = new LatencyHistogram();
  const sparse: [number, number][] = [];
  for (const factor of [0.5, 0.7, 0.9, 1, 1.1, 1.4, 2, 3.2]) latency.record(medianMs * factor);
  const { buckets } = latency.toSparse();
  for (const [slot] of buckets) sparse.push([slot, Math.floor(successes / buckets.length)]);
  return {
    successes,
    failures,
    expected: 0,
    aborted: 0,
    critical: 0,
    fallbacks: failures,
    retried: 0,
    complaints: 0,
    userSuccesses: successes + failures,
    unfinished: 0,
    errorTypes: errorTypes
      .map((errorType, index) => [errorType, Math.floor(failures / (index + 1) / errorTypes.length)] as const)
      .filter(([, count]) => count > 0),
    latency: { sumMs: successes * medianMs * 1.2, buckets: sparse },
  };
}

function eventsOf(
  steps: readonly { at: number; percentage: number }[],
  length: number,
  endedAt: number,
  flagKey: string,
): GuardEvent[] {
  const verdict = (trigger: string, observed: number, threshold: number): Verdict => ({
    trigger,
    status: 'breach',
    observed,
    threshold,
    unit: 'fraction',
    rate: 'success',
    sampleSize: { treatment: 4_210, control: 4_180 },
    windowMs: 300_000,
    freshnessMs: 400,
    message:
      `The treatment's success rate is ${(observed * 100).toFixed(1)} % (${Math.round(observed * 4_210)} of 4210 in the last 5 min), ` +
      `below ${threshold * 100} %, while the control of the same minutes fails 0.6 % (25 of 4180).`,
    failing: [
      {
        attribute: 'provider',
        value: 's3-eu',
        treatment: { count: 212, of: 256 },
        control: { count: 11, of: 64 },
        others: { count: 60, of: 256 },
      },
    ],
  });
  const counts = {
    successes: 900_000,
    failures: 30_000,
    expected: 12,
    aborted: 4,
    critical: 0,
    fallbacks: 30_000,
    retried: 120,
    complaints: 0,
  };
  const review = LONG_START + 0.285 * length;
  const breach = verdict('success-rate-below', 0.889, 0.95);
  const decision = {
    id: 'decision-1',
    flagKey,
    action: 'stop' as const,
    dryRun: false,
    at: endedAt - 1_000,
    epoch: 3,
    rolloutPercentage: 50,
    verdicts: [breach],
    counts: { treatment: counts, control: { ...counts, failures: 5_000, fallbacks: 0 } },
    reason: breach.message,
  };
  const stage = (index: number, at: number, status: 'collecting' | 'met', outcomes: number): GuardEvent => ({
    type: 'stage',
    at,
    epoch: index + 1,
    progress: {
      stage: {
        percentage: [1, 10, 50][index]!,
        minOutcomes: [100, 500, 2_000][index]!,
        minSuccessRate: [0.995, 0.99, 0.985][index]!,
      },
      index,
      status,
      outcomes,
      successRate: 0.996,
      elapsedMs: 60_000,
      message: status === 'met' ? 'Ready for the next percentage.' : 'It has not enough outcomes yet.',
    },
  });
  const events: GuardEvent[] = [
    { type: 'started', at: LONG_START, epoch: 1, status: 'armed' },
    ...steps.map(({ at, percentage }, index) => ({
      type: 'rollout-changed' as const,
      at,
      epoch: index + 1,
      enabled: true,
      rolloutPercentage: percentage,
    })),
    stage(0, LONG_START + 60_000, 'collecting', 3),
    stage(0, LONG_START + 0.1 * length, 'met', 41_000),
    stage(1, steps[1]!.at + 60_000, 'collecting', 20),
    { type: 'review-opened', at: review, epoch: 2, verdict: verdict('success-rate-between', 0.974, 0.985) },
    {
      type: 'review-closed',
      at: review + 0.05 * length,
      epoch: 2,
      verdict: verdict('success-rate-between', 0.991, 0.985),
    },
    stage(1, LONG_START + 0.5 * length, 'met', 812_000),
    stage(2, steps[2]!.at + 60_000, 'collecting', 800),
    { type: 'decided', at: decision.at, decision },
    { type: 'stopped', at: endedAt, decisionId: decision.id, confirmedBy: 'read-back' },
  ];
  return events.sort((a, b) => a.at - b.at);
}

function longView(flagKey: string, at: number, events: readonly GuardEvent[]): RolloutView {
  const decided = events.find((event) => event.type === 'decided');
  const trigger = successRateBelow(0.95);
  return viewOf({
    at,
    flagKey,
    state: {
      status: 'stopped',
      since: at,
      decision: decided!.decision,
      confirmedBy: 'read-back',
      seenOff: true,
    },
    triggers: [
      {
        name: trigger.name,
        severity: 'rollback',
        since: at - 60_000,
        verdict: decided!.decision.verdicts[0],
      },
      { name: 'failure-regression', severity: 'rollback', since: at - 90_000, evidence: 0.62 },
    ],
    epoch: 3,
  });
}
