import type { AuditEntry } from '../journal/audit-reader.js';
import type { DecisionProgress, ReportPlace, RolloutChange } from '../model/event-entry.js';
import { entryOf } from '../model/event-table.js';
import type { Arm } from '../model/shapes.js';
import type { DecisionReport, Note, ReviewReport, StageReport } from './rollout-report.js';

type Writable<T> = { -readonly [Key in keyof T]: T[Key] };

/** However long a guard has been running: the latest of each kind. */
const MAX_OF_A_KIND = 200;

/** Adds up a guard's events to its stages, decisions and reviews, by their places in the event table. Memory is bounded. */
export class AuditStory {
  readonly rollout: RolloutChange[] = [];
  readonly decisions: Writable<DecisionReport>[] = [];
  readonly reviews: Writable<ReviewReport>[] = [];
  readonly notes: Note[] = [];
  readonly stages: Writable<Omit<StageReport, 'outcomes' | 'successRate'>>[] = [];
  readonly complaints: Record<Arm, number> = { treatment: 0, control: 0 };
  /** The guard's, as its events have it. */
  flagKey: string | undefined;
  /** The guard was closed, and has not been started since. */
  isClosed = false;
  lastEventAt: number | undefined;
  events = 0;
  /** What keeps the guard from its work now, by kind. */
  readonly problems = new Map<string, Note>();
  /** What was reported of a decision before the decision itself. */
  #early: { readonly id: string; readonly progress: DecisionProgress } | undefined;

  /** Adds the next event. */
  add(event: AuditEntry): void {
    const { at, type } = event;
    const entry = entryOf(event);
    this.flagKey ??= event.flagKey;
    this.events += 1;
    this.lastEventAt = at;
    if (type === 'started') {
      this.isClosed = false;
      // What is still wrong is reported again.
      this.problems.clear();
    }
    if (type === 'closed') this.isClosed = true;
    const place = entry.report?.(event);
    const note = (): Note => ({ at, type, text: entry.log(event).line });
    if (entry.problem?.isOpen) this.problems.set(entry.problem.kind, note());
    else if (entry.problem !== undefined) this.problems.delete(entry.problem.kind);
    if (place === undefined) keep(this.notes, note());
    else this.#add(at, place);
  }

  #add(at: number, place: ReportPlace): void {
    switch (place.in) {
      case 'rollout':
        keep(this.rollout, place.change);
        break;
      case 'stages':
        this.#stage(at, place);
        break;
      case 'complaints':
        this.complaints[place.arm] += 1;
        break;
      case 'reviews':
        keep(this.reviews, { epoch: place.epoch, openedAt: at, closedAt: undefined, verdict: place.verdict });
        break;
      case 'review':
        this.#closeReviews(at, place.trigger);
        break;
      case 'decisions': {
        const { decision } = place;
        const early = this.#early?.id === decision.id ? this.#early.progress : {};
        this.#early = undefined;
        keep(this.decisions, { decision, failures: [], ...early });
        break;
      }
      case 'decision':
        this.#decision(place);
        // An operator who turns the flag on again has seen its reviews.
        if (place.progress.reArmedAt !== undefined) this.#closeReviews(at);
    }
  }

  #stage(at: number, { epoch, progress }: Pick<StageReport, 'epoch' | 'progress'>): void {
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

  #closeReviews(at: number, trigger?: string): void {
    for (const review of this.reviews) {
      const isMeant = trigger === undefined || review.verdict.trigger === trigger;
      if (review.closedAt === undefined && isMeant) review.closedAt = at;
    }
  }

  #decision({ id, progress, failure }: Extract<ReportPlace, { in: 'decision' }>): void {
    const isMeant = ({ decision }: DecisionReport) =>
      id === 'latest' ? !decision.dryRun : decision.id === id;
    const found = this.decisions.findLast(isMeant);
    if (found === undefined) {
      if (progress.stoppedHereAt !== undefined) this.#early = { id, progress };
      return;
    }
    // Reported before the decision; every start that finds the stop in its journal reports it again.
    const { stoppedHereAt } = found;
    Object.assign(found, progress, { stoppedHereAt });
    if (failure !== undefined) found.failures = [...found.failures, failure].slice(-20);
  }
}

function keep<T>(list: T[], item: T): void {
  list.push(item);
  if (list.length > MAX_OF_A_KIND) list.shift();
}
