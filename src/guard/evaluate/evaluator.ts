import type { FlagFacts } from '../../model/flags.js';
import type { Verdict } from '../../model/shapes.js';
import type { Snapshot } from '../../model/snapshot.js';
import { type StageProgress, stageAt } from '../../model/stage.js';
import type { OpenReview, ReportedState } from '../../model/state.js';
import { ALERT_PREFIX } from '../../model/words/control-events.js';
import { atOnce } from '../../support/async/callbacks.js';
import type { SignalPoller } from '../../triggers/signals/signal-poller.js';
import type { Trigger, VerdictOfTrigger } from '../../triggers/trigger.js';
import type { GuardRecords } from '../context/guard-records.js';
import type { RolloutRules } from '../options/rules.js';
import { alertVerdicts, type FiringAlert } from './alert-verdicts.js';
import { stepReviews } from './reviews.js';
import { evaluateStage } from './stages.js';

const NONE: readonly Verdict[] = [];

/** What {@link Evaluator} works with; a guard's context fits. */
interface EvaluatorOptions extends RolloutRules {
  readonly records: Pick<GuardRecords, 'emit' | 'fault'>;
}

/** Applies the user's triggers and stages to snapshots, and remembers the latest verdicts. */
export class Evaluator {
  readonly #options: EvaluatorOptions;
  readonly #signals: Pick<SignalPoller, 'values'> | undefined;
  #rollbackVerdicts: readonly Verdict[] = [];
  #reviewVerdicts: readonly Verdict[] = [];
  #openReviews: readonly OpenReview[] = [];
  #stage: StageProgress | undefined;
  #reportedStage: ReportedState['stage'];
  #overdueEpoch: number | undefined;
  #completedEpoch: number | undefined;
  readonly #hasDryRuns: boolean;
  #dryRuns: ReportedState['dryRuns'];
  readonly #failed = new Set<string>();
  /** Kept here for the watch of the token. */
  token: ReportedState['token'];
  /** Whether an operator has muted a trigger: it is evaluated and shown, and has no effect. */
  readonly isMuted: (trigger: string, now: number) => boolean;
  readonly #alerts: () => readonly FiringAlert[];
  readonly #blind: () => readonly string[];

  /**
   * @param signals - The numbers from elsewhere that triggers evaluate. Without them, such triggers have no data.
   * @param isMuted - See {@link isMuted}. Without it, none is.
   * @param alerts - Those that fire.
   * @param blind - Why the guard is blind now: codes.
   */
  constructor(
    options: EvaluatorOptions,
    signals?: Pick<SignalPoller, 'values'>,
    isMuted: (trigger: string, now: number) => boolean = () => false,
    alerts: () => readonly FiringAlert[] = () => [],
    blind: () => readonly string[] = () => [],
  ) {
    this.#alerts = alerts;
    this.#blind = blind;
    this.#options = options;
    this.#hasDryRuns = options.rollback.some(({ dryRun }) => dryRun === true);
    this.#signals = signals;
    this.isMuted = isMuted;
  }

  /** The latest verdict of each trigger: those that roll back, then the reviews. */
  get verdicts(): readonly Verdict[] {
    return [...this.#rollbackVerdicts, ...this.#reviewVerdicts];
  }

  /** The names of triggers that failed when they were evaluated last. */
  get failed(): ReadonlySet<string> {
    return this.#failed;
  }

  /** Reviews that wait for an operator; none of a rule in dry run does. */
  get openReviews(): readonly OpenReview[] {
    return this.#openReviews.filter(
      ({ acknowledged, verdict }) => acknowledged !== true && verdict.dryRun !== true,
    );
  }

  /** The stage that Unleash's percentage belongs to; undefined when it belongs to none or the flag is off. */
  get stage(): StageProgress | undefined {
    return this.#stage;
  }

  /**
   * The rollback verdicts that breach.
   *
   * @param scope - `instance`: only of the triggers about the process itself.
   */
  breaches(snapshot: Snapshot, scope: 'all' | 'instance'): readonly Verdict[] {
    const { rollback } = this.#options;
    const rules = scope === 'all' ? rollback : rollback.filter((rule) => rule.scope === 'instance');
    this.#rollbackVerdicts = this.#evaluate(rules, snapshot);
    return this.#breaching(false, snapshot.at);
  }

