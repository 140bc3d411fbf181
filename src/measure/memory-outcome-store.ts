import type { Baseline } from '../model/baseline.js';
import type { Exposure, Outcome } from '../model/shapes.js';
import type { Snapshot, WindowSnapshot } from '../model/snapshot.js';
import type { TestSpec } from '../statistics/rollout-evidence.js';
import { defer } from '../support/data/defer.js';
import { armCounts, complaintCode, countCode } from './arm-counts.js';
import { DetailRing } from './detail-ring.js';
import { EvidenceFeed, type MetricEvents } from './evidence/evidence-feed.js';
import { ExposureRing } from './exposure-ring.js';
import { MemoryBaseline } from './memory-baseline.js';
import { MemoryWindow } from './memory-window.js';
import { DELTA_VERSION, isEmptyDelta, type OutcomeDelta, type StoreDump } from './outcome-delta.js';
import { RecentTreatment } from './recent-treatment.js';
import { SlidingWindow } from './sliding-window.js';
import type { TimeRing } from './time-ring.js';
import { EpochTotals } from './totals/epoch-totals.js';
import { LastCritical } from './totals/last-critical.js';
import type { OutcomeTally } from './totals/outcome-tally.js';

interface MemoryOutcomeStoreOptions {
  readonly flagKey: string;
  /** The lengths of the sliding windows to keep, in milliseconds; duplicates count once, and 0 is skipped. */
  readonly windowsMs: readonly number[];
  /** Triggers; those with a sequential test get its evidence with each snapshot. @default none */
  readonly evidenceFor?: readonly TestSpec[] | undefined;
  /** When the first epoch (number 0) starts, in milliseconds since 1970. @default the present */
  readonly now?: number | undefined;
  /** An exposure without an outcome counts as unreported after this time, in milliseconds. @default 60_000 */
  readonly outcomeTimeoutMs?: number | undefined;
  /** The time limit of operations, in milliseconds. @default 30_000 */
  readonly operationTimeoutMs?: number | undefined;
}

/**
 * Adds outcomes up in this process. Memory is fixed for each window length (10 KB, in a fleet 20 KB), arm (64 KB) and error type, and
 * does not grow with outcomes or messages. What is open needs 38 bytes each, at most 10 MB; units with an event are remembered for the
 * sequential tests (see {@link RolloutEvidence}).
 */
export class MemoryOutcomeStore {
  readonly #flagKey: string;
  readonly #windows: readonly SlidingWindow[];
  readonly #memoryWindows: readonly MemoryWindow[];
  readonly #memoryBaseline = new MemoryBaseline();
  readonly #totals = new EpochTotals();
  readonly #exposures: ExposureRing;
  readonly #rings: readonly TimeRing[];
  readonly #longestWindowMs: number;
  readonly #feed: EvidenceFeed;
  readonly #recent = new RecentTreatment();
  readonly #details = new DetailRing();
  #epoch = 0;
  #epochStartedAt: number;
  /** Outcomes of earlier epochs are dropped. */
  #oldestEpoch = Number.NEGATIVE_INFINITY;
  readonly #lastCritical = new LastCritical();
  /** Whether an outcome came since the last memory sample. */
  #workedSinceSample = false;
  #baseline: Baseline | undefined;
  /** The latest known time: that of an outcome without a valid one. */
  #lastSeenAt: number;

