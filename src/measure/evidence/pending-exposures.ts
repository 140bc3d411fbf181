import type { EvidenceShare, Exposure, Outcome, Result } from '../../model/shapes.js';
import type { SettledOutcome } from '../../statistics/rollout-evidence.js';
import { LatencyHistogram } from '../latency-histogram.js';

/** The time limits that apply to what is awaited, in milliseconds. */
export interface TimeLimits {
  /** Of an operation of the guard. */
  readonly operationMs: number;
  /** Of an exposure whose outcome the application reports. */
  readonly reportMs: number;
}

/** An exposure that is open for less is not settled, however fast the control is. */
const MIN_SETTLE_MS = 5_000;
/** How many times the slower arm's p99 an exposure may be open. */
const SETTLE_RATIO = 3;
/** Fewer durations of an arm say nothing of its p99. */
const MIN_DURATIONS = 20;
/** How long a settling time stays, in milliseconds. */
const SETTLE_BLOCK_MS = 60_000;

const SMALLEST_RING = 64;
/** About 10 MB: 13 s of 20,000 exposures per second. */
const LARGEST_RING = 262_144;

/** Reports are expected when so large a share of the control's reportable exposures has one. */
const REPORTED_SHARE = 0.5;
const MIN_REPORTABLE = 20;
const RECENT_REPORTABLE = 1_000;

const TREATED = 1;
const OPERATION = 2;
const FALLBACK = 4;
const RETRIED = 8;
const RESULT_SHIFT = 4;
const RESULT_MASK = 7;
const NO_SAMPLE = 128;
const NO_EVIDENCE = 256;
const RESULTS = ['open', 'success', 'failure', 'expected', 'aborted', 'withdrawn'] as const;
const OPEN = 0;
const WITHDRAWN = 5;

/**
 * Exposures whose outcome is awaited, in their order, so that arms are compared by when their units came and not by when
 * their calls ended: else arms of different speed would fail at different times in one shared outage.
 *
 * An exposure settles when every earlier one has, and it has ended or has been open for the settling time: the larger of 5 s and three
 * times the slower arm's p99, at most the time limit; until both are known, the time limit. The treatment's is looked at because a
 * treatment that has always been slower does not hang. What is still open then is a failure for good, so that a hang is
 * found in seconds. Exposures beyond the ring's size are settled early, the oldest first, whichever their arm is.
 */
