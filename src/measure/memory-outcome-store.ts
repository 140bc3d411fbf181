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
import type { OutcomeStore } from './outcome-store.js';
import { SlidingWindow } from './sliding-window.js';

export interface MemoryOutcomeStoreOptions {
  readonly flagKey: string;
  /** The lengths of the sliding windows to keep, in milliseconds; duplicates are kept once, and 0 is skipped. */
  readonly windowsMs: readonly number[];
  /** Triggers; those with an anytime-valid test get its evidence with each snapshot. @default none */
  readonly evidenceFor?: readonly TestSpec[] | undefined;
  /** When the first epoch (number 0) starts, in milliseconds since 1970. @default the present */
  readonly now?: number | undefined;
  /** An exposure without an outcome counts as unreported after this time, in milliseconds. @default 60_000 */
  readonly outcomeTimeoutMs?: number | undefined;
}

/** Over how much time with outcomes the memory baseline is measured. */
const MEMORY_BASELINE_MS = 60_000;

/**
 * Adds outcomes up in this process. Memory is fixed for each window length (17 KB), arm (32 KB) and error type, and
 * does not grow with outcomes, users or messages. When a trigger has an anytime-valid test, 512 KiB remember which users have counted.
 */
export class MemoryOutcomeStore implements OutcomeStore {
  readonly #flagKey: string;
  readonly #windows: readonly SlidingWindow[];
  readonly #memoryWindows: readonly MemoryWindow[];
  readonly #memoryBaseline: MemoryBaseline;
  readonly #totals = new EpochTotals();
  readonly #exposures: ExposureRing;
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
    this.#memoryBaseline = new MemoryBaseline(MEMORY_BASELINE_MS);
    this.#longestWindowMs = lengths.at(-1) ?? 0;
    this.#exposures = new ExposureRing(options.outcomeTimeoutMs ?? 60_000, this.#longestWindowMs);
    this.#epochStartedAt = options.now ?? Date.now();
    this.#lastSeenAt = this.#epochStartedAt;
    this.#testSpecs = (options.evidenceFor ?? []).filter(({ evidence }) => evidence !== undefined);
    this.#beginEvidence();
  }

  expose(exposure: Exposure): void {
    if (exposure.epoch >= this.#oldestEpoch) this.#exposures.open(exposure);
  }

  settle(exposure: Exposure): void {
    if (exposure.epoch >= this.#oldestEpoch) this.#exposures.complete(exposure);
  }

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

  recordComplaint({ epoch, arm }: Exposure, at: number): void {
    if (epoch < this.#oldestEpoch) return;
    const code = complaintCode(arm);
    for (const window of this.#windows) window.add(code, at);
    if (epoch === this.#epoch) this.#totals.addComplaint(code);
  }

  recordMemory(bytes: number, at: number): void {
    if (!(bytes > 0 && Number.isFinite(bytes) && Number.isFinite(at))) return;
    this.#memoryBaseline.add(bytes, at, this.#workedSinceSample);
    this.#workedSinceSample = false;
    for (const window of this.#memoryWindows) window.add(bytes, at);
  }

  setBaseline(baseline: Baseline): void {
    this.#baseline = baseline;
    if (baseline.memory !== undefined) this.#memoryBaseline.set(baseline.memory.bytes);
  }

  snapshot(now: number): Snapshot {
    this.#lastSeenAt = now;
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

  beginEpoch(epoch: number, at: number, { keepWindows }: { readonly keepWindows: boolean }): void {
    this.#epoch = epoch;
    this.#epochStartedAt = at;
    this.#totals.clear();
    this.#beginEvidence();
    if (keepWindows) return;
    this.#oldestEpoch = epoch;
    this.#lastCritical = undefined;
    this.#exposures.clear();
    for (const window of this.#windows) window.clear();
    for (const window of this.#memoryWindows) window.clear();
  }

  takeDelta(now: number): OutcomeDelta | undefined {
    const windows = this.#windows.map((window) => {
      window.advance(now);
      return { windowMs: window.windowMs, buckets: window.takeChanges() };
    });
    const totals = this.#totals.takeChanges();
    const exposures = this.#exposures.takeChanges(now);
    const evidence = this.#evidence?.takeDelta();
    const critical = this.#lastCriticalTaken ? undefined : this.#lastCritical;
    this.#lastCriticalTaken = true;
    const recorded =
      critical !== undefined ||
      exposures.buckets.length > 0 ||
      windows.some(({ buckets }) => buckets.length > 0) ||
      totals.counts.some((count) => count > 0);
    if (!recorded) return undefined;
    const identity = { version: DELTA_VERSION, flagKey: this.#flagKey, epoch: this.#epoch } as const;
    return { ...identity, windows, exposures, ...totals, lastCritical: critical, evidence };
  }

  merge(delta: OutcomeDelta, now: number): boolean {
    if (delta.version !== DELTA_VERSION || delta.flagKey !== this.#flagKey) return false;
    if (delta.epoch > this.#epoch || delta.epoch < this.#oldestEpoch) return false;
    for (const { windowMs, buckets } of delta.windows) {
      const window = this.#windows.find((candidate) => candidate.windowMs === windowMs);
      for (const bucket of buckets) window?.addRemote(bucket, now);
    }
    this.#exposures.addRemote(delta.exposures, now);
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
    const windows = this.#windows.map((window) => {
      window.advance(now);
      return { windowMs: window.windowMs, buckets: window.contents() };
    });
    const identity = { version: DELTA_VERSION, flagKey: this.#flagKey, epoch: this.#epoch } as const;
    return {
      epochStartedAt: this.#epochStartedAt,
      oldestEpoch: Number.isFinite(this.#oldestEpoch) ? this.#oldestEpoch : undefined,
      contents: {
        ...identity,
        windows,
        exposures: this.#exposures.contents(now),
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

  #windowSnapshot(window: SlidingWindow, memoryWindow: MemoryWindow, now: number): WindowSnapshot {
    window.advance(now);
    memoryWindow.advance(now);
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
