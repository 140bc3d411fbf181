import { GuardRecords } from '../../guard/context/guard-records.js';
import { Evaluator } from '../../guard/evaluate/evaluator.js';
import { RolloutEvaluation } from '../../guard/evaluate/rollout-evaluation.js';
import { type RolloutRules, storeFor } from '../../guard/options/rules.js';
import type { LoggedStep } from '../../log/exposure-order.js';
import type { MemoryOutcomeStore } from '../../measure/memory-outcome-store.js';
import type { GuardEvent } from '../../model/event.js';
import type { FlagFacts } from '../../model/flags.js';
import {
  type Decision,
  type Exposure,
  isOfDryRunRules,
  type Outcome,
  type Verdict,
} from '../../model/shapes.js';
import { resolveLogger } from '../../support/logger.js';
import type { ReplayedEvent } from './tracked-events.js';

/** The first time that a rollback trigger breached in an epoch, whatever the others found. */
export interface Firing {
  readonly trigger: string;
  readonly at: number;
  readonly epoch: number;
  /** Where the rollout stood, 0–100; undefined when it is not known. */
  readonly rolloutPercentage: number | undefined;
  /** The outcomes that had been logged by then, this one included. */
  readonly outcomes: number;
  readonly verdict: Verdict;
}

/** An outcome as its line has it. */
export interface LoggedOutcome extends Outcome {
  /** The rollout then, 0–100, for logs without an audit log beside them. */
  readonly percentage: number | undefined;
}

/** What a {@link Replay} works with. */
interface ReplayOptions {
  readonly flagKey: string;
  readonly rules: RolloutRules;
  /** When the replay begins, in milliseconds since 1970. */
  readonly startsAt: number;
  /** The interval of the guard's ticks, in milliseconds. */
  readonly tickMs: number;
  /** Evaluate after every outcome as a guard does, instead of after failures and on ticks. */
  readonly everyOutcome: boolean;
  /** Called for a breach that is the first of its trigger in an epoch. */
  readonly onFiring: (firing: Firing) => void;
  /** Called for what the guard would have reported: reviews, stages, and faults of triggers. */
  readonly onEvent: (event: GuardEvent) => void;
  /** Called for each decision, as in a dry run: one in an epoch. Rules that are in dry run decide nothing. */
  readonly onDecision: (decision: Decision, outcomes: number) => void;
}

const HOUR_MS = 3_600_000;
const LINES_OF_A_CLOCK = 10;

/**
 * Drives a guard's evaluation over what once happened, at the time of a log, as in a dry run: it evaluates after outcomes
 * and on every tick, and decides once in an epoch.
 *
 * Nearly every breach begins with a failure, so nothing is evaluated after a success unless `everyOutcome` is set. What
 * a success completes (the number of outcomes that a rule needs, a comparison with the control) is seen on the next tick.
 *
 * It differs from a live guard in three things. A live guard evaluates outcomes that come within one turn of the event loop
 * together, so that a replay may fire a few outcomes earlier. A log has no samples of memory, no signals from
 * elsewhere, no exposures without an outcome and none of an operation that still ran when the log ended, so that rules on these
 * have less data or none. And what a rule would have prevented happened all the same.
 */
export class Replay {
  readonly #options: ReplayOptions;
  readonly #store: MemoryOutcomeStore;
  readonly #evaluator: Evaluator;
  readonly #evaluation: RolloutEvaluation;
  readonly #firedInEpoch = new Set<string>();
  readonly #silent: Set<string>;
  #facts: FlagFacts;
  #epoch = Number.NEGATIVE_INFINITY;
  #decidedEpoch: number | undefined;
  #now: number;
  #nextTickAt: number;
  /** What happened before that has no influence any more, but for the totals of the epoch. */
  readonly #memoryMs: number;
  #linesBehind = 0;
  #hasRollout = false;
  /** Outcomes have come since the last evaluation. */
  #isPending = false;
  #outcomes = 0;
  #decisions = 0;

