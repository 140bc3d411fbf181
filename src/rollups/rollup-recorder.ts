import type { ArmTally, OutcomeTally } from '../measure/totals/outcome-tally.js';
import { NO_COUNTS, type Verdict } from '../model/shapes.js';
import { ROLLUP_LENGTHS_MS, type Rollup, type TriggerRollup, triggerRollupSchema } from './rollup.js';
import type { RollupBook } from './rollup-book.js';
import { RollupSum } from './rollup-sum.js';

const [MINUTE_MS] = ROLLUP_LENGTHS_MS;

/** What is recorded beside the counts. Functions are called when a part of a rollup is made. */
export interface RecordedRollout {
  /** Everything that was counted since the previous call. */
  readonly takeTally: (now: number) => OutcomeTally | undefined;
  readonly epoch: () => number;
  /** 0–100; undefined when there is no single one. */
  readonly percentage: () => number | undefined;
  /** The latest verdict of each trigger. */
  readonly verdicts: () => readonly Verdict[];
  /** Of the processes that recorded what was just taken. */
  readonly serviceVersions: () => readonly string[];
}

/** Takes what a store has counted, and what triggers observed, into the rollups of a book, minute by minute. */
export class RollupRecorder {
  readonly book: RollupBook;
  readonly #rollout: RecordedRollout;
  #minute: number | undefined;
  /** Of the triggers, since the last part. */
  #observed = new RollupSum();
  #hasBreach = false;
  readonly #seen = new WeakSet<Verdict>();

  constructor(book: RollupBook, rollout: RecordedRollout) {
    this.book = book;
    this.#rollout = rollout;
  }

  /** Called about once a second, and more often if need be. @returns whether a minute is over. */
  tick(now: number): boolean {
    const minute = Math.floor(now / MINUTE_MS) * MINUTE_MS;
    const isOver = this.#minute !== undefined && minute !== this.#minute;
    // What came since the last tick belongs to the minute that is over, but for the part of a second.
    if (isOver) this.#take(now, this.#minute!);
    this.#minute = minute;
    this.#observe(this.#rollout.verdicts());
    return isOver;
  }

  /** Takes everything that was counted so far. */
  take(now: number): void {
    this.tick(now);
    this.#take(now, this.#minute!);
  }

  #take(now: number, at: number): void {
    const tally = this.#rollout.takeTally(now);
    // A minute in which nothing happened has no rollup.
    if (tally !== undefined || this.#hasBreach) this.book.add(this.#part(tally, at));
    if (tally !== undefined) this.book.addOutcomeTimes(tally.firstOutcomeAt, tally.lastOutcomeAt);
    this.#observed.clear();
    this.#hasBreach = false;
  }

  #part(tally: OutcomeTally | undefined, at: number): Rollup {
    const percentage = this.#rollout.percentage();
    return {
      at,
      durationMs: MINUTE_MS,
      epoch: this.#rollout.epoch(),
      ...(percentage === undefined || !Number.isFinite(percentage) ? {} : { percentage }),
      arms: tally?.arms ?? { treatment: NOTHING, control: NOTHING },
      triggers: this.#observed.triggers,
      ...(tally === undefined || tally.metrics.length === 0 ? {} : { metrics: tally.metrics }),
      serviceVersions: tally === undefined ? [] : this.#rollout.serviceVersions(),
    };
  }

  #observe(verdicts: readonly Verdict[]): void {
    for (const verdict of verdicts) {
      // One that was not evaluated again says nothing new.
      if (this.#seen.has(verdict)) continue;
      this.#seen.add(verdict);
      // A trigger of the application's own may say anything.
      const { data } = triggerRollupSchema.safeParse(triggerRollupOf(verdict));
      if (data === undefined) continue;
      this.#observed.addTrigger(data);
      this.#hasBreach ||= verdict.status === 'breach';
    }
  }
}

function triggerRollupOf({ trigger, status, observed, threshold, unit, evidence }: Verdict): TriggerRollup {
  const ratio = evidence && Math.log(evidence.e) / Math.log(evidence.threshold);
  return {
    trigger,
    status,
    ...(observed === undefined || !Number.isFinite(observed) ? {} : { observed }),
    threshold,
    unit,
    // E of 0 has the logarithm −∞.
    ...(ratio === undefined || Number.isNaN(ratio) ? {} : { evidence: round(Math.max(0, ratio)) }),
  };
}

function round(value: number): number {
  return Math.round(value * 10_000) / 10_000;
}

const NOTHING: ArmTally = {
  ...NO_COUNTS,
  userSuccesses: 0,
  unfinished: 0,
  errorTypes: [],
  latency: { sumMs: 0, buckets: [] },
};
