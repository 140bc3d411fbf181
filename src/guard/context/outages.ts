import type { GuardEventOf } from '../../model/event.js';
import type { Clock } from '../../support/clock.js';
import { describeError } from '../../support/files.js';

/** So many outages of one part are reported at once; of more within an hour, one is reported, with their count. */
const REPORTS_AT_ONCE = 5;
const HOUR_MS = 3_600_000;
/** A part that is not known to work again counts as working after so long without a fault. */
const QUIET_MS = 10 * 60_000;
/** Names of parts; there are far fewer unless a caller makes them up. */
const MAX_PARTS = 1_000;

interface Outage {
  isFailing: boolean;
  isReported: boolean;
  failedAt: number;
  reportedAt: number;
  /** Reports that may still follow at once. */
  left: number;
  /** Faults since the last report, and since the outage began. */
  unreported: number;
  faults: number;
}

type OutageEvent = GuardEventOf<'fault' | 'recovered'>;

/**
 * Which of a guard's parts fail: an outage is reported when it begins, each hour with its count while it lasts, and when the
 * part works again. A part that fails and works in turns is reported at most a few times an hour.
 */
export class Outages {
  readonly #clock: Clock;
  readonly #emit: (event: OutageEvent) => void;
  readonly #parts = new Map<string, Outage>();
  /** Parts that fail now: what works is almost always none of them. */
  #failing = 0;

  constructor(clock: Clock, emit: (event: OutageEvent) => void) {
    this.#clock = clock;
    this.#emit = emit;
  }

  /**
   * @param what - The part, for example `writing the journal`.
   * @param isFirst - An outage begins: the part itself reports each once.
   */
  failed(what: string, error: unknown, isFirst = false): void {
    const now = this.#clock.monotonic();
    const part = this.#parts.get(what) ?? this.#add(what);
    if (part === undefined) return;
    const isNew = isFirst || !part.isFailing || now - part.failedAt >= QUIET_MS;
    if (isNew) {
      part.faults = 0;
      part.isReported = false;
    }
    if (!part.isFailing) this.#failing += 1;
    part.isFailing = true;
    part.failedAt = now;
    part.faults += 1;
    part.unreported += 1;
    if (now - part.reportedAt >= HOUR_MS) part.left = REPORTS_AT_ONCE;
    else if (!isNew || part.left === 0) return;
    part.left -= 1;
    part.reportedAt = now;
    part.isReported = true;
    const count = part.unreported;
    part.unreported = 0;
    const message = describeError(error);
    this.#emit({ type: 'fault', at: this.#clock.now(), what, message, ...(count > 1 ? { count } : {}) });
  }

  /** Ends the part's outage, if there is one. */
  worked(what: string): void {
    if (this.#failing === 0) return;
    const part = this.#parts.get(what);
    if (part?.isFailing !== true) return;
    part.isFailing = false;
    this.#failing -= 1;
    if (!part.isReported) return;
    this.#emit({ type: 'recovered', at: this.#clock.now(), what, faults: part.faults });
  }

  #add(what: string): Outage | undefined {
    if (this.#parts.size === MAX_PARTS) return undefined;
    const added = {
      isFailing: false,
      isReported: false,
      failedAt: Number.NEGATIVE_INFINITY,
      reportedAt: Number.NEGATIVE_INFINITY,
      left: REPORTS_AT_ONCE,
      unreported: 0,
      faults: 0,
    };
    this.#parts.set(what, added);
    return added;
  }
}