export class PendingExposures {
  readonly #limits: TimeLimits;
  /** From exposure to outcome, of each arm's successes. */
  readonly #controlMs = new LatencyHistogram();
  readonly #treatmentMs = new LatencyHistogram();
  #ring = new Ring(SMALLEST_RING);
  /** Numbers of the oldest exposure that is not settled, and of the next one. */
  #head = 0;
  #next = 0;
  #settleMs: number | undefined;
  #settleFixedAt = Number.NEGATIVE_INFINITY;
  /** How long the process did not run, in all: nothing could end in that time. */
  #lostMs = 0;
  #controlReportable = 0;
  #controlReported = 0;
  readonly #settled = {
    unit: 0,
    treated: false,
    chance: 0,
    at: 0,
    result: 'open' as SettledOutcome['result'],
    fallback: false,
    retried: false,
    durationMs: 0,
    weight: 1,
    evidence: 'all' as EvidenceShare,
  };

  constructor(limits: TimeLimits) {
    this.#limits = limits;
  }

  /** Awaits the outcome of an exposure, and numbers it. */
  open(exposure: Exposure, unit: number, chance: number): void {
    if (this.#next - this.#head === this.#ring.size && this.#ring.size < LARGEST_RING) {
      this.#ring = this.#ring.doubled(this.#head, this.#next);
    }
    const slot = this.#next & this.#ring.mask;
    const flags =
      (exposure.arm === 'treatment' ? TREATED : 0) |
      (exposure.isOperation === true ? OPERATION : 0) |
      (exposure.evidence === undefined ? 0 : evidenceFlags(exposure.evidence));
    this.#ring.set(slot, unit, chance, exposure.at, exposure.at - this.#lostMs, flags);
    exposure.sequence = this.#next;
    this.#next += 1;
  }

  /** The unit with which this exposure was opened, while the ring has it: hashing costs as much as recording. */
  unitOf({ sequence, at }: Exposure): number | undefined {
    if (sequence === undefined || sequence >= this.#next || sequence < this.#next - this.#ring.size) {
      return undefined;
    }
    const slot = sequence & this.#ring.mask;
    return this.#ring.at[slot] === at ? this.#ring.unit[slot] : undefined;
  }

  /** Whether the ring has no room: settle first. */
  get isFull(): boolean {
    return this.#next - this.#head >= LARGEST_RING;
  }

  /** The outcome of an exposure. One that has settled already changes nothing; one that was never opened is opened and ends now. */
  end(outcome: Outcome, unit: number, chance: number, at: number): void {
    const { exposure, result, durationMs, fallbackUsed, attempts } = outcome;
    if (exposure.sequence === undefined) this.open(exposure, unit, chance);
    const slot = this.#slotOf(exposure);
    if (slot < 0) return;
    this.#ring.durationMs[slot] = durationMs ?? Number.NaN;
    this.#ring.flags[slot]! |=
      (codeOf(result) << RESULT_SHIFT) |
      (fallbackUsed ? FALLBACK : 0) |
      (attempts > 1 && result === 'success' ? RETRIED : 0);
    if (result !== 'success') return;
    const arm = exposure.arm === 'control' ? this.#controlMs : this.#treatmentMs;
    arm.record(Math.max(0, at - exposure.at));
  }

  /** No outcome is awaited any more. */
  withdraw(exposure: Exposure): void {
    const slot = this.#slotOf(exposure);
    if (slot >= 0) this.#ring.flags[slot]! |= WITHDRAWN << RESULT_SHIFT;
  }

  /** The process did not run for so long. */
  lost(durationMs: number): void {
    this.#lostMs += durationMs;
  }

  /** When the oldest exposure that has not settled was made; undefined when all have. */
  get openSince(): number | undefined {
    return this.#head === this.#next ? undefined : this.#ring.at[this.#head & this.#ring.mask];
  }

  /** Hands out what has settled by `now`, in order. The object is reused. */
  settle(now: number, take: (outcome: SettledOutcome) => void): void {
    this.#fixSettleMs(now);
    const { operationMs, reportMs } = this.#limits;
    const settleMs = this.#settleMs ?? Number.POSITIVE_INFINITY;
    while (this.#head < this.#next) {
      const slot = this.#head & this.#ring.mask;
      const flags = this.#ring.flags[slot]!;
      const code = resultIn(flags);
      if (code === OPEN && !this.isFull) {
        const limit = Math.min(settleMs, flags & OPERATION ? operationMs : reportMs);
        const age = now - this.#lostMs - this.#ring.ranAt[slot]!;
        // A clock that was set back must not keep everything waiting, and says nothing of how long a call has taken.
        const isFuture = age <= -MIN_SETTLE_MS;
        if (age < limit && !isFuture) return;
        if (isFuture) {
          this.#head += 1;
          continue;
        }
      }
      this.#head += 1;
      if (code !== WITHDRAWN) take(this.#outcomeIn(slot, flags, code));
    }
  }

  /** Forgets everything but how fast the control is. */
  clear(): void {
    this.#head = this.#next;
  }

  #outcomeIn(slot: number, flags: number, code: number): SettledOutcome {
    const { unit, chance, at, durationMs } = this.#ring;
    const treated = (flags & TREATED) !== 0;
    const isReportable = (flags & OPERATION) === 0;
    if (isReportable && !treated) this.#countReportable(code !== OPEN);
    const settled = this.#settled;
    settled.unit = unit[slot]!;
    settled.treated = treated;
    settled.chance = chance[slot]!;
    settled.at = at[slot]!;
    settled.result =
      code === OPEN && isReportable && !this.#isReportExpected
        ? 'unreported'
        : (RESULTS[code] as SettledOutcome['result']);
    settled.fallback = (flags & FALLBACK) !== 0;
    settled.retried = (flags & RETRIED) !== 0;
    settled.durationMs = durationMs[slot]!;
    settled.evidence = flags < NO_SAMPLE ? 'all' : (flags & NO_EVIDENCE) === 0 ? 'events' : 'none';
    return settled;
  }

  /**
   * Whether an exposure without a report is a failure. Where flags are also evaluated without any report, it is not. This depends on the
   * control alone.
   */
  get #isReportExpected(): boolean {
    return (
      this.#controlReportable >= MIN_REPORTABLE &&
      this.#controlReported >= REPORTED_SHARE * this.#controlReportable
    );
  }

  #countReportable(isReported: boolean): void {
    this.#controlReportable += 1;
    if (isReported) this.#controlReported += 1;
    if (this.#controlReportable < RECENT_REPORTABLE) return;
    this.#controlReportable /= 2;
    this.#controlReported /= 2;
  }

  /** The same for both arms, and fixed for a minute. */
  #fixSettleMs(now: number): void {
    if (now - this.#settleFixedAt < SETTLE_BLOCK_MS && now >= this.#settleFixedAt) return;
    const arms = [this.#controlMs, this.#treatmentMs];
    if (arms.some(({ count }) => count < MIN_DURATIONS)) return;
    this.#settleFixedAt = now;
    const slower = Math.max(...arms.map((arm) => arm.quantile(0.99) ?? 0));
    this.#settleMs = Math.max(MIN_SETTLE_MS, SETTLE_RATIO * slower);
  }

  /** −1 for an exposure that has settled, or that is none of this ring's. */
  #slotOf({ sequence, at }: Exposure): number {
    if (sequence === undefined || sequence < this.#head || sequence >= this.#next) return -1;
    const slot = sequence & this.#ring.mask;
    const isOpen = resultIn(this.#ring.flags[slot]!) === OPEN;
    return isOpen && this.#ring.at[slot] === at ? slot : -1;
  }
}

function evidenceFlags(evidence: EvidenceShare): number {
  return evidence === 'all' ? 0 : evidence === 'events' ? NO_SAMPLE : NO_SAMPLE | NO_EVIDENCE;
}

function resultIn(flags: number): number {
  return (flags >> RESULT_SHIFT) & RESULT_MASK;
}

/** A switch, because a table costs an eighth of recording an outcome. */
function codeOf(result: Result): number {
  switch (result) {
    case 'success':
      return 1;
    case 'failure':
      return 2;
    case 'expected':
      return 3;
    case 'aborted':
      return 4;
  }
}

/** The exposures' fields by number, modulo the size; 38 bytes each. */
class Ring {
  readonly mask: number;
  readonly unit: Uint32Array;
  readonly chance: Float64Array;
  readonly at: Float64Array;
  /** The time without that in which the process did not run. */
  readonly ranAt: Float64Array;
  readonly durationMs: Float64Array;
  readonly flags: Uint16Array;

  /** @param size - A power of two. */
  constructor(readonly size: number) {
    this.mask = size - 1;
    this.unit = new Uint32Array(size);
    this.chance = new Float64Array(size);
    this.at = new Float64Array(size);
    this.ranAt = new Float64Array(size);
    this.durationMs = new Float64Array(size);
    this.flags = new Uint16Array(size);
  }

  set(slot: number, unit: number, chance: number, at: number, ranAt: number, flags: number): void {
    this.unit[slot] = unit;
    this.chance[slot] = chance;
    this.at[slot] = at;
    this.ranAt[slot] = ranAt;
    this.durationMs[slot] = Number.NaN;
    this.flags[slot] = flags;
  }

  doubled(from: number, to: number): Ring {
    const larger = new Ring(this.size * 2);
    for (let sequence = from; sequence < to; sequence++) {
      const [slot, target] = [sequence & this.mask, sequence & larger.mask];
      larger.unit[target] = this.unit[slot]!;
      larger.chance[target] = this.chance[slot]!;
      larger.at[target] = this.at[slot]!;
      larger.ranAt[target] = this.ranAt[slot]!;
      larger.durationMs[target] = this.durationMs[slot]!;
      larger.flags[target] = this.flags[slot]!;
    }
    return larger;
  }
}
