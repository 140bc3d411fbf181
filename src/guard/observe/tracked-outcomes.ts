import { boundedErrorType } from '../../measure/error-counts.js';
import type { MemoryOutcomeStore } from '../../measure/memory-outcome-store.js';
import { MAX_METRIC_VALUE } from '../../measure/metrics/metric-trials.js';
import type { TrackedEvent } from '../../model/flags.js';
import type { Attributes, Exposure, Outcome } from '../../model/shapes.js';
import type { GuardContext } from '../context/guard-context.js';
import type { OutcomeRecorder } from './outcome-recorder.js';

/** What a user of the service complained about, in the application's words. */
export interface ComplaintReport {
  /** Who complained: the key with which the flag was evaluated for that user. */
  readonly targetingKey: string;
  /** Values for the audit log, such as where the complaint came from. It should identify no user. */
  readonly attributes?: Attributes | undefined;
}

/** Whose event it is. */
export interface TrackContext {
  /** The key with which the flag was evaluated for that user. */
  readonly targetingKey?: string | undefined;
}

/** What belongs to an event, as OpenFeature's `TrackingEventDetails`. */
export interface TrackDetails {
  /** The number of a numeric or ratio metric. */
  readonly value?: number | undefined;
  readonly [name: string]: unknown;
}

/** What `client.track()` would bring. */
export function trackedEvent(name: string, context: TrackContext, details: TrackDetails): TrackedEvent {
  const { value, ...rest } = details;
  return { name, targetingKey: context.targetingKey, value, details: rest };
}

/** Attributes outcomes and complaints, which the application reports by the user's key, to the arm that the user got. */
export class TrackedOutcomes {
  readonly #context: GuardContext;
  readonly #recorder: OutcomeRecorder;
  readonly #own: MemoryOutcomeStore;
  /** The names of the events that metrics of the application's own are made of. */
  readonly metricEvents: ReadonlySet<string>;
  #unattributedComplaints = 0;

  /** @param own - What this process records. */
  constructor(context: GuardContext, recorder: OutcomeRecorder, own: MemoryOutcomeStore) {
    this.#context = context;
    this.#recorder = recorder;
    this.#own = own;
    this.metricEvents = own.metrics.metricEvents;
  }

  /** Complaints of users of whom no evaluation is known. */
  get unattributedComplaints(): number {
    return this.#unattributedComplaints;
  }

  /**
   * Records `client.track('<flag>', …)`, `client.track('<flag>.complaint', …)` and the events of metrics; others are not the guard's.
   */
  track(event: TrackedEvent): void {
    const { flagKey } = this.#context;
    const { name, targetingKey, details } = event;
    if (name === flagKey) this.#outcome(`track('${name}')`, event);
    else if (name === `${flagKey}.complaint`) this.#complaint(`track('${name}')`, targetingKey, details);
    if (this.metricEvents.has(name)) this.#metric(event);
  }

  /** Records `guard.reportComplaint(…)`. Never throws. */
  complaint(report: ComplaintReport): void {
    const what = 'reportComplaint()';
    // A caller in JavaScript may pass anything, and a complaint must not fail the request that brings it.
    this.#context.records.safely(what, () => this.#complaint(what, report.targetingKey, report.attributes));
  }

  #outcome(what: string, event: TrackedEvent): void {
    const { clock, records, criticalErrorTypes } = this.#context;
    const at = clock.now();
    const exposure = this.#exposureOf(event.targetingKey, at);
    const outcome = exposure && outcomeOfTrack(event, exposure, criticalErrorTypes, at);
    if (outcome === undefined) {
      this.#recorder.observations.unattributed();
      records.fault(what, this.#unattributed('an outcome'));
    }
    if (typeof outcome === 'string') records.fault(what, outcome);
    else if (outcome !== undefined) this.#recorder.record(outcome);
  }

