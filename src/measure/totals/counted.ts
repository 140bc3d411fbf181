import { ARMS, type Arm, type Outcome } from '../../model/shapes.js';
import { COUNTS_LENGTH, type CountCode, raiseCounts } from '../arm-counts.js';
import { ErrorCounts } from '../error-counts.js';
import { isDuration, LatencyHistogram } from '../latency-histogram.js';
import type { CountedDelta } from '../outcome-delta.js';

/** Counts, latencies and error types of both arms. Latencies are those of successes. */
export class Counted {
  readonly counts: Float64Array = new Float64Array(COUNTS_LENGTH);
  readonly latency: Readonly<Record<Arm, LatencyHistogram>> = {
    treatment: new LatencyHistogram(),
    control: new LatencyHistogram(),
  };
  readonly errors: Readonly<Record<Arm, ErrorCounts>> = {
    treatment: new ErrorCounts(),
    control: new ErrorCounts(),
  };
  /** Outcomes whose duration was NaN, infinite or negative. */
  invalidDurations = 0;

  /** Folds in one outcome; `code` is the counts that it raises. */
  add({ exposure, result, errorType, durationMs }: Outcome, code: CountCode): void {
    raiseCounts(this.counts, 0, code);
    const treated = exposure.arm === 'treatment';
    if (result === 'failure') {
      (treated ? this.errors.treatment : this.errors.control).add(errorType ?? 'unknown');
    }
    if (durationMs === undefined) return;
    const latency = treated ? this.latency.treatment : this.latency.control;
    const valid = result === 'success' ? latency.record(durationMs) : isDuration(durationMs);
    if (!valid) this.invalidDurations += 1;
  }

  /** Counts a complaint; `code` is that of its arm. */
  addComplaint(code: CountCode): void {
    raiseCounts(this.counts, 0, code);
  }

  /** @param marks - For whose owners this is nothing new. */
  addDelta(delta: CountedDelta, marks: readonly CountedMark[] = []): void {
    for (const sum of [this, ...marks]) {
      for (let field = 0; field < COUNTS_LENGTH; field++) sum.counts[field]! += delta.counts[field] ?? 0;
      for (const arm of ARMS) sum.latency[arm].addSparse(delta.latency[arm]);
      sum.invalidDurations += delta.invalidDurations;
    }
    for (const arm of ARMS) {
      for (const [errorType, count] of delta.errorTypes[arm]) {
        const key = this.errors[arm].add(errorType, count);
        for (const { errors } of marks) errors[arm].set(key, (errors[arm].get(key) ?? 0) + count);
      }
    }
  }

  /** What was counted since the previous call with this mark. */
  takeSince(mark: CountedMark): CountedDelta {
    const counts = Array.from(this.counts, (count, field) => count - mark.counts[field]!);
    const invalidDurations = this.invalidDurations - mark.invalidDurations;
    mark.counts.set(this.counts);
    mark.invalidDurations = this.invalidDurations;
    const latencyOf = (arm: Arm) => {
      const changes = this.latency[arm].toSparse(mark.latency[arm]);
      mark.latency[arm].addSparse(changes);
      return changes;
    };
    return {
      counts,
      latency: { treatment: latencyOf('treatment'), control: latencyOf('control') },
      errorTypes: {
        treatment: this.errors.treatment.takeSince(mark.errors.treatment),
        control: this.errors.control.takeSince(mark.errors.control),
      },
      invalidDurations,
    };
  }

  /** Everything. */
  contents(): CountedDelta {
    return {
      counts: Array.from(this.counts),
      latency: { treatment: this.latency.treatment.toSparse(), control: this.latency.control.toSparse() },
      errorTypes: { treatment: this.errors.treatment.pairs(), control: this.errors.control.pairs() },
      invalidDurations: this.invalidDurations,
    };
  }

  get isEmpty(): boolean {
    return this.counts.every((count) => count === 0);
  }

  clear(): void {
    this.counts.fill(0);
    this.invalidDurations = 0;
    for (const arm of ARMS) {
      this.latency[arm].clear();
      this.errors[arm].clear();
    }
  }
}

/** What of {@link Counted} one reader has taken already. */
export class CountedMark {
  readonly counts: Float64Array = new Float64Array(COUNTS_LENGTH);
  readonly latency: Readonly<Record<Arm, LatencyHistogram>> = {
    treatment: new LatencyHistogram(),
    control: new LatencyHistogram(),
  };
  readonly errors: Readonly<Record<Arm, Map<string, number>>> = {
    treatment: new Map(),
    control: new Map(),
  };
  invalidDurations = 0;

  clear(): void {
    this.counts.fill(0);
    this.invalidDurations = 0;
    for (const arm of ARMS) {
      this.latency[arm].clear();
      this.errors[arm].clear();
    }
  }
}
