import type { Snapshot, Unit, Verdict } from '../model/shapes.js';
import type { EvidenceRequest } from '../statistics/evidence-request.js';

/** A rule: data, and a pure function of a snapshot and the time. It reads no clock and does no I/O. */
export interface Trigger {
  /** Kebab-case, unique among a guard's triggers, for example `success-rate-below`. */
  readonly name: string;
  /**
   * The sliding window that the rule looks at, in milliseconds; the store keeps each length asked for. 0 for a rule that
   * looks at the whole epoch or at a signal.
   */
  readonly windowMs: number;
  /** Of what its verdicts observe, and of their threshold. @default 'none' */
  readonly unit?: Unit | undefined;
  /** Set for a rule on the treatment's success or error rate, whose threshold belongs in a chart of them. */
  readonly rate?: Verdict['rate'];
  /** The anytime-valid test that the store is to feed for this rule; its evidence comes with each snapshot. */
  readonly evidence?: EvidenceRequest | undefined;
  /** Codes and class names that are critical beside the usual ones when outcomes are recorded. */
  readonly criticalErrorTypes?: readonly string[] | undefined;
  /** What the rule judges, read from elsewhere; what was read comes with each snapshot. */
  readonly signal?: SignalSource | undefined;
  /**
   * `instance`: the rule looks at what belongs to one instance, such as its memory, so that in a fleet each of them judges it.
   * @default `fleet`: over the outcomes of all
   */
  readonly scope?: 'fleet' | 'instance' | undefined;
  /** What the snapshot says under this rule at `now` (milliseconds since 1970). */
  evaluate(snapshot: Snapshot, now: number): Verdict;
}

/** A number from elsewhere that is read again and again. */
export interface SignalSource {
  /**
   * Gives the number; undefined, NaN and infinity mean that there is none now. It is never called again before it has
   * ended, so it must end when the signal is aborted.
   */
  read(context: SignalContext): Promise<number | SignalReading | undefined>;
  /** How often it is read, in milliseconds. */
  readonly everyMs: number;
  /** How long one read may take, in milliseconds. */
  readonly timeoutMs: number;
  /** A reading older than this is none, in milliseconds. */
  readonly maxAgeMs: number;
}

/** What a read is given. */
export interface SignalContext {
  /** Aborted when the read takes too long or the guard ends. */
  readonly signal: AbortSignal;
}

/** A number, and when it was true. */
export interface SignalReading {
  readonly value: number;
  /** Milliseconds since 1970. @default when the read began */
  readonly at?: number | undefined;
}
