import { MemoryBaseline } from '../../measure/memory-baseline.js';
import type { Baseline, ControlReference } from '../../model/baseline.js';
import type { FlagFacts } from '../../model/flags.js';
import type { ArmCounts } from '../../model/shapes.js';
import type { Snapshot } from '../../model/snapshot.js';

/** Fewer outcomes of the control describe nothing. */
const MIN_OUTCOMES = 100;

/** One sample of the process. */
interface BaselineSample {
  readonly snapshot: Snapshot;
  readonly facts: FlagFacts | undefined;
  /** Undefined when it could not be read. */
  readonly memoryBytes: number | undefined;
}

/**
 * Records what is normal. The memory: of a process that has never run the treatment, while the flag is off or at 0 %,
 * because what the treatment leaks stays after the flag was turned off. The control: of the latest epoch with enough of its
 * outcomes, so that at 100 % the control of the stage before remains.
 */
export class BaselineRecorder {
  #baseline: Baseline;
  #treatmentRan = false;
  #measurement: Measurement | undefined;
  #outcomesBefore = 0;

  /** @param earlier - What an earlier run recorded. */
  constructor(earlier: Baseline = {}) {
    this.#baseline = earlier;
  }

  get baseline(): Baseline {
    return this.#baseline;
  }

  /** Adds a sample; returns whether the baseline has changed. */
  sample({ snapshot, facts, memoryBytes }: BaselineSample): boolean {
    this.#treatmentRan ||= hasTreatment(snapshot);
    // Without a definition, all evaluations are off, but it is not known whether they are meant to be.
    if (facts === undefined) return false;
    const off = !facts.enabled || facts.rolloutPercentage === 0;
    const outcomes = outcomesOf(snapshot.total.control);
    const worked = outcomes !== this.#outcomesBefore;
    this.#outcomesBefore = outcomes;
    const memoryChanged = this.#sampleMemory(off && !this.#treatmentRan, memoryBytes, snapshot.at, worked);
    return this.#sampleControl(snapshot, off ? 'flag-off' : 'rollout') || memoryChanged;
  }

  #sampleMemory(mayMeasure: boolean, bytes: number | undefined, now: number, worked: boolean): boolean {
    if (!mayMeasure) this.#measurement = undefined;
    if (!mayMeasure || bytes === undefined || !(bytes > 0 && Number.isFinite(bytes))) return false;
    this.#measurement ??= { median: new MemoryBaseline(), since: now, samples: 0 };
    const { median, since } = this.#measurement;
    median.add(bytes, now, worked);
    if (worked) this.#measurement.samples += 1;
    if (median.bytes === undefined) return false;
    const memory = { bytes: median.bytes, samples: this.#measurement.samples, since, until: now };
    this.#baseline = { ...this.#baseline, memory };
    // The next minute of work is a newer one.
    this.#measurement = undefined;
    return true;
  }

  #sampleControl(snapshot: Snapshot, during: ControlReference['during']): boolean {
    const { successes, failures, complaints, latency, lastOutcomeAt } = snapshot.total.control;
    if (successes + failures < MIN_OUTCOMES) return false;
    const since = snapshot.epochStartedAt;
    const until = lastOutcomeAt ?? snapshot.at;
    const known = this.#baseline.control;
    if (known?.since === since && known.until === until && known.complaints === complaints) return false;
    const control = { during, since, until, successes, failures, complaints, latency };
    this.#baseline = { ...this.#baseline, control };
    return true;
  }
}

interface Measurement {
  readonly median: MemoryBaseline;
  readonly since: number;
  samples: number;
}

/** Of the longest window too: an epoch that has just begun has no outcomes of the one before. */
function hasTreatment({ total, windows }: Snapshot): boolean {
  const longest = windows.at(-1)?.treatment;
  return outcomesOf(total.treatment) > 0 || (longest !== undefined && outcomesOf(longest) > 0);
}

function outcomesOf({ successes, failures, expected, aborted }: ArmCounts): number {
  return successes + failures + expected + aborted;
}