  constructor(options: MemoryOutcomeStoreOptions) {
    const lengths = [...new Set(options.windowsMs)].filter((length) => length > 0).sort((a, b) => a - b);
    this.#flagKey = options.flagKey;
    this.#windows = lengths.map((windowMs) => new SlidingWindow(windowMs));
    this.#memoryWindows = lengths.map((windowMs) => new MemoryWindow(windowMs));
    this.#longestWindowMs = lengths.at(-1) ?? 0;
    const { outcomeTimeoutMs = 60_000, operationTimeoutMs = 30_000 } = options;
    this.#exposures = new ExposureRing(outcomeTimeoutMs, this.#longestWindowMs);
    this.#feed = new EvidenceFeed({
      flagKey: options.flagKey,
      specs: options.evidenceFor ?? [],
      windowsMs: lengths,
      latency: this.#totals.latency,
      limits: { operationMs: operationTimeoutMs, reportMs: outcomeTimeoutMs },
    });
    this.#rings = [...this.#windows, ...this.#feed.windows, ...this.#memoryWindows, this.#exposures];
    this.#epochStartedAt = options.now ?? Date.now();
    this.#lastSeenAt = this.#epochStartedAt;
  }

  /** When the oldest exposure here was made that has not settled; undefined when all have. */
  get openSince(): number | undefined {
    return this.#feed.openSince;
  }

  /** What the application tracks for metrics of its own. */
  get metrics(): MetricEvents {
    return this.#feed;
  }

  /** Changes with everything that is recorded here: while it stays and nothing is open, there is no delta to take. */
  get activity(): number {
    return this.#feed.activity;
  }

  /** Rises whenever a {@link dump} changes; undefined while time alone may change one: something is open, or not due yet. */
  dumpActivity(now: number): number | undefined {
    const openSince = this.openSince ?? this.#feed.metricDueAt;
    return openSince !== undefined || this.#exposures.hasUndue(now) ? undefined : this.activity + this.#epoch;
  }

  /** Notes that an outcome is awaited for this exposure. Touches memory only; runs within every evaluation. */
  expose(exposure: Exposure): void {
    if (exposure.epoch < this.#oldestEpoch) return;
    this.#exposures.open(exposure);
    this.#feed.open(exposure);
  }

  /** Notes that no outcome is awaited any more for an exposure without one. */
  withdraw(exposure: Exposure): void {
    if (exposure.epoch < this.#oldestEpoch) return;
    this.#exposures.complete(exposure);
    this.#feed.withdraw(exposure);
  }

  /** The process did not run for so long, in milliseconds: what is open could not end in that time. */
  lost(durationMs: number): void {
    this.#feed.lost(durationMs);
  }

  /**
   * Adds an outcome: memory only, no allocation kept. An outcome of an epoch before the last
   * `beginEpoch(…, { keepWindows: false })` counts in the next tally only; one of an earlier epoch otherwise in the windows too.
   */
  record(outcome: Outcome): void {
    const { epoch, arm } = outcome.exposure;
    if (Number.isFinite(outcome.at)) this.#lastSeenAt = outcome.at;
    const at = this.#lastSeenAt;
    const code = countCode(outcome);
    if (epoch < this.#epoch) this.#totals.addLate(outcome, code, at);
    if (epoch < this.#oldestEpoch) return;
    this.#exposures.complete(outcome.exposure);
    this.#workedSinceSample = true;
    for (const window of this.#windows) window.add(code, at);
    const unit = this.#feed.record(outcome, at);
    this.#details.add(outcome, unit, at);
    if (arm === 'treatment' && (outcome.result === 'failure' || outcome.result === 'success')) {
      this.#recent.add(unit, outcome.result === 'failure', at);
    }
    if (outcome.critical && arm === 'treatment') this.#lastCritical.set(outcome.errorType ?? 'unknown', at);
    if (epoch >= this.#epoch) this.#totals.add(outcome, code, at);
  }

  /** Counts a complaint, at `at`, of the user of this exposure. It counts in the windows and totals in which an outcome would. */
  recordComplaint(exposure: Exposure, at: number): void {
    const { epoch, arm } = exposure;
    const code = complaintCode(arm);
    if (epoch === this.#epoch) this.#totals.addComplaint(code);
    else this.#totals.addLateComplaint(code);
    if (epoch < this.#oldestEpoch) return;
    this.#feed.complaint(exposure, at);
    for (const window of this.#windows) window.add(code, at);
  }

  /** Adds a sample of this process's memory, in bytes. A sample that is no positive number is left out. */
  recordMemory(bytes: number, at: number): void {
    if (!(bytes > 0 && Number.isFinite(bytes) && Number.isFinite(at))) return;
    this.#memoryBaseline.add(bytes, at, this.#workedSinceSample);
    this.#workedSinceSample = false;
    for (const window of this.#memoryWindows) window.add(bytes, at);
  }

  /** Sets the baseline of an earlier time; its memory, if there is one, replaces that of this process's first samples. */
  setBaseline(baseline: Baseline): void {
    this.#baseline = baseline;
    if (baseline.memory !== undefined) this.#memoryBaseline.set(baseline.memory.bytes);
  }

  /** The state at `now`: windows have expired up to it. */
  snapshot(now: number): Snapshot {
    this.#lastSeenAt = now;
    this.#advance(now);
    const snapshot = {
      flagKey: this.#flagKey,
      at: now,
      epoch: this.#epoch,
      epochStartedAt: this.#epochStartedAt,
      windows: this.#windows.map((window, index) => this.#windowSnapshot(window, index, now)),
      total: { treatment: this.#totals.snapshot('treatment'), control: this.#totals.snapshot('control') },
      lastCritical: this.#lastCritical.since(now - this.#longestWindowMs),
      invalidDurations: this.#totals.invalidDurations,
      evidence: this.#feed.evidence.snapshot(),
      blame: this.#feed.evidence.blame,
      recent: this.#recent.outcomes(now),
      details: undefined as Snapshot['details'],
      baseline: this.#baseline,
    };
    defer(snapshot, 'details', () => this.#details.contents());
    return snapshot;
  }

  /**
   * Starts an epoch: totals begin at zero, and the control so far is frozen. Without `keepWindows` a new rollout begins: the evidence and
   * the windows are emptied too.
   */
  beginEpoch(epoch: number, at: number, { keepWindows }: { readonly keepWindows: boolean }): void {
    this.#epoch = epoch;
    this.#epochStartedAt = at;
    this.#totals.clear();
    if (!keepWindows) this.#totals.addUnfinished(this.#exposures.takeUnfinished(at));
    this.#feed.beginEpoch(at, keepWindows);
    if (keepWindows) return;
    this.#oldestEpoch = epoch;
    this.#lastCritical.clear();
    this.#recent.clear();
    this.#details.clear();
    for (const ring of this.#rings) ring.clear();
  }

  /**
   * What was recorded here since the previous call; undefined when nothing was. Call it before `beginEpoch`: totals and
   * evidence of the epoch before are in no later delta.
   */
  takeDelta(now: number): OutcomeDelta | undefined {
    this.#advance(now);
    const changes: OutcomeDelta = {
      ...this.#identity,
      windows: this.#windows.map((window, index) => ({
        windowMs: window.windowMs,
        buckets: window.takeChanges(),
        settled: this.#feed.windows[index]!.takeChanges(),
      })),
      exposures: { bucketMs: this.#exposures.bucketMs, buckets: this.#exposures.takeChanges() },
      ...this.#totals.takeChanges(),
      lastCritical: this.#lastCritical.take(),
      recent: this.#recent.takeChanges(),
      details: this.#details.takeChanges(),
      evidence: this.#feed.takeDelta(),
    };
    return isEmptyDelta(changes) ? undefined : changes;
  }

  /**
   * Everything that was counted here and merged since the previous call, in whatever epoch; undefined when nothing was. What a
   * restart has restored is in it no more.
   */
  takeTally(now: number): OutcomeTally | undefined {
    this.#totals.addUnfinished(this.#exposures.takeUnfinished(now));
    return this.#totals.takeTally(this.#feed.takeMetricTallies());
  }

  /**
   * Adds what another process recorded. A late delta, of an earlier epoch, counts where an outcome of that epoch that
   * is recorded here would: in the windows, the exposures, the evidence and as the last critical error, not in totals.
   * Windows of lengths that this store does not keep are left out.
   *
   * @returns `false`, and nothing is added, when the delta is of another flag or version, or of an epoch that has not begun here.
   * One of an epoch before the last `beginEpoch(…, { keepWindows: false })` counts in the next tally only.
   */
  merge(delta: OutcomeDelta, now: number): boolean {
    if (delta.version !== DELTA_VERSION || delta.flagKey !== this.#flagKey) return false;
    if (delta.epoch > this.#epoch) return false;
    if (delta.late !== undefined) this.#totals.addRemoteLate(delta.late);
    if (delta.epoch < this.#epoch && delta.isRepeated !== true) this.#totals.addRemoteLate(delta);
    if (delta.epoch < this.#oldestEpoch) return false;
    for (const { windowMs, buckets, settled } of delta.windows) {
      const index = this.#windows.findIndex((candidate) => candidate.windowMs === windowMs);
      const window = this.#windows[index];
      if (window === undefined) continue;
      window.addRemote(buckets, window.bucketMs, now);
      this.#feed.windows[index]!.addRemote(settled, window.bucketMs, now);
    }
    this.#exposures.addRemote(delta.exposures.buckets, delta.exposures.bucketMs, now);
    if (delta.lastCritical !== undefined) this.#lastCritical.merge(delta.lastCritical, now);
    this.#recent.addRemote(delta.recent);
    this.#details.addRemote(delta.details);
    if (delta.evidence !== undefined) this.#feed.merge(delta.evidence, now);
    // As with an outcome of an earlier epoch that is recorded here.
    if (delta.epoch === this.#epoch) this.#totals.addRemote(delta, now, { isTallied: delta.isRepeated });
    return true;
  }

  /** Everything that was exposed before has settled in all merged processes. @returns whether that has fed the tests. */
  settleUpTo(time: number): boolean {
    return this.#feed.settleUpTo(time);
  }

  /** The whole state, for {@link restore}: without memory samples, which belong to one process, and what is open. */
  dump(now: number): StoreDump {
    this.#advance(now);
    return {
      epochStartedAt: this.#epochStartedAt,
      oldestEpoch: Number.isFinite(this.#oldestEpoch) ? this.#oldestEpoch : undefined,
      contents: {
        ...this.#identity,
        windows: this.#windows.map((window, index) => ({
          windowMs: window.windowMs,
          buckets: window.contents(),
          settled: this.#feed.windows[index]!.contents(),
        })),
        exposures: { bucketMs: this.#exposures.bucketMs, buckets: this.#exposures.dueBuckets(now) },
        ...this.#totals.contents(),
        lastCritical: this.#lastCritical.latest,
        recent: this.#recent.contents(),
        details: this.#details.contents(),
      },
      ...this.#feed.contents(),
    };
  }

  /**
   * Adds the state of an earlier run to this one. Call it in that run's epoch, before anything is recorded. Evidence resumes when all
   * tests are the same as before; no later {@link takeDelta} returns any of it.
   *
   * @returns `false`, and nothing is added, when the dump is of another flag, epoch or version.
   */
  restore(dump: StoreDump, now: number): boolean {
    // The earlier run has tallied it.
    const contents = { ...dump.contents, isRepeated: true };
    if (contents.epoch !== this.#epoch || !this.merge(contents, now)) return false;
    this.#exposures.skipUnfinished(now);
    this.#epochStartedAt = Math.min(dump.epochStartedAt, now);
    this.#feed.restore(dump.evidence, dump.waiting ?? [], dump.metrics ?? []);
    return true;
  }

  /** Of what this store counts now. */
  get #identity() {
    return { version: DELTA_VERSION, flagKey: this.#flagKey, epoch: this.#epoch } as const;
  }

  /** Lets time pass. */
  #advance(now: number): void {
    for (const ring of this.#rings) ring.advance(now);
    this.#feed.settle(now);
  }

  #windowSnapshot(window: SlidingWindow, index: number, now: number): WindowSnapshot {
    return {
      windowMs: window.windowMs,
      treatment: armCounts(window.totals, 'treatment'),
      control: armCounts(window.totals, 'control'),
      exposures: this.#exposures.counts(window.windowMs, now),
      settled: this.#feed.windows[index]!.counts,
      units: this.#recent.unitsSince(now - window.windowMs),
      memory: this.#memoryWindows[index]!.snapshot(this.#memoryBaseline.bytes),
    };
  }
}