  constructor(options: ReplayOptions) {
    const { flagKey, rules, startsAt, tickMs, onEvent } = options;
    const triggers = [...rules.rollback, ...rules.review];
    this.#options = options;
    this.#memoryMs =
      Math.max(HOUR_MS, rules.reviewCloseAfterMs, ...triggers.map(({ windowMs }) => windowMs)) * 2;
    this.#now = startsAt;
    this.#nextTickAt = startsAt + tickMs;
    this.#store = storeFor({ ...rules, flagKey }, startsAt);
    const clock = { now: () => this.#now, monotonic: () => this.#now };
    const logger = resolveLogger(false);
    // It has no observers and writes nothing, so that no one sees where the flag is.
    const unleash = { project: '', environment: '' };
    const records = new GuardRecords({ flagKey, unleash, folder: false, clock, logger, onEvent });
    this.#evaluator = new Evaluator({ ...rules, records });
    const isOn = () => this.#facts.enabled;
    this.#evaluation = new RolloutEvaluation({
      store: this.#store,
      evaluator: this.#evaluator,
      stages: [],
      onRollback: 'disable',
      dryRun: true,
      facts: () => this.#facts,
      isEvaluating: () => isOn() && this.#firedInEpoch.size < rules.rollback.length,
      isReviewing: isOn,
      onDecision: (decision) => this.#breached(decision),
    });
    this.#silent = new Set(triggers.map(({ name }) => name));
    this.#facts = factsOf(flagKey, true, undefined);
  }

  /** Triggers that never had enough data. */
  get silentTriggers(): readonly string[] {
    return [...this.#silent];
  }

  /** Lets time pass up to `at`, with its ticks. A time before the present one changes nothing. */
  advance(at: number): void {
    const { tickMs } = this.#options;
    const silentFrom = this.#now + this.#memoryMs;
    while (this.#nextTickAt <= at) {
      // A silence of years, or a line with a wrong time, costs no more than that of some hours.
      if (this.#nextTickAt > silentFrom && this.#nextTickAt < at - this.#memoryMs) {
        this.#nextTickAt += Math.floor((at - this.#memoryMs - this.#nextTickAt) / tickMs + 1) * tickMs;
      }
      this.#now = this.#nextTickAt;
      this.#nextTickAt += tickMs;
      this.#tick();
    }
    this.#now = Math.max(this.#now, at);
  }

  /** One line of a time long past is a line with a wrong time; many are a clock that was ahead and has been set back. */
  #setBack(at: number): void {
    this.#linesBehind = at < this.#now - this.#memoryMs ? this.#linesBehind + 1 : 0;
    if (this.#linesBehind < LINES_OF_A_CLOCK) return;
    this.#linesBehind = 0;
    this.#now = at;
    this.#nextTickAt = at + this.#options.tickMs;
  }

  /** Applies an event of the audit log, which shows how the rollout changed. */
  rollout(event: GuardEvent): void {
    this.advance(event.at);
    // Of the rollout that ends: the last outcome may be the one for which the guard ended it.
    if (event.type === 'rollout-changed' || event.type === 're-armed') this.#evaluatePending();
    switch (event.type) {
      case 'started':
        if (event.epoch > this.#epoch) this.#beginEpoch(event.epoch, true);
        break;
      case 're-armed':
        this.#evaluator.forgetReviews();
        this.#beginEpoch(event.epoch, false);
        break;
      case 'rollout-changed':
        if (event.epoch > this.#epoch) this.#beginEpoch(event.epoch, this.#facts.enabled || !event.enabled);
        this.#facts = factsOf(this.#facts.key, event.enabled, event.rolloutPercentage);
        // A guard's first tick comes with its start.
        if (!this.#hasRollout) this.#tick();
        this.#hasRollout = true;
        break;
      case 'complaint':
        this.#store.recordComplaint(exposureOf(event, this.#facts.key), event.at);
        break;
    }
  }

  /** What a user did, for the metrics of the rules. */
  track({ at, ...event }: ReplayedEvent): void {
    this.advance(at);
    this.#store.metrics.track(event, at);
  }

  /** The next exposure, or the next outcome, which is evaluated. */
  step({ type, outcome }: LoggedStep<LoggedOutcome>): void {
    if (type === 'exposure') this.#expose(outcome);
    else this.#record(outcome);
  }

  #expose({ exposure, percentage, at }: LoggedOutcome): void {
    this.advance(Math.min(exposure.at, at));
    if (exposure.epoch > this.#epoch) {
      this.#evaluatePending();
      this.#beginEpoch(exposure.epoch, true);
      if (percentage !== undefined) this.#facts = factsOf(this.#facts.key, true, percentage);
    }
    this.#store.expose(exposure);
  }

  #record(outcome: LoggedOutcome): void {
    this.#setBack(outcome.at);
    this.advance(outcome.at);
    this.#outcomes += 1;
    this.#store.record(outcome);
    this.#isPending = true;
    if (this.#options.everyOutcome || outcome.result === 'failure') this.#evaluatePending();
  }

  /** Evaluates what has not been evaluated yet, as long as the flag is on. */
  #evaluatePending(): void {
    if (this.#isPending) this.#evaluation.evaluate(this.#now);
    this.#isPending = false;
  }

  #tick(): void {
    if (!this.#facts.enabled) return;
    this.#evaluation.tick(this.#now);
    this.#isPending = false;
    if (this.#silent.size === 0) return;
    for (const { trigger, status } of this.#evaluator.verdicts) {
      if (status !== 'insufficient-data') this.#silent.delete(trigger);
    }
  }

  #breached(decision: Decision): void {
    const { onFiring, onDecision } = this.#options;
    const { at, epoch, rolloutPercentage } = decision;
    for (const verdict of decision.verdicts) {
      const { trigger } = verdict;
      this.#silent.delete(trigger);
      if (this.#firedInEpoch.has(trigger)) continue;
      this.#firedInEpoch.add(trigger);
      onFiring({ trigger, at, epoch, rolloutPercentage, outcomes: this.#outcomes, verdict });
    }
    if (isOfDryRunRules(decision) || this.#decidedEpoch === this.#epoch) return;
    this.#decidedEpoch = this.#epoch;
    this.#decisions += 1;
    onDecision({ ...decision, id: `replay-${this.#decisions}` }, this.#outcomes);
  }

  #beginEpoch(epoch: number, keepWindows: boolean): void {
    this.#epoch = epoch;
    this.#firedInEpoch.clear();
    this.#store.beginEpoch(epoch, this.#now, { keepWindows });
  }
}

function factsOf(key: string, enabled: boolean, rolloutPercentage: number | undefined): FlagFacts {
  const unknown = { strategy: undefined, project: undefined, type: undefined };
  return { key, enabled, rolloutPercentage, ...unknown, revision: `${enabled} ${rolloutPercentage}` };
}

/** The audit log has the arm of a complaint, and not the user. */
function exposureOf(
  { arm, epoch, at }: Extract<GuardEvent, { type: 'complaint' }>,
  flagKey: string,
): Exposure {
  const unknown = { variant: undefined, reason: undefined, errorCode: undefined, targetingKey: undefined };
  return { flagKey, arm, epoch, at, ...unknown };
}
