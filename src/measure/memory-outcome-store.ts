import type { Baseline } from '../model/baseline.js';
import type { Exposure, Outcome, Snapshot, WindowSnapshot } from '../model/shapes.js';
import { hash32 } from '../statistics/once-per-key.js';
import { SequentialEvidence, type TestSpec } from '../statistics/sequential-evidence.js';
import { armCounts, complaintCode, countCode } from './arm-counts.js';
import { EpochTotals } from './epoch-totals.js';
import { boundedErrorType } from './error-counts.js';
import { ExposureRing } from './exposure-ring.js';
import { MemoryBaseline } from './memory-baseline.js';
import { MemoryWindow } from './memory-window.js';
import { DELTA_VERSION, type OutcomeDelta, type StoreDump } from './outcome-delta.js';
import { SlidingWindow } from './sliding-window.js';
import type { TimeRing } from './time-ring.js';

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
}

/**
 * Adds outcomes up in this process. Memory is fixed for each window length (17 KB), arm (32 KB) and error type, and
 * does not grow with outcomes, users or messages. When a trigger has a sequential test, 512 KiB remember which users have
 * counted.
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
  readonly #testSpecs: readonly TestSpec[];
  /** Of the current epoch; undefined when no trigger has a test. */
  #evidence: SequentialEvidence | undefined;
  #epoch = 0;
  #epochStartedAt: number;
  /** Outcomes of earlier epochs are dropped. */
  #oldestEpoch = Number.NEGATIVE_INFINITY;
  #lastCritical: Snapshot['lastCritical'];
  #lastCriticalTaken = false;
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
    this.#exposures = new ExposureRing(options.outcomeTimeoutMs ?? 60_000, this.#longestWindowMs);
    this.#rings = [...this.#windows, ...this.#memoryWindows, this.#exposures];
    this.#epochStartedAt = options.now ?? Date.now();
    this.#lastSeenAt = this.#epochStartedAt;
    this.#testSpecs = (options.evidenceFor ?? []).filter(({ evidence }) => evidence !== undefined);
    this.#beginEvidence();
  }

  /** Notes that an outcome is awaited for this exposure. Touches memory only; runs within every evaluation. */
  expose(exposure: Exposure): void {
    if (exposure.epoch >= this.#oldestEpoch) this.#exposures.open(exposure);
  }

  /** Notes that no outcome is awaited any more for an exposure without one. */
  settle(exposure: Exposure): void {
    if (exposure.epoch >= this.#oldestEpoch) this.#exposures.complete(exposure);
  }

  /**
   * Adds an outcome: memory only, no allocation kept. An outcome of an epoch before the last
   * `beginEpoch(…, { keepWindows: false })` is dropped; one of an earlier epoch otherwise counts in the windows only.
   */
  record(outcome: Outcome): void {
    const { epoch, arm } = outcome.exposure;
    if (epoch < this.#oldestEpoch) return;
    this.#exposures.complete(outcome.exposure);
    if (Number.isFinite(outcome.at)) this.#lastSeenAt = outcome.at;
    const at = this.#lastSeenAt;
    const code = countCode(outcome);
    this.#workedSinceSample = true;
    for (const window of this.#windows) window.add(code, at);
    if (outcome.critical && arm === 'treatment') {
      this.#lastCritical = { errorType: boundedErrorType(outcome.errorType ?? 'unknown'), at };
      this.#lastCriticalTaken = false;
    }
    if (epoch < this.#epoch) return;
    this.#totals.add(outcome, code, at);
    this.#evidence?.record(outcome, at);
  }

  /** Counts a complaint, at `at`, of the user of this exposure. It counts in the windows and totals in which an outcome would. */
  recordComplaint({ epoch, arm }: Exposure, at: number): void {
    if (epoch < this.#oldestEpoch) return;
    const code = complaintCode(arm);
    for (const window of this.#windows) window.add(code, at);
    if (epoch === this.#epoch) this.#totals.addComplaint(code);
  }

  /** Adds a sample of this process's memory, in bytes. A sample that is no positive number is left out. */
  recordMemory(bytes: number, at: number): void {
    if (!(bytes > 0 && Number.isFinite(bytes) && Number.isFinite(at))) return;
    this.#memoryBaseline.add(bytes, at, this.#workedSinceSample);
    this.#workedSinceSample = false;
    for (const window of this.#memoryWindows) window.add(bytes, at);
  }

  /**
   * Sets the baseline of an earlier time: it comes with each snapshot, and its memory, if there is one, replaces that of
   * this process's first samples.
   */
  setBaseline(baseline: Baseline): void {
    this.#baseline = baseline;
    if (baseline.memory !== undefined) this.#memoryBaseline.set(baseline.memory.bytes);
  }

  /** The state at `now`: windows have expired up to it. */
  snapshot(now: number): Snapshot {
    this.#lastSeenAt = now;
    this.#advance(now);
    const critical = this.#lastCritical;
    return {
      flagKey: this.#flagKey,
      at: now,
      epoch: this.#epoch,
      epochStartedAt: this.#epochStartedAt,
      windows: this.#windows.map((window, index) =>
        this.#windowSnapshot(window, this.#memoryWindows[index]!, now),
      ),
      total: { treatment: this.#totals.snapshot('treatment'), control: this.#totals.snapshot('control') },
      lastCritical:
        critical !== undefined && now - critical.at <= this.#longestWindowMs ? critical : undefined,
      invalidDurations: this.#totals.invalidDurations,
      evidence: this.#evidence?.snapshot(now),
      baseline: this.#baseline,
    };
  }

  /**
   * Starts an epoch: totals and evidence begin at zero, and the control so far is frozen; the windows are emptied too unless
   * `keepWindows`.
   */
  beginEpoch(epoch: number, at: number, { keepWindows }: { readonly keepWindows: boolean }): void {
    this.#epoch = epoch;
    this.#epochStartedAt = at;
    this.#totals.clear();
    this.#beginEvidence();
    if (keepWindows) return;
    this.#oldestEpoch = epoch;
    this.#lastCritical = undefined;
    for (const ring of this.#rings) ring.clear();
  }

  /**
   * What was recorded here since the previous call; undefined when nothing was. Call it before `beginEpoch`: totals and
   * evidence of the epoch before are in no later delta.
   */
  takeDelta(now: number): OutcomeDelta | undefined {
    this.#advance(now);
    const { bucketMs } = this.#exposures;
    const changes: OutcomeDelta = {
      ...this.#identity,
      windows: this.#windows.map((window) => ({ windowMs: window.windowMs, buckets: window.takeChanges() })),
      exposures: { bucketMs, buckets: this.#exposures.takeChanges() },
      ...this.#totals.takeChanges(),
      lastCritical: this.#lastCriticalTaken ? undefined : this.#lastCritical,
      evidence: this.#evidence?.takeDelta(),
    };
    this.#lastCriticalTaken = true;
    const recorded =
      changes.lastCritical !== undefined ||
      changes.exposures.buckets.length > 0 ||
      changes.windows.some(({ buckets }) => buckets.length > 0) ||
      changes.counts.some((count) => count > 0);
    return recorded ? changes : undefined;
  }

  /**
   * Adds what another process recorded. A late delta, of an earlier epoch, counts where an outcome of that epoch that
   * is recorded here would: in the windows, the exposures and as the last critical error, neither in totals nor in evidence.
   * Windows of lengths that this store does not keep are left out.
   *
   * @returns `false`, and nothing is added, when the delta is of another flag or version, of an epoch before the last
   * `beginEpoch(…, { keepWindows: false })`, or of one that has not begun here.
   */
  merge(delta: OutcomeDelta, now: number): boolean {
    if (delta.version !== DELTA_VERSION || delta.flagKey !== this.#flagKey) return false;
    if (delta.epoch > this.#epoch || delta.epoch < this.#oldestEpoch) return false;
    for (const { windowMs, buckets } of delta.windows) {
      const window = this.#windows.find((candidate) => candidate.windowMs === windowMs);
      window?.addRemote(buckets, window.bucketMs, now);
    }
    this.#exposures.addRemote(delta.exposures.buckets, delta.exposures.bucketMs, now);
    if (delta.lastCritical !== undefined) this.#mergeCritical(delta.lastCritical, now);
    // As with an outcome of an earlier epoch that is recorded here.
    if (delta.epoch < this.#epoch) return true;
    this.#totals.addRemote(delta, now);
    if (delta.evidence !== undefined) this.#evidence?.merge(delta.evidence, now);
    return true;
  }

  /** Evidence is cumulative, so an epoch starts with none; only the control's counts are kept. */
  #beginEvidence(): void {
    if (this.#testSpecs.length === 0) return;
    this.#evidence = new SequentialEvidence({
      specs: this.#testSpecs,
      seed: hash32(`${this.#flagKey} ${this.#epoch}`, 0) >>> 0,
      latency: this.#totals.latency,
      frozenControl: this.#evidence?.control,
    });
  }

  /**
   * The whole state, for {@link restore}, without memory samples, which belong to one process. Which users have counted as
   * evidence is part of it, if any were recorded here: up to 700 KB for a million users.
   */
  dump(now: number): StoreDump {
    this.#advance(now);
    const { bucketMs } = this.#exposures;
    return {
      epochStartedAt: this.#epochStartedAt,
      oldestEpoch: Number.isFinite(this.#oldestEpoch) ? this.#oldestEpoch : undefined,
      contents: {
        ...this.#identity,
        windows: this.#windows.map((window) => ({ windowMs: window.windowMs, buckets: window.contents() })),
        exposures: { bucketMs, buckets: this.#exposures.dueBuckets(now) },
        ...this.#totals.contents(),
        lastCritical: this.#lastCritical,
      },
      evidence: this.#evidence?.toJSON(),
    };
  }

  /**
   * Adds the state of an earlier run to this one. Call it in that run's epoch, once. Tests resume for triggers whose test is
   * the same as before; no later {@link takeDelta} returns any of it.
   *
   * @returns `false`, and nothing is added, when the dump is of another flag, epoch or version.
   */
  restore(dump: StoreDump, now: number): boolean {
    if (dump.contents.epoch !== this.#epoch || !this.merge(dump.contents, now)) return false;
    this.#epochStartedAt = Math.min(dump.epochStartedAt, now);
    if (dump.evidence !== undefined) this.#evidence?.restore(dump.evidence);
    return true;
  }

  /** Of what this store counts now. */
  get #identity() {
    return { version: DELTA_VERSION, flagKey: this.#flagKey, epoch: this.#epoch } as const;
  }

  /** Lets time pass in all rings. */
  #advance(now: number): void {
    for (const ring of this.#rings) ring.advance(now);
  }

  #windowSnapshot(window: SlidingWindow, memoryWindow: MemoryWindow, now: number): WindowSnapshot {
    return {
      windowMs: window.windowMs,
      treatment: armCounts(window.totals, 'treatment'),
      control: armCounts(window.totals, 'control'),
      exposures: this.#exposures.counts(window.windowMs, now),
      memory: memoryWindow.snapshot(this.#memoryBaseline.bytes),
    };
  }

  #mergeCritical({ errorType, at }: NonNullable<OutcomeDelta['lastCritical']>, now: number): void {
    if (this.#lastCritical !== undefined && this.#lastCritical.at > at) return;
    this.#lastCritical = { errorType: boundedErrorType(errorType), at: Math.min(at, now) };
    this.#lastCriticalTaken = true;
  }
}