  /** The rollback verdicts of rules in dry run that breach, after {@link breaches}: those that did not before in this epoch. */
  newDryRuns({ epoch, at }: Snapshot): readonly Verdict[] {
    if (!this.#hasDryRuns) return NONE;
    const known = this.#dryRuns?.epoch === epoch ? this.#dryRuns.triggers : [];
    const found = this.#breaching(true, at).filter(({ trigger }) => !known.includes(trigger));
    if (found.length > 0) {
      this.#dryRuns = { epoch, triggers: [...known, ...found.map(({ trigger }) => trigger)] };
    }
    return found;
  }

  #breaching(isDryRun: boolean, now: number): readonly Verdict[] {
    return this.#rollbackVerdicts.filter(
      ({ status, trigger, opens, dryRun = false }) =>
        status === 'breach' && opens === undefined && dryRun === isDryRun && !this.isMuted(trigger, now),
    );
  }

  /** An operator closes the review that this trigger opened. */
  acknowledge(trigger: string): void {
    this.#openReviews = this.#openReviews.map((review) =>
      review.trigger === trigger ? { ...review, acknowledged: true } : review,
    );
  }

  /** Drops the open reviews without reporting them as closed. */
  forgetReviews(): void {
    this.#openReviews = [];
  }

  /** What has been reported, for the evaluator that resumes from here: after a restart, or in another process. */
  get reportedState(): ReportedState {
    return {
      stage: this.#reportedStage,
      openReviews: this.#openReviews,
      overdueEpoch: this.#overdueEpoch,
      completedEpoch: this.#completedEpoch,
      dryRuns: this.#dryRuns,
      token: this.token,
    };
  }

  /** Resumes where another evaluator stopped. Triggers that this one does not have are left out. */
  restore({ stage, openReviews, overdueEpoch, completedEpoch, dryRuns, token }: ReportedState): void {
    this.token = token;
    this.#dryRuns = dryRuns;
    this.#overdueEpoch = overdueEpoch;
    this.#completedEpoch = completedEpoch;
    const known = new Set([
      ...[...this.#options.rollback, ...this.#options.review].map(({ name }) => name),
      SHARED_OUTAGE,
    ]);
    this.#reportedStage = stage;
    this.#openReviews = openReviews.filter(
      ({ trigger }) => known.has(trigger) || trigger.startsWith(ALERT_PREFIX),
    );
  }

  /**
   * Evaluates reviews and the stage, and reports what has changed.
   *
   * @returns whether the {@link reportedState} has changed in what must survive this process.
   */
  review(snapshot: Snapshot, facts: FlagFacts | undefined): boolean {
    const { review, reviewCloseAfterMs, records } = this.#options;
    const { epoch, at: now } = snapshot;
    const before = reportedKey(this.reportedState);
    this.#reviewVerdicts = this.#evaluate(review, snapshot);
    const acting = this.#rollbackVerdicts.filter(
      ({ trigger, dryRun }) => dryRun !== true && !this.isMuted(trigger, now),
    );
    const isOpen = (name: string) => this.#openReviews.some(({ trigger }) => trigger === name);
    // A review that is open stays until its trigger is ok, or an operator acknowledges it.
    const reviewed = this.#rollbackVerdicts.filter(
      ({ trigger, opens }) => opens !== undefined || isOpen(trigger),
    );
    const candidates = [...this.#reviewVerdicts, ...reviewed, ...sharedOutage(acting)].filter(
      ({ trigger }) => !this.isMuted(trigger, now) || isOpen(trigger),
    );
    const alerts = alertVerdicts(this.#alerts(), this.#openReviews, now).filter(
      ({ trigger }) => !this.isMuted(trigger, now) || isOpen(trigger),
    );
    const [ofAlerts, ofTriggers] = [true, false].map((isOfAlert) =>
      this.#openReviews.filter(({ trigger }) => trigger.startsWith(ALERT_PREFIX) === isOfAlert),
    );
    const steps = [
      stepReviews(ofTriggers!, candidates, facts, now, reviewCloseAfterMs),
      // The monitoring system has waited already.
      stepReviews(ofAlerts!, alerts, facts, now, 0),
    ];
    this.#openReviews = steps.flatMap(({ open }) => open);
    for (const { opened, closed } of steps) {
      for (const verdict of opened) records.emit({ type: 'review-opened', at: now, epoch, verdict });
      for (const verdict of closed) records.emit({ type: 'review-closed', at: now, epoch, verdict });
    }
    this.#evaluateStage(snapshot, facts);
    return reportedKey(this.reportedState) !== before;
  }

  /** Reports the status of a stage once within an epoch, and again when it has changed, or when a step can be advised at last. */
  #evaluateStage(snapshot: Snapshot, facts: FlagFacts | undefined): void {
    const { stages, records } = this.#options;
    const { epoch, at } = snapshot;
    const current = facts?.enabled ? stageAt(stages, facts.rolloutPercentage) : undefined;
    const reasons = this.openReviews.map(({ trigger }) => `${trigger} is under review.`);
    const reported = this.#reportedStage;
    const wasMissed = reported?.epoch === epoch && reported.status === 'missed';
    const progress =
      current && evaluateStage(stages, current.index, snapshot, reasons, wasMissed, this.#blind);
    this.#stage = progress;
    if (progress === undefined) return;
    const { index, status } = progress;
    this.#checkDeadline(progress, epoch, at);
    const isBlind = progress.blind !== undefined;
    const isKnown = reported?.epoch === epoch && reported.index === index && reported.status === status;
    if (isKnown && (isBlind || !reported.isBlind)) return;
    this.#reportedStage = { epoch, index, status, ...(isBlind ? { isBlind } : {}) };
    records.emit({ type: 'stage', at, epoch, progress });
    if (status !== 'met' || isBlind || index < stages.length - 1 || this.#completedEpoch === epoch) return;
    this.#completedEpoch = epoch;
    records.emit({ type: 'completed', at, epoch, percentage: progress.stage.percentage });
  }

  /** Once within an epoch, whatever becomes of the stage after it. */
  #checkDeadline(progress: StageProgress, epoch: number, at: number): void {
    const { stage, status, elapsedMs } = progress;
    if (stage.deadlineMs === undefined || elapsedMs < stage.deadlineMs || status === 'met') return;
    if (this.#overdueEpoch === epoch) return;
    this.#overdueEpoch = epoch;
    this.#options.records.emit({ type: 'stage-overdue', at, epoch, progress });
  }

  #evaluate(triggers: readonly Trigger[], counted: Snapshot): Verdict[] {
    const now = counted.at;
    const signals = this.#signals?.values(now) ?? [];
    const snapshot = signals.length === 0 ? counted : { ...counted, signals };
    return triggers.flatMap((trigger) => {
      try {
        const verdict = atOnce(trigger.evaluate(snapshot, now));
        if (typeof verdict?.status !== 'string') throw new TypeError('it returned no verdict');
        this.#failed.delete(trigger.name);
        return [completed(verdict, trigger)];
      } catch (error) {
        this.#failed.add(trigger.name);
        this.#options.records.fault(`the trigger ${trigger.name}`, error);
        return [];
      }
    });
  }
}

