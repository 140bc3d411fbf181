import type { Unit, Verdict } from '../model/shapes.js';
import type { Snapshot } from '../model/snapshot.js';
import type { EvidenceRequest } from '../statistics/evidence-state.js';

/** A rule: data, and a pure function of a snapshot and the time. It reads no clock and does no I/O. */
export interface Trigger {
  /** Kebab-case, unique among a guard's triggers, for example `success-rate-below`. */
  readonly name: string;
  /**
   * The sliding window that the rule evaluates, in milliseconds; the store keeps one of each length. 0 for a rule on the whole
   * epoch or on a signal.
   */
  readonly windowMs: number;
  /** The unit of `observed` and `threshold` in its verdicts. @default 'none' */
  readonly unit?: Unit | undefined;
  /** Set for a rule on the treatment's success or error rate, whose threshold belongs in a chart of them. */
  readonly rate?: Verdict['rate'];
  /** Set for a rule on how many times the control's durations are tolerated: the quantiles in whose charts its threshold belongs. */
  readonly quantiles?: readonly ('p50' | 'p95' | 'p99')[] | undefined;
  /** The sequential test that the store is to feed for this rule; its evidence comes with each snapshot. */
  readonly evidence?: EvidenceRequest | undefined;
  /** Codes and class names that are critical beside the usual ones when outcomes are recorded. */
  readonly criticalErrorTypes?: readonly string[] | undefined;
  /** The number that the rule evaluates, read from elsewhere; the latest reading comes with each snapshot. */
  readonly signal?: SignalSource | undefined;
  /**
   * `instance`: the rule concerns one instance, such as its memory, so that in a fleet each instance evaluates it.
   * @default 'fleet': the outcomes of all instances
   */
  readonly scope?: 'fleet' | 'instance' | undefined;
  /**
   * It is evaluated and shown, and only says what it would have done: it stops nothing and opens no review, while the other rules of the
   * guard act. @default false
   */
  readonly dryRun?: boolean | undefined;
  /**
   * The verdict on the snapshot at `now` (milliseconds since 1970). A verdict without a unit gets the trigger's.
   */
  evaluate(snapshot: Snapshot, now: number): VerdictOfTrigger;
}

/** Options of every trigger. */
export interface TriggerOptions {
  /** Needed when a guard has two triggers of one kind. @default the kind, for example `success-rate-below` */
  readonly name?: string | undefined;
  /** It only says what it would have done, while the other rules act. @default false */
  readonly dryRun?: boolean | undefined;
}

/** What {@link Trigger.evaluate} returns: a verdict, in which the unit may be left out; whether it runs dry is the trigger's to say. */
export type VerdictOfTrigger = Omit<Verdict, 'unit' | 'dryRun'> & {
  /** Of `observed` and `threshold`. @default the trigger's */
  readonly unit?: Unit | undefined;
};

/** A trigger that compares one number with a threshold in a known unit, as all triggers of this package do. */
export interface ThresholdTrigger extends Trigger {
  /** What the rule compares with. */
  readonly threshold: number;
  /** The unit of `threshold`, and of `observed` in its verdicts. */
  readonly unit: Unit;
  /** The verdict on the snapshot at `now` (milliseconds since 1970). */
  evaluate(snapshot: Snapshot, now: number): Verdict;
}

/** A number from elsewhere that is read repeatedly. */
export interface SignalSource {
  /**
   * Returns the number; undefined, NaN and infinity mean that there is none now. It is never called before the previous call has
   * ended, so it must end when the signal is aborted.
   */
  read(context: SignalContext): Promise<number | SignalReading | undefined>;
  /** How often it is read, in milliseconds. */
  readonly everyMs: number;
  /** The timeout of one read, in milliseconds. */
  readonly timeoutMs: number;
  /** An older reading is ignored, in milliseconds. */
  readonly maxAgeMs: number;
  /** For a rule that needs several readings in a row: whether one belongs to the row, and how many of it are kept. @default none are */
  readonly row?: { readonly has: (value: number) => boolean; readonly most: number } | undefined;
}

/** What a read receives. */
export interface SignalContext {
  /** Aborted when the read exceeds its timeout or the guard is closed. */
  readonly signal: AbortSignal;
  /** A `fetch` over the guard's connection, with its proxy and certificates; a guard always gives it. */
  readonly fetch?: typeof fetch | undefined;
}

/** A number, and when it was true. */
export interface SignalReading {
  /** The number; NaN and infinity mean that there is none. */
  readonly value: number;
  /** Milliseconds since 1970. @default when the read began */
  readonly at?: number | undefined;
}
