import type { LatencySummary } from '../model/baseline.js';
import type { Arm, Outcome } from '../model/shapes.js';
import type { ArmTotals } from '../model/snapshot.js';
import { armCounts, COUNTS_LENGTH, type CountCode, raiseCounts } from './arm-counts.js';
import { ErrorCounts } from './error-counts.js';
import { isDuration, LatencyHistogram } from './latency-histogram.js';
import type { OutcomeDelta } from './outcome-delta.js';

/** The part of a delta that concerns the totals. */
type TotalsDelta = Pick<
  OutcomeDelta,
  'counts' | 'latency' | 'errorTypes' | 'lastOutcomeAt' | 'invalidDurations'
>;

/**
 * What happened since the epoch began. Latencies are those of successes: a failure that comes at once would make the
 * arm look fast, and the duration of a timeout is the limit itself.
 */
export class EpochTotals {
  readonly #counts = new Float64Array(COUNTS_LENGTH);
  readonly #arms: Readonly<Record<Arm, ArmDetails>> = {
    treatment: new ArmDetails(),
    control: new ArmDetails(),
  };
  /** The part that `takeChanges` has returned, or that came from elsewhere. */
  readonly #takenCounts = new Float64Array(COUNTS_LENGTH);
  #invalidDurations = 0;
  #takenInvalidDurations = 0;

  /** The durations of successes, by arm; the same objects in every epoch. */
  get latency(): Readonly<Record<Arm, LatencyHistogram>> {
    return { treatment: this.#arms.treatment.latency, control: this.#arms.control.latency };
  }

  /** Outcomes whose duration was NaN, infinite or negative. */
  get invalidDurations(): number {
    return this.#invalidDurations;
  }

  /** Folds in one outcome that ended at `at`; `code` is the counts that it raises. */
  add(outcome: Outcome, code: CountCode, at: number): void {
    raiseCounts(this.#counts, 0, code);
    const arm = outcome.exposure.arm === 'treatment' ? this.#arms.treatment : this.#arms.control;
    if (arm.lastOutcomeAt === undefined || at > arm.lastOutcomeAt) arm.lastOutcomeAt = at;
    if (outcome.result === 'failure') arm.errors.add(outcome.errorType ?? 'unknown');
    const { durationMs } = outcome;
    if (durationMs === undefined) return;
    const valid = outcome.result === 'success' ? arm.latency.record(durationMs) : isDuration(durationMs);
    if (!valid) this.#invalidDurations += 1;
  }

  /** Counts a complaint; `code` is that of its arm. */
  addComplaint(code: CountCode): void {
    raiseCounts(this.#counts, 0, code);
  }

  /** Folds in what another process recorded; times later than `now` are those of a clock that is ahead. */
  addRemote(delta: TotalsDelta, now: number): void {
    for (let field = 0; field < COUNTS_LENGTH; field++) {
      this.#counts[field]! += delta.counts[field] ?? 0;
      this.#takenCounts[field]! += delta.counts[field] ?? 0;
    }
    this.#invalidDurations += delta.invalidDurations;
    this.#takenInvalidDurations += delta.invalidDurations;
    this.#arms.treatment.addRemote(delta, 'treatment', now);
    this.#arms.control.addRemote(delta, 'control', now);
  }

  /** What was recorded here since the previous call. */
  takeChanges(): TotalsDelta {
    const { treatment, control } = this.#arms;
    const counts = Array.from(this.#counts, (count, field) => count - this.#takenCounts[field]!);
    const invalidDurations = this.#invalidDurations - this.#takenInvalidDurations;
    this.#takenCounts.set(this.#counts);
    this.#takenInvalidDurations = this.#invalidDurations;
    return {
      counts,
      latency: { treatment: treatment.takeLatency(), control: control.takeLatency() },
      errorTypes: { treatment: treatment.errors.takeChanges(), control: control.errors.takeChanges() },
      lastOutcomeAt: { treatment: treatment.lastOutcomeAt, control: control.lastOutcomeAt },
      invalidDurations,
    };
  }

  /** All counts, those from elsewhere included. */
  contents(): TotalsDelta {
    const { treatment, control } = this.#arms;
    return {
      counts: Array.from(this.#counts),
      latency: { treatment: treatment.latency.toSparse(), control: control.latency.toSparse() },
      errorTypes: { treatment: treatment.errors.pairs(), control: control.errors.pairs() },
      lastOutcomeAt: { treatment: treatment.lastOutcomeAt, control: control.lastOutcomeAt },
      invalidDurations: this.#invalidDurations,
    };
  }

  /** The totals of one arm. */
  snapshot(arm: Arm): ArmTotals {
    const { latency, errors, lastOutcomeAt } = this.#arms[arm];
    const counts = armCounts(this.#counts, arm);
    const { successes, failures, expected, aborted, critical, fallbacks, retried, complaints } = counts;
    // Field by field: a spread would cost ten times as much as all the rest, and the guard evaluates after every outcome.
    return {
      successes,
      failures,
      expected,
      aborted,
      critical,
      fallbacks,
      retried,
      complaints,
      latency: summaryOf(latency),
      errorTypes: errors.sorted(),
      lastOutcomeAt,
    };
  }

  /** Begins at zero. */
  clear(): void {
    this.#counts.fill(0);
    this.#takenCounts.fill(0);
    this.#invalidDurations = 0;
    this.#takenInvalidDurations = 0;
    this.#arms.treatment.clear();
    this.#arms.control.clear();
  }
}

/** What is kept of one arm beside its counts. */
class ArmDetails {
  readonly latency = new LatencyHistogram();
  readonly #takenLatency = new LatencyHistogram();
  readonly errors = new ErrorCounts();
  lastOutcomeAt: number | undefined;

  addRemote(delta: TotalsDelta, arm: Arm, now: number): void {
    this.latency.addSparse(delta.latency[arm]);
    this.#takenLatency.addSparse(delta.latency[arm]);
    for (const [errorType, count] of delta.errorTypes[arm]) this.errors.addRemote(errorType, count);
    const at = delta.lastOutcomeAt[arm];
    if (at === undefined) return;
    const possibleAt = Math.min(at, now);
    this.lastOutcomeAt = Math.max(this.lastOutcomeAt ?? possibleAt, possibleAt);
  }

  takeLatency(): ReturnType<LatencyHistogram['toSparse']> {
    const changes = this.latency.toSparse(this.#takenLatency);
    this.#takenLatency.addSparse(changes);
    return changes;
  }

  clear(): void {
    this.latency.clear();
    this.#takenLatency.clear();
    this.errors.clear();
    this.lastOutcomeAt = undefined;
  }
}

function summaryOf(latency: LatencyHistogram): LatencySummary | undefined {
  const meanMs = latency.meanMs;
  if (meanMs === undefined) return undefined;
  return {
    count: latency.count,
    meanMs,
    p50Ms: latency.quantile(0.5)!,
    p95Ms: latency.quantile(0.95)!,
    p99Ms: latency.quantile(0.99)!,
  };
}
