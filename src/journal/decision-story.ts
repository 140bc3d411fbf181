import type { DecisionFailure, DecisionProgress, ReportPlace } from '../model/event-entry.js';
import type { Decision } from '../model/shapes.js';

/** A decision and what became of it. */
export interface DecisionStoryEntry extends DecisionProgress {
  /** What was decided, and why. */
  readonly decision: Decision;
  /** Requests to Unleash that did not turn the flag off; the latest 20. */
  readonly failures: readonly DecisionFailure[];
}

type Writable<T> = { -readonly [Key in keyof T]: T[Key] };

/** However long a guard has been running: the latest of them. */
const MAX_DECISIONS = 200;
const MAX_FAILURES = 20;

/** Adds up a guard's events to its decisions, by their places in the event table. Memory is bounded. */
export class DecisionStory {
  /** Oldest first. */
  readonly decisions: Writable<DecisionStoryEntry>[] = [];

  /** Adds the place of the next event, if it is about a decision. */
  add(place: ReportPlace | undefined): void {
    if (place?.in === 'decisions') this.#decided(place.decision);
    else if (place?.in === 'decision') this.#progress(place);
  }

  /**
   * Adds the story of an earlier run, or of another process, and puts all in order. One may have the decision, and another what became of
   * it: the leader of a fleet that decided may have ended before.
   */
  begin(earlier: DecisionStory): void {
    for (const entry of earlier.decisions) {
      const known = this.decisions.find(({ decision }) => decision.id === entry.decision.id);
      if (known === undefined) this.decisions.push(entry);
      else addProgress(known, entry);
    }
    this.decisions.sort((a, b) => a.decision.at - b.decision.at);
    this.decisions.splice(0, Math.max(0, this.decisions.length - MAX_DECISIONS));
  }

  #decided(decision: Decision): void {
    // A restart may report again what is in its audit log.
    if (this.decisions.some((known) => known.decision.id === decision.id)) return;
    this.decisions.push({ decision, failures: [] });
    if (this.decisions.length > MAX_DECISIONS) this.decisions.shift();
  }

  #progress({ id, progress, failure }: Extract<ReportPlace, { in: 'decision' }>): void {
    const found = this.decisions.findLast(({ decision }) => decision.id === id);
    if (found === undefined) return;
    // Every start that finds the stop in its journal reports it again.
    const { stoppedHereAt = progress.stoppedHereAt } = found;
    Object.assign(found, progress, { stoppedHereAt });
    if (failure !== undefined) found.failures = [...found.failures, failure].slice(-MAX_FAILURES);
  }
}

/** What is not known yet. */
function addProgress(
  known: Writable<DecisionStoryEntry>,
  { decision: _, failures, ...progress }: DecisionStoryEntry,
) {
  const own = Object.entries(known).filter(([, value]) => value !== undefined);
  Object.assign(known, progress, Object.fromEntries(own));
  const seen = new Set(known.failures.map(({ at, code }) => `${at} ${code}`));
  const further = failures.filter(({ at, code }) => !seen.has(`${at} ${code}`));
  known.failures = [...known.failures, ...further].sort((a, b) => a.at - b.at).slice(-MAX_FAILURES);
}
