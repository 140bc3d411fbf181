import type { AuditEntry } from '../journal/audit-reader.js';
import { DecisionStory } from '../journal/decision-story.js';
import type { ReportPlace, RolloutChange } from '../model/event-entry.js';
import { entryOf } from '../model/event-table.js';
import type { Health } from '../model/health.js';
import { ARMS, type Arm } from '../model/shapes.js';
import type { Note, ReviewReport, StageReport } from './rollout-report.js';

type ReviewEnd = Extract<ReportPlace, { in: 'review' }>;
type Writable<T> = { -readonly [Key in keyof T]: T[Key] };

/** However long a guard has been running: the latest of each kind. */
const MAX_OF_A_KIND = 200;
const SAME_REVIEW_MS = 10_000;

/** Adds up a guard's events to its stages, decisions and reviews, by their places in the event table. Memory is bounded. */
export class AuditStory {
  readonly rollout: RolloutChange[] = [];
  readonly #decided = new DecisionStory();
  readonly decisions = this.#decided.decisions;
  readonly reviews: Writable<ReviewReport>[] = [];
  readonly notes: Note[] = [];
  /** Ends of reviews that another process of the fleet opened. */
  readonly #closings: { readonly at: number; readonly place: ReviewEnd }[] = [];
  readonly stages: Writable<Omit<StageReport, 'outcomes' | 'successRate'>>[] = [];
  readonly complaints: Record<Arm, number> = { treatment: 0, control: 0 };
  /** The guard's, as its events have it. */
  flagKey: string | undefined;
  /** The guard was closed, and has not been started since. */
  isClosed = false;
  /** What the guard reported of itself last, since it was started. */
  health: Health | undefined;
  lastEventAt: number | undefined;
  events = 0;
  /** What keeps the guard from its work now, by kind. */
  readonly problems = new Map<string, Note>();

  /** Adds the next event. */
  add(event: AuditEntry): void {
    const { at, type } = event;
    const entry = entryOf(event);
    this.flagKey ??= event.flagKey;
    this.events += 1;
    this.lastEventAt = at;
    if (type === 'started') this.#start(at);
    if (type === 'closed') this.isClosed = true;
    if (event.type === 'health') this.health = healthOf(event);
    const place = entry.report?.(event);
    const note = (): Note => ({ at, type, text: entry.log(event).line });
    if (entry.problem?.isOpen) this.problems.set(entry.problem.kind, note());
    else if (entry.problem !== undefined) this.problems.delete(entry.problem.kind);
    if (place === undefined) keep(this.notes, note());
    else this.#add(at, place);
  }

  /**
   * Adds what another guard of the same rollout reported. Each numbers its own epochs, so that stages and rollout stay those of this
   * one, if it has any.
   *
   * @param name - The other guard's, for its notes.
   */
  merge(other: AuditStory, name: string): void {
    this.flagKey ??= other.flagKey;
    this.events += other.events;
    this.isClosed &&= other.isClosed;
    this.lastEventAt = Math.max(this.lastEventAt ?? -Infinity, other.lastEventAt ?? -Infinity);
    for (const arm of ARMS) this.complaints[arm] += other.complaints[arm];
    if (this.rollout.length === 0) this.rollout.push(...other.rollout);
    if (this.stages.length === 0) this.stages.push(...other.stages);
    this.#decided.begin(other.#decided);
    this.reviews.push(...other.reviews.filter((review) => !this.#hasReview(review)));
    this.reviews.sort((a, b) => a.openedAt - b.openedAt);
    for (const closing of [...this.#closings.splice(0), ...other.#closings]) {
      this.#closeReviews(closing.at, closing.place);
    }
    this.notes.push(...other.notes.map((note) => ({ ...note, text: `${name}: ${note.text}` })));
    this.notes.sort((a, b) => a.at - b.at);
    for (const list of [this.reviews, this.notes]) list.splice(0, list.length - MAX_OF_A_KIND);
  }

  /** Processes of one rollout open the same review within seconds. */
  #hasReview({ verdict: { trigger }, openedAt }: ReviewReport): boolean {
    return this.reviews.some(
      (known) => known.verdict.trigger === trigger && Math.abs(known.openedAt - openedAt) < SAME_REVIEW_MS,
    );
  }

  #start(at: number): void {
    this.isClosed = false;
    this.health = { status: 'ok', since: at, reasons: [] };
    // What is still wrong is reported again.
    this.problems.clear();
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
        this.#closeReviews(at, place);
        break;
      case 'decisions':
        this.#decided.add(place);
        break;
      case 'decision':
        this.#decided.add(place);
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

  /** @param place - Undefined: all reviews end. */
  #closeReviews(at: number, place?: ReviewEnd): void {
    const meant = this.reviews.filter(
      ({ closedAt, openedAt, verdict }) =>
        closedAt === undefined &&
        openedAt <= at &&
        (place === undefined || verdict.trigger === place.trigger),
    );
    for (const review of meant) {
      review.closedAt = at;
      review.acknowledged = place?.acknowledged;
    }
    if (meant.length === 0 && place !== undefined) keep(this.#closings, { at, place });
  }
}

function healthOf({ status, since, reasons }: Health): Health {
  return { status, since, reasons };
}

function keep<T>(list: T[], item: T): void {
  list.push(item);
  if (list.length > MAX_OF_A_KIND) list.shift();
}
