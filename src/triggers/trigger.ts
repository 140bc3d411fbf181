import type { Snapshot, Verdict } from '../flow.js';
import type { EvidenceRequest } from '../statistics/evidence-request.js';

/** A rule: data, and a pure function of a snapshot and the time. It reads no clock and does no I/O. */
export interface Trigger {
  /** Kebab-case, unique among a guard's triggers, for example `success-rate-below`. */
  readonly name: string;
  /**
   * The sliding window that the rule looks at, in milliseconds; the store keeps each length asked for. 0 for a rule that
   * looks at the whole epoch.
   */
  readonly windowMs: number;
  /** The anytime-valid test that the store is to feed for this rule; its evidence comes with each snapshot. */
  readonly evidence?: EvidenceRequest | undefined;
  /** Codes and class names that are critical beside the usual ones when outcomes are recorded. */
  readonly criticalErrorTypes?: readonly string[] | undefined;
  /** What the snapshot says under this rule at `now` (milliseconds since 1970). */
  evaluate(snapshot: Snapshot, now: number): Verdict;
}
