import type { Exposure, Outcome } from '../../model/shapes.js';
import type { RolloutEvidenceState } from '../../statistics/evidence-state.js';
import { hash32 } from '../../statistics/hash.js';
import type { LatencySources } from '../../statistics/latency-events.js';
import { RolloutEvidence, type SettledOutcome, type TestSpec } from '../../statistics/rollout-evidence.js';
import type { MetricDump } from '../metrics/metric-delta.js';
import { type MetricEvent, MetricFeed, type MetricProblem } from '../metrics/metric-feed.js';
import type { MetricTally } from '../metrics/metric-sums.js';
import type { EvidenceDelta } from '../outcome-delta.js';
import { PendingExposures, type TimeLimits } from './pending-exposures.js';
import { outcomeOfEntry, type SettledEntry, SettledSample } from './settled-sample.js';
import { SettledWindow } from './settled-window.js';

/** The part of {@link EvidenceFeed} for what an application tracks. */
export type MetricEvents = Pick<EvidenceFeed, 'track' | 'metricDueAt' | 'metricEvents'>;

interface EvidenceFeedOptions {
  readonly flagKey: string;
  readonly specs: readonly TestSpec[];
  readonly windowsMs: readonly number[];
  readonly latency: LatencySources;
  readonly limits: TimeLimits;
}

/** Complaints that one delta carries at most. */
const MAX_COMPLAINTS_SENT = 256;
/** Outcomes of other processes that wait to be fed, about 10 MB. */
const MAX_REMOTE = 65_536;

/**
 * Feeds the sequential tests of a rollout: limits at once, everything that compares arms in the order of exposures. Collects
 * what the next delta carries of it, and feeds what other processes sent when it has settled in all of them.
 */
export class EvidenceFeed {
  readonly #options: EvidenceFeedOptions;
  /** Settled outcomes within each sliding window. */
  readonly windows: readonly SettledWindow[];
  readonly #pending: PendingExposures;
  readonly #sample = new SettledSample();
  #evidence: RolloutEvidence;
  #complaints: EvidenceDelta['complaints'][number][] = [];
  /** From other processes, until everything that was exposed before has settled in all of them. */
  #remote: SettledEntry[] = [];
  /** Everything that was exposed before has settled in all processes. */
  #settledUpTo = Number.NEGATIVE_INFINITY;
  readonly #hash: (unit: string) => number;
  readonly #metrics: MetricFeed;
  readonly #metricOf = (trigger: string) => this.#evidence.metric(trigger);
  #activity = 0;

  constructor(options: EvidenceFeedOptions) {
    this.#options = options;
    this.windows = options.windowsMs.map((windowMs) => new SettledWindow(windowMs));
    this.#pending = new PendingExposures(options.limits);
    this.#evidence = this.#emptyEvidence();
    this.#hash = unitHasher(options.flagKey);
    this.#metrics = new MetricFeed(options.specs, this.#hash);
  }

  /** Of the rollout: it goes on through all percentages. */
  get evidence(): RolloutEvidence {
    return this.#evidence;
  }

  /** Raised by everything that is recorded here, and by what settles. */
  get activity(): number {
    return this.#activity + this.#metrics.activity;
  }

  /** The names of the events that metrics are made of. */
  get metricEvents(): ReadonlySet<string> {
    return this.#metrics.events;
  }

  /** When the time of the next unit for a metric is over; undefined when none is open. */
  get metricDueAt(): number | undefined {
    return this.#metrics.dueAt;
  }

  /** When the oldest exposure here was made that has not settled; undefined when all have. */
  get openSince(): number | undefined {
    return this.#pending.openSince;
  }