/** A complete verdict is copied only if it must be: some of its properties are computed when they are first read. */
function completed(verdict: VerdictOfTrigger, trigger: Trigger): Verdict {
  const unit = verdict.unit ?? trigger.unit ?? 'none';
  const complete = verdict.unit === unit ? (verdict as Verdict) : { ...verdict, unit };
  // The trigger alone says whether it runs dry.
  if (trigger.dryRun !== true) {
    return complete.dryRun === undefined ? complete : { ...complete, dryRun: undefined };
  }
  // The object is the trigger's, which may keep it. What is computed when it is first read stays so in the copy.
  const own = { ...Object.getOwnPropertyDescriptors(complete), dryRun: { value: true, enumerable: true } };
  return Object.create(Object.getPrototypeOf(complete), own) as Verdict;
}

/** The name of the review of limits that both arms break. */
export const SHARED_OUTAGE = 'shared-outage';

/** Limits that both arms break are one outage, and one review, however many limits there are. */
function sharedOutage(verdicts: readonly Verdict[]): Verdict[] {
  const limits = verdicts.filter(({ blame, status }) => blame !== undefined || status === 'ok');
  const found = limits.find(({ blame }) => blame === 'shared') ?? limits[0];
  if (found === undefined) return [];
  const { sampleSize, threshold, unit, windowMs, observed, rate, blame, message } = found;
  const status = blame === 'shared' ? 'breach' : 'ok';
  return [
    { trigger: SHARED_OUTAGE, status, observed, threshold, unit, rate, sampleSize, windowMs, message, blame },
  ];
}

/** Differs when something changed that must survive this process; fresh figures of an open review need not. */
function reportedKey({ openReviews, ...reported }: ReportedState): string {
  const reviews = openReviews.map(({ verdict: _, ...review }) => review);
  return JSON.stringify([reported, reviews]);
}