  /** That a user is not known is no fault: an application tracks events of users who never meet this flag. */
  #metric({ name, targetingKey, value }: TrackedEvent): void {
    const { clock, records } = this.#context;
    for (const { trigger, result } of this.#own.metrics.track({ name, targetingKey, value }, clock.now())) {
      if (result === 'unattributed') continue;
      const got = typeof value === 'number' ? String(value) : typeof value;
      records.fault(
        `track('${name}')`,
        `the metric ${trigger} needs a finite "value", not below its minimum and at most ${MAX_METRIC_VALUE}, got ${got}: it is left out.`,
      );
    }
  }

  #complaint(what: string, targetingKey: string | undefined, details?: TrackedEvent['details']): void {
    const { clock, records } = this.#context;
    const at = clock.now();
    // Users complain later than code reports: as long as the user is remembered, the arm is known.
    const exposure = this.#exposureOf(targetingKey, at, Number.POSITIVE_INFINITY);
    if (exposure === undefined) {
      this.#unattributedComplaints += 1;
      records.fault(what, this.#unattributed('a complaint'));
      return;
    }
    this.#own.recordComplaint(exposure, at);
    const { arm, epoch } = exposure;
    records.emit({ type: 'complaint', at, epoch, arm, attributes: attributesOf(details ?? {}) });
  }

  #exposureOf(targetingKey: string | undefined, at: number, maxAgeMs?: number): Exposure | undefined {
    return targetingKey === undefined ? undefined : this.#recorder.ledger.find(targetingKey, at, maxAgeMs);
  }

  #unattributed(what: string): string {
    return `${what} could not be attributed: no evaluation of ${this.#context.flagKey} is known for its targeting key.`;
  }
}

/**
 * Reads an outcome from `client.track('<flag>', context, { value, success, errorType, critical, … })`: `value` is the
 * duration in milliseconds, `success` is required, everything else becomes an attribute. Pure.
 *
 * @param criticalErrorTypes - Error types that are critical without saying so.
 * @returns the outcome, or one sentence on what is wrong with the event.
 */
export function outcomeOfTrack(
  event: TrackedEvent,
  exposure: Exposure,
  criticalErrorTypes: ReadonlySet<string>,
  at: number,
): Outcome | string {
  const { success, errorType, critical, ...rest } = event.details;
  if (typeof success !== 'boolean') {
    return `track('${event.name}') needs { success: true | false } in its details, got ${typeof success}.`;
  }
  const failedWith = success ? undefined : errorTypeOfTrack(errorType);
  const namedCritical = failedWith !== undefined && criticalErrorTypes.has(failedWith);
  return {
    exposure,
    result: success ? 'success' : 'failure',
    durationMs: event.value,
    errorType: failedWith,
    critical: namedCritical || (!success && critical === true),
    fallbackUsed: false,
    userSucceeded: success,
    attempts: 1,
    attributes: attributesOf(rest),
    at,
  };
}

function errorTypeOfTrack(errorType: unknown): string {
  return typeof errorType === 'string' && errorType !== '' ? boundedErrorType(errorType) : 'unnamed';
}

/** As in the outcome log: what a user of the service enters must not fill the disk. */
const MAX_ATTRIBUTES = 32;
const MAX_TEXT_LENGTH = 256;

/**
 * The numbers, texts and booleans among the details, at most 32, with names and texts cut at 256 characters; undefined when there are
 * none.
 */
export function attributesOf(details: Readonly<Record<string, unknown>>): Attributes | undefined {
  const plain: [string, Attributes[string]][] = [];
  for (const [name, value] of Object.entries(details)) {
    const bounded = typeof value === 'string' ? value.slice(0, MAX_TEXT_LENGTH) : value;
    // JSON has no form for the other numbers.
    if (!isPlain(bounded) || plain.length === MAX_ATTRIBUTES) continue;
    plain.push([name.slice(0, MAX_TEXT_LENGTH), bounded]);
  }
  return plain.length === 0 ? undefined : Object.fromEntries(plain);
}

function isPlain(value: unknown): value is Attributes[string] {
  return typeof value === 'string' || typeof value === 'boolean' || Number.isFinite(value);
}
