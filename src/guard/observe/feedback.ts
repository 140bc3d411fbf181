import type { ExposureLedger } from '../../measure/exposure-ledger.js';
import type { TrackedEvent } from '../../model/flags.js';
import type { Attributes, Exposure, Outcome } from '../../model/shapes.js';
import type { Clock } from '../../support/clock.js';
import type { GuardRecords } from '../records/guard-records.js';
import { attributesOf, outcomeOfTrack } from './tracking.js';

/** What a user of the service complained about, in the application's words. */
export interface ComplaintReport {
  /** Who complained: the key with which the flag was evaluated for that user. */
  readonly targetingKey: string;
  /** Values for the audit log, such as where the complaint came from. It should name no person. */
  readonly attributes?: Attributes | undefined;
}

/** What {@link Feedback} works with. */
export interface FeedbackOptions {
  readonly flagKey: string;
  readonly ledger: ExposureLedger;
  readonly clock: Clock;
  readonly records: GuardRecords;
  readonly criticalErrorTypes: ReadonlySet<string>;
  readonly onOutcome: (outcome: Outcome) => void;
  readonly onComplaint: (exposure: Exposure, at: number) => void;
}

const COMPLAINT = 'reportComplaint()';

/** Finds the arm that outcomes and complaints belong to which the application reports by the user's key. */
export class Feedback {
  readonly #options: FeedbackOptions;
  #unattributedComplaints = 0;

  constructor(options: FeedbackOptions) {
    this.#options = options;
  }

  /** Complaints of users of whom no evaluation is known. */
  get unattributedComplaints(): number {
    return this.#unattributedComplaints;
  }

  /** Takes `client.track('<flag>', …)` and `client.track('<flag>.complaint', …)`; other events are not the guard's. */
  track(event: TrackedEvent): void {
    const { flagKey } = this.#options;
    if (event.name === flagKey) this.#outcome(event);
    else if (event.name === `${flagKey}.complaint`) {
      this.#complaint(`track('${event.name}')`, event.targetingKey, event.details);
    }
  }

  /** Takes `guard.reportComplaint(…)`. Never throws. */
  complaint(report: ComplaintReport): void {
    // The guard's types bind nobody who writes JavaScript, and a complaint must not fail the request that brings it.
    try {
      this.#complaint(COMPLAINT, report.targetingKey, report.attributes);
    } catch (error) {
      this.#options.records.fault(COMPLAINT, error);
    }
  }

  #outcome(event: TrackedEvent): void {
    const { clock, ledger, records, criticalErrorTypes, onOutcome } = this.#options;
    const now = clock.now();
    const what = `track('${event.name}')`;
    const exposure = event.targetingKey === undefined ? undefined : ledger.find(event.targetingKey, now);
    if (exposure === undefined) {
      records.fault(what, this.#unattributed('an outcome'));
      return;
    }
    const outcome = outcomeOfTrack(event, exposure, criticalErrorTypes, now);
    if (typeof outcome === 'string') records.fault(what, outcome);
    else onOutcome(outcome);
  }

  #complaint(
    what: string,
    targetingKey: string | undefined,
    details: Readonly<Record<string, unknown>> | undefined,
  ): void {
    const { clock, ledger, records, onComplaint } = this.#options;
    const at = clock.now();
    // People complain later than code reports: as long as the user is remembered, the arm is known.
    const exposure =
      targetingKey === undefined ? undefined : ledger.find(targetingKey, at, Number.POSITIVE_INFINITY);
    if (exposure === undefined) {
      this.#unattributedComplaints += 1;
      records.fault(what, this.#unattributed('a complaint'));
      return;
    }
    onComplaint(exposure, at);
    const { arm, epoch } = exposure;
    records.emit({ type: 'complaint', at, epoch, arm, attributes: attributesOf(details ?? {}) });
  }

  #unattributed(what: string): string {
    return `${what} could not be attributed: no evaluation of ${this.#options.flagKey} is known for its targeting key.`;
  }
}
