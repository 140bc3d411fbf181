import type { GuardEvent } from '../model/event.js';
import type { Arm } from '../model/shapes.js';
import type { DecisionReport, ReviewReport, RolloutChange, StageReport } from './rollout-report.js';

type Writable<T> = { -readonly [Key in keyof T]: T[Key] };

/** However long a guard has been running: the latest of each kind. */
const MAX_OF_A_KIND = 200;

/** Puts a guard's events together to what became of its stages, decisions and reviews. Memory is bounded. */
export class AuditStory {
  readonly rollout: RolloutChange[] = [];
  readonly decisions: Writable<DecisionReport>[] = [];
  readonly reviews: Writable<ReviewReport>[] = [];
  readonly notes: { readonly at: number; readonly text: string }[] = [];
  readonly stages: Writable<Omit<StageReport, 'outcomes' | 'successRate'>>[] = [];
  readonly complaints: Record<Arm, number> = { treatment: 0, control: 0 };
  /** The guard ended in order, and has not been started since. */
  hasEnded = false;
  lastEventAt: number | undefined;
  events = 0;
  /** A stop whose decision has not been read yet. */
  readonly #stoppedHere = new Map<string, number>();

  /** Takes up the next event. */
  add(event: GuardEvent): void {
    this.events += 1;
    this.lastEventAt = event.at;
    switch (event.type) {
      case 'started':
        this.hasEnded = false;
        this.#note(event.at, `The guard started (epoch ${event.epoch}, ${event.status}).`);
        break;
      case 'closed':
        this.hasEnded = true;
        this.#note(event.at, 'The guard ended.');
        break;
      case 'fleet-connection':
        this.#note(event.at, event.problem ?? 'The shared store of the fleet answers again.');
        break;
      case 'fault':
        this.#note(event.at, `Fault: ${event.what}: ${event.message}`);
        break;
      case 'rollout-changed': {
        const { at, epoch, enabled, rolloutPercentage } = event;
        keep(this.rollout, { at, epoch, enabled, percentage: rolloutPercentage });
        break;
      }
      case 'stage':
        this.#stage(event);
        break;
      case 'advanced':
        this.#note(event.at, `The guard moved the rollout from ${event.from} % to ${event.to} % in Unleash.`);
        break;
      case 'complaint':
        this.complaints[event.arm] += 1;
        break;
      case 'review-opened':
        keep(this.reviews, {
          epoch: event.epoch,
          openedAt: event.at,
          closedAt: undefined,
          verdict: event.verdict,
        });
        break;
      case 'review-closed':
        for (const review of this.#openReviews(event.verdict.trigger)) review.closedAt = event.at;
        break;
      case 'stepped-back':
        this.#decision(event.decisionId, (decision) => {
          decision.steppedBackAt = event.at;
        });
        break;
      case 're-armed':
        // A person who turns the flag on again has looked.
        for (const review of this.#openReviews()) review.closedAt = event.at;
        this.#decision(undefined, (decision) => {
          decision.reArmedAt = event.at;
        });
        break;
      default:
        this.#stop(event);
    }
  }

  #stop(event: GuardEvent): void {
    switch (event.type) {
      case 'decided':
        keep(this.decisions, {
          ...untouched(event.decision),
          stoppedHereAt: this.#stoppedHere.get(event.decision.id),
        });
        this.#stoppedHere.clear();
        break;
      case 'stopped-here':
        // Told before the decision, and again by every start that finds the stop in its journal.
        if (this.decisions.every(({ decision }) => decision.id !== event.decisionId)) {
          this.#stoppedHere.clear();
          this.#stoppedHere.set(event.decisionId, event.at);
        }
        break;
      case 'stop-failed':
        this.#decision(event.decisionId, (decision) => {
          const { code, message } = event.failure;
          decision.failures = [...decision.failures, { at: event.at, code, message }].slice(-20);
        });
        break;
      case 'action-required':
        this.#decision(event.decisionId, (decision) => {
          decision.actionRequired = event.message;
        });
        break;
      case 'stopped':
        this.#decision(event.decisionId, (decision) => {
          decision.stoppedInUnleashAt = event.at;
          decision.confirmedBy = event.confirmedBy;
        });
        break;
      case 'stepped-back':
        this.#decision(event.decisionId, (decision) => {
          decision.steppedBackAt = event.at;
        });
        break;
      case 'unleash-history':
        this.#decision(undefined, (decision) => {
          if (event.change === 'off') decision.turnedOffBy = event.by;
          else decision.turnedOnBy = event.by;
        });
    }
  }

  #stage({ at, epoch, progress }: Extract<GuardEvent, { type: 'stage' }>): void {
    const entry = { at, status: progress.status };
    const known = this.stages.find(
      (stage) => stage.epoch === epoch && stage.progress.index === progress.index,
    );
    if (known === undefined) {
      keep(this.stages, { epoch, progress, startedAt: at - progress.elapsedMs, history: [entry] });
      return;
    }
    known.progress = progress;
    known.history = [...known.history, entry].slice(-50);
  }

  #openReviews(trigger?: string): Writable<ReviewReport>[] {
    return this.reviews.filter(
      ({ closedAt, verdict }) =>
        closedAt === undefined && (trigger === undefined || verdict.trigger === trigger),
    );
  }

  #decision(id: string | undefined, change: (decision: Writable<DecisionReport>) => void): void {
    const found =
      id === undefined
        ? this.decisions.findLast(({ decision }) => !decision.dryRun)
        : this.decisions.findLast(({ decision }) => decision.id === id);
    if (found !== undefined) change(found);
  }

  #note(at: number, text: string): void {
    keep(this.notes, { at, text });
  }
}

function keep<T>(list: T[], item: T): void {
  list.push(item);
  if (list.length > MAX_OF_A_KIND) list.shift();
}

/** A decision of which nothing more is known. */
export function untouched(decision: DecisionReport['decision']): Writable<DecisionReport> {
  return {
    decision,
    stoppedHereAt: undefined,
    stoppedInUnleashAt: undefined,
    confirmedBy: undefined,
    steppedBackAt: undefined,
    failures: [],
    actionRequired: undefined,
    turnedOffBy: undefined,
    reArmedAt: undefined,
    turnedOnBy: undefined,
  };
}
