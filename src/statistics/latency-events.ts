import type { Arm } from '../model/shapes.js';
import type { QuantileEvidence } from '../model/snapshot.js';
import { EventStream, type StreamEvidence } from './event-stream.js';
import type { LatencyRequest, LatencyState } from './evidence-state.js';

/** Where quantiles of durations come from; a latency histogram fits. */
interface QuantileSource {
  /** How many durations it has seen. */
  readonly count: number;
  /** The `q`-quantile in milliseconds, `0 < q < 1`; undefined while there is none. */
  quantile(q: number): number | undefined;
}

/** The durations of an epoch's successes, by arm. */
export type LatencySources = Readonly<Record<Arm, QuantileSource>>;

/** The quantiles at which durations are compared: the usual user, and the tail. */
const LATENCY_QUANTILES = [0.5, 0.9, 0.99] as const;

/** Fewer durations of the control make no threshold. */
const MIN_CONTROL_COUNT = 100;
/** Thresholds are fixed anew when the control has so many times the durations. */
const REFRESH_GROWTH = 2;

/**
 * Are the treatment's successes slower than `ratio` times the control's? For each quantile, a unit's event is its first success that
 * took longer than the control's quantile: `ratio` times it for the treatment. If the treatment is no slower than tolerated, its
 * outcomes exceed their threshold no more often than the control's exceed theirs. Alpha is split evenly over the quantiles.
 *
 * Thresholds depend on the control's durations before, and are the same for all units between two times at which they are fixed.
 */
export class LatencyEvents {
  readonly #ratio: number;
  readonly #sources: LatencySources;
  readonly #streams: readonly EventStream[];
  readonly #thresholdsMs = new Float64Array(LATENCY_QUANTILES.length);
  #fixedAtCount = 0;

  constructor({ alpha, ratio }: LatencyRequest, sources: LatencySources) {
    this.#ratio = ratio;
    this.#sources = sources;
    const request = { alpha: alpha / LATENCY_QUANTILES.length, ratio: 1, minDifference: 0 };
    this.#streams = LATENCY_QUANTILES.map(() => new EventStream([request]));
  }

  /** Folds a success in. Until the control has enough durations nothing is compared. */
  success(unit: number, treated: boolean, chance: number, ms: number, at: number): void {
    // At 100 % the control that is left, such as users of another region, is no control of those that were compared.
    // This duration is in the histogram already; counting it against itself would not be fair.
    if (chance < 1 && this.#fixThresholds()) return;
    if (this.#thresholdsMs[0] === 0) return;
    const scale = treated ? this.#ratio : 1;
    for (let i = 0; i < this.#streams.length; i++) {
      const isSlow = ms > scale * this.#thresholdsMs[i]!;
      // Slow or not, each is one of the same sample: it stands for itself.
      this.#streams[i]!.outcome(unit, treated, chance, isSlow, at, 1);
    }
  }

  beginEpoch(at: number): void {
    // The epoch's histograms begin empty; the thresholds stay until they are full enough.
    this.#fixedAtCount = 0;
    for (const stream of this.#streams) stream.beginEpoch(at);
  }

  /** What the quantile that is nearest to its threshold has gathered, and all of them for display. */
  evidence(): StreamEvidence & { readonly quantiles: readonly QuantileEvidence[] } {
    const found = this.#streams.map((stream) => stream.evidence(0));
    const margin = ({ logE, logThreshold, breached }: StreamEvidence) =>
      breached ? Number.POSITIVE_INFINITY : logE - logThreshold;
    const strongest = found.reduce((best, each) => (margin(each) > margin(best) ? each : best));
    const quantiles =
      this.#thresholdsMs[0] === 0
        ? []
        : found.map(({ logE, since, breached }, i) => ({
            quantile: LATENCY_QUANTILES[i]!,
            logE,
            breached,
            controlMs: this.#thresholdsMs[i]!,
            limitMs: this.#ratio * this.#thresholdsMs[i]!,
            treatmentMs: this.#sources.treatment.quantile(LATENCY_QUANTILES[i]!),
            counts: since.counts,
          }));
    return { ...strongest, quantiles };
  }

  toJSON(): LatencyState {
    return {
      streams: this.#streams.map((stream) => stream.toJSON()),
      thresholdsMs: [...this.#thresholdsMs],
      fixedAtCount: this.#fixedAtCount,
    };
  }

  /** @throws RangeError for an invalid state. */
  restore({ streams, thresholdsMs, fixedAtCount }: LatencyState): void {
    if (streams.length !== this.#streams.length || thresholdsMs.length !== this.#thresholdsMs.length) {
      throw new RangeError('The state has other quantiles');
    }
    for (const [i, stream] of this.#streams.entries()) stream.restore(streams[i]!);
    this.#thresholdsMs.set(thresholdsMs);
    this.#fixedAtCount = fixedAtCount;
  }

  /** @returns whether thresholds were fixed now. */
  #fixThresholds(): boolean {
    const { control } = this.#sources;
    const { count } = control;
    if (count < MIN_CONTROL_COUNT || count < this.#fixedAtCount * REFRESH_GROWTH) return false;
    for (const [i, q] of LATENCY_QUANTILES.entries()) this.#thresholdsMs[i] = control.quantile(q) ?? 0;
    this.#fixedAtCount = count;
    for (const stream of this.#streams) stream.forgetControl();
    return true;
  }
}
