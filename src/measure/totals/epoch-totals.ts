import type { LatencySummary } from '../../model/baseline.js';
import { ARMS, type Arm, type Outcome } from '../../model/shapes.js';
import type { ArmTotals } from '../../model/snapshot.js';
import { armCounts, type CountCode } from '../arm-counts.js';
import type { LatencyHistogram } from '../latency-histogram.js';
import type { MetricTally } from '../metrics/metric-sums.js';
import type { CountedDelta, OutcomeDelta } from '../outcome-delta.js';
import { Counted, CountedMark } from './counted.js';
import { type OutcomeTally, tallyOf, type Unfinished } from './outcome-tally.js';

/** The part of a delta that concerns the totals. */
type TotalsDelta = CountedDelta & Pick<OutcomeDelta, 'lastOutcomeAt'>;

/** Who knows already what is added. */
interface RemoteOptions {
  /** It is in an earlier tally. @default false */
  readonly isTallied?: boolean | undefined;
}

/**
 * What happened since the epoch began. Latencies are those of successes: a failure that comes at once would make the
 * arm look fast, and the duration of a timeout is the limit itself.
 *
 * It also keeps what no epoch's totals have: late outcomes of earlier epochs, for deltas and tallies, and, for the next tally, what an
 * epoch counted that has ended since the last one.
 */
export class EpochTotals {
  readonly #counted = new Counted();
  readonly #lastOutcomeAt: Record<Arm, number | undefined> = { treatment: undefined, control: undefined };
  /** The part that `takeChanges` has returned, or that came from elsewhere. */
  readonly #sent = new CountedMark();
  /** The part that `takeTally` has returned, or that an earlier run has tallied. */
  readonly #tallied = new CountedMark();
  /** Late outcomes that `takeChanges` has not returned. */
  readonly #late = new Counted();
  /** For the next tally, beside what the epoch has counted. */
  readonly #rest = new Counted();
  #unfinished: Unfinished = { treatment: 0, control: 0 };
  /** Of the outcomes here that no tally has. */
  #firstAt: number | undefined;
  #lastAt: number | undefined;

  /** The durations of successes, by arm; the same objects in every epoch. */
  get latency(): Readonly<Record<Arm, LatencyHistogram>> {
    return this.#counted.latency;
  }

  /** Outcomes whose duration was NaN, infinite or negative. */
  get invalidDurations(): number {
    return this.#counted.invalidDurations;
  }

  /** Folds in one outcome that ended at `at`; `code` is the counts that it raises. */
  add(outcome: Outcome, code: CountCode, at: number): void {
    this.#counted.add(outcome, code);
    const { arm } = outcome.exposure;
    const last = arm === 'treatment' ? this.#lastOutcomeAt.treatment : this.#lastOutcomeAt.control;
    if (last === undefined || at > last) {
      if (arm === 'treatment') this.#lastOutcomeAt.treatment = at;
      else this.#lastOutcomeAt.control = at;
    }
    this.#firstAt ??= at;
    this.#lastAt = at;
  }

  /** An outcome of an earlier epoch. */
  addLate(outcome: Outcome, code: CountCode, at: number): void {
    this.#late.add(outcome, code);
    this.#rest.add(outcome, code);
    this.#firstAt ??= at;
    this.#lastAt = at;
  }

  /** Counts a complaint; `code` is that of its arm. */
  addComplaint(code: CountCode): void {
    this.#counted.addComplaint(code);
  }

  addLateComplaint(code: CountCode): void {
    this.#late.addComplaint(code);
    this.#rest.addComplaint(code);
  }

  /** Folds in what another process recorded; times later than `now` are those of a clock that is ahead. */
  addRemote(delta: TotalsDelta, now: number, { isTallied = false }: RemoteOptions = {}): void {
    this.#counted.addDelta(delta, isTallied ? [this.#sent, this.#tallied] : [this.#sent]);
    for (const arm of ARMS) {
      const at = delta.lastOutcomeAt[arm];
      if (at === undefined) continue;
      const possibleAt = Math.min(at, now);
      this.#lastOutcomeAt[arm] = Math.max(this.#lastOutcomeAt[arm] ?? possibleAt, possibleAt);
    }
  }

  /** What another process recorded late. */
  addRemoteLate(delta: CountedDelta): void {
    this.#rest.addDelta(delta);
  }

  /** Exposures that became due without an outcome. */
  addUnfinished({ treatment, control }: Unfinished): void {
    this.#unfinished = {
      treatment: this.#unfinished.treatment + treatment,
      control: this.#unfinished.control + control,
    };
  }

  /** What was recorded here since the previous call. */
  takeChanges(): TotalsDelta & { readonly late: CountedDelta | undefined } {
    const late = this.#late.isEmpty ? undefined : this.#late.contents();
    if (late !== undefined) this.#late.clear();
    return { ...this.#counted.takeSince(this.#sent), lastOutcomeAt: { ...this.#lastOutcomeAt }, late };
  }

  /** Everything that was counted since the previous call, in whatever epoch; undefined when nothing was. */
  takeTally(metrics: readonly MetricTally[]): OutcomeTally | undefined {
    this.#keepUntallied();
    const unfinished = this.#unfinished;
    const hasCounted =
      !this.#rest.isEmpty || unfinished.treatment > 0 || unfinished.control > 0 || metrics.length > 0;
    const tally = hasCounted
      ? tallyOf(this.#rest, unfinished, this.#firstAt, this.#lastAt, metrics)
      : undefined;
    this.#rest.clear();
    this.#unfinished = { treatment: 0, control: 0 };
    this.#firstAt = undefined;
    this.#lastAt = undefined;
    return tally;
  }

  /** All counts, those from elsewhere included. */
  contents(): TotalsDelta {
    return { ...this.#counted.contents(), lastOutcomeAt: { ...this.#lastOutcomeAt } };
  }

  /** The totals of one arm. */
  snapshot(arm: Arm): ArmTotals {
    const { latency, errors } = this.#counted;
    const counts = armCounts(this.#counted.counts, arm);
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
      latency: summaryOf(latency[arm]),
      errorTypes: errors[arm].sorted(),
      lastOutcomeAt: this.#lastOutcomeAt[arm],
    };
  }

  /** Begins at zero; the next tally has what was counted before all the same. */
  clear(): void {
    this.#keepUntallied();
    this.#counted.clear();
    this.#sent.clear();
    this.#tallied.clear();
    this.#lastOutcomeAt.treatment = undefined;
    this.#lastOutcomeAt.control = undefined;
  }

  #keepUntallied(): void {
    this.#rest.addDelta(this.#counted.takeSince(this.#tallied));
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