  /** Awaits the outcome of an exposure. */
  open(exposure: Exposure): void {
    this.#activity++;
    if (this.#pending.isFull) this.settle(exposure.at);
    const [unit, chance] = [this.#unitOf(exposure), chanceOf(exposure)];
    this.#pending.open(exposure, unit, chance);
    if (!this.#metrics.isUsed) return;
    const { targetingKey, arm, at } = exposure;
    this.#metrics.open(unit, targetingKey, arm === 'treatment', chance, at);
  }

  withdraw(exposure: Exposure): void {
    this.#activity++;
    this.#pending.withdraw(exposure);
  }

  lost(durationMs: number): void {
    this.#pending.lost(durationMs);
  }

  /** @returns the hash of the outcome's unit; 0 when each outcome is a unit of its own. */
  record(outcome: Outcome, at: number): number {
    this.#activity++;
    const { exposure, result } = outcome;
    const unit = this.#pending.unitOf(exposure) ?? this.#unitOf(exposure);
    this.#pending.end(outcome, unit, chanceOf(exposure), at);
    const failed = result === 'failure';
    if (exposure.arm === 'treatment' && (failed || result === 'success')) {
      this.#evidence.outcome(unit, failed, at);
    }
    this.settle(at);
    return unit;
  }

  complaint(exposure: Exposure, at: number): void {
    this.#activity++;
    const unit = this.#unitOf(exposure);
    const chance = chanceOf(exposure);
    const treated = exposure.arm === 'treatment';
    this.#evidence.complaint(unit, treated, chance, at);
    if (this.#complaints.length < MAX_COMPLAINTS_SENT) {
      this.#complaints.push([unit, at, chance, treated ? 1 : 0]);
    }
  }

  /** An event of the application's own. @returns what was wrong with it, for each trigger that could not use it. */
  track(event: MetricEvent, at: number): readonly MetricProblem[] {
    return this.#metrics.track(event, at, this.#metricOf);
  }

  /** Feeds the tests with what has settled here by `now`. */
  settle(now: number): void {
    this.#pending.settle(now, this.#onSettled);
    this.#metrics.settle(now, this.#metricOf);
  }

  /** What the tests of metrics were fed with since the previous call. */
  takeMetricTallies(): MetricTally[] {
    return this.#metrics.takeTallies();
  }

  /**
   * Everything that was exposed before has settled in all processes whose deltas are merged here.
   * @returns whether that has fed the tests.
   */
  settleUpTo(time: number): boolean {
    this.#settledUpTo = Math.max(this.#settledUpTo, time);
    const isFed = this.#metrics.settleUpTo(this.#settledUpTo, this.#metricOf);
    return this.#settleRemote(0) || isFed;
  }

  /** For {@link restore}. */
  contents() {
    return {
      evidence: this.#evidence.toJSON(),
      /** What other processes sent and waits until everything before it has settled in all of them. */
      waiting: this.#remote,
      metrics: this.#metrics.contents(),
    };
  }

  /** @param continues - The rollout goes on at another percentage; otherwise a new one begins. */
  beginEpoch(at: number, continues: boolean): void {
    this.#evidence.beginEpoch(at);
    this.#metrics.beginEpoch(continues);
    if (continues) return;
    this.#evidence = this.#emptyEvidence();
    this.#pending.clear();
    this.#sample.clear();
    this.#complaints = [];
    this.#remote = [];
  }

  takeDelta(): EvidenceDelta {
    const { entries, dropped } = this.#sample.take();
    const complaints = this.#complaints;
    this.#complaints = [];
    const metrics = this.#metrics.takeDelta();
    return { settled: entries, dropped, limits: this.#evidence.takeLimitChanges(), complaints, metrics };
  }

  merge({ settled, limits, complaints, metrics }: EvidenceDelta, now: number): void {
    this.#evidence.mergeLimits(limits, now);
    for (const [unit, at, chance, treated] of complaints) {
      this.#evidence.complaint(unit, treated === 1, chance, at);
    }
    this.#metrics.merge(metrics, this.#metricOf);
    this.#remote.push(...settled);
    if (this.#remote.length > MAX_REMOTE) this.#settleRemote(MAX_REMOTE / 2);
  }

  /** Continues from the state of an earlier run. An invalid one is of no use: the tests then begin anew. */
  restore(
    state: RolloutEvidenceState | undefined,
    waiting: readonly SettledEntry[],
    metrics: readonly MetricDump[],
  ): void {
    this.#remote.push(...waiting);
    this.#metrics.restore(metrics);
    if (state === undefined) return;
    const restored = this.#emptyEvidence();
    try {
      if (restored.restore(state)) this.#evidence = restored;
    } catch {
      // The counts are kept.
    }
  }

  readonly #onSettled = (outcome: SettledOutcome): void => {
    // What has settled by itself is to be sent, too.
    this.#activity++;
    for (const window of this.windows) window.add(outcome);
    this.#evidence.settled(outcome);
    this.#sample.add(outcome);
  };

  /**
   * @param atLeast - So many of the oldest are fed however that may be.
   * @returns whether any was.
   */
  #settleRemote(atLeast: number): boolean {
    if (this.#remote.length === 0) return false;
    this.#remote.sort((a, b) => a[1] - b[1]);
    const first = this.#remote.findIndex(([, at]) => at > this.#settledUpTo);
    const settled = this.#remote.splice(0, first < 0 ? this.#remote.length : Math.max(first, atLeast));
    for (const entry of settled) this.#evidence.settled(outcomeOfEntry(entry));
    return settled.length > 0;
  }

  #emptyEvidence(): RolloutEvidence {
    return new RolloutEvidence(this.#options.specs, this.#options.latency);
  }

  #unitOf({ unit, unitHash }: Exposure): number {
    return unitHash ?? (unit === undefined || unit === '' ? 0 : this.#hash(unit));
  }
}

/** Hashes units: the same for a flag in each process and each run, so that they all name a unit alike. */
export function unitHasher(flagKey: string): (unit: string) => number {
  const seed = hash32(flagKey, 0);
  return (unit) => hash32(unit, seed) >>> 0;
}

/** The chance of an exposure; 1 for the treatment at 100 %, 0 where chance did not decide or is unknown. */
function chanceOf({ chance, reason, arm }: Exposure): number {
  // Anything else, which a provider of the application's own may give, would make a delta that no leader accepts.
  if (chance !== undefined) return chance > 0 && chance <= 1 ? chance : 0;
  return reason === 'STATIC' && arm === 'treatment' ? 1 : 0;
}
