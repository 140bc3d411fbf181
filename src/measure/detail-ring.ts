import type { Attributes, Outcome, OutcomeDetail, OutcomeDetails } from '../model/shapes.js';
import { boundedErrorType } from './error-counts.js';

/** Details that are kept of failing units, and of other outcomes. */
const MAX_DETAILS = 256;
/** Of other outcomes, one in so many is kept. */
const SAMPLED = 16;
const MAX_ATTRIBUTES = 16;
const MAX_TEXT = 100;

/**
 * What the application said of the latest failing units, and of a sample of the other outcomes, so that a decision can say
 * where it fails. Bounded: 512 outcomes with 16 attributes of 100 characters.
 */
export class DetailRing {
  readonly #failures: (OutcomeDetail & { readonly unit: number })[] = [];
  readonly #others: OutcomeDetail[] = [];
  #skipped = 0;
  #newFailures = 0;
  #newOthers = 0;

  /** @param unit - A unit counts once among the latest failures; 0 when each outcome is a unit of its own. */
  add({ exposure: { arm }, result, errorType, attributes }: Outcome, unit: number, at: number): void {
    if (result === 'failure') {
      if (unit !== 0 && this.#failures.some((known) => known.unit === unit)) return;
      const named = boundedErrorType(errorType ?? 'unknown');
      push(this.#failures, { at, arm, errorType: named, attributes: bounded(attributes), unit });
      this.#newFailures = Math.min(this.#newFailures + 1, this.#failures.length);
    } else if (result === 'success') {
      this.#skipped = (this.#skipped + 1) % SAMPLED;
      if (this.#skipped !== 1 || attributes === undefined) return;
      push(this.#others, { at, arm, errorType: undefined, attributes: bounded(attributes) });
      this.#newOthers = Math.min(this.#newOthers + 1, this.#others.length);
    }
  }

  /** Copies of what is kept. */
  contents(): OutcomeDetails {
    return { failures: this.#failures.map(withoutUnit), others: [...this.#others] };
  }

  /** What came since the previous call, at most `max` of each, the newest. */
  takeChanges(max: number): OutcomeDetails {
    const failures = lastOf(this.#failures, Math.min(this.#newFailures, max)).map(withoutUnit);
    const others = lastOf(this.#others, Math.min(this.#newOthers, max));
    this.#newFailures = 0;
    this.#newOthers = 0;
    return { failures, others };
  }

  /** Adds what another process kept; no later {@link takeChanges} returns it. */
  addRemote({ failures, others }: OutcomeDetails): void {
    for (const detail of failures) push(this.#failures, { ...detail, unit: 0 });
    for (const detail of others) push(this.#others, detail);
  }

  clear(): void {
    this.#failures.length = 0;
    this.#others.length = 0;
    this.#newFailures = 0;
    this.#newOthers = 0;
  }
}

function push<T>(list: T[], detail: T): void {
  list.push(detail);
  if (list.length > MAX_DETAILS) list.shift();
}

function lastOf<T>(list: readonly T[], count: number): T[] {
  return count === 0 ? [] : list.slice(-count);
}

function withoutUnit({ at, arm, errorType, attributes }: OutcomeDetail): OutcomeDetail {
  return { at, arm, errorType, attributes };
}

function bounded(attributes: Attributes | undefined): Attributes | undefined {
  if (attributes === undefined) return undefined;
  const entries = Object.entries(attributes).slice(0, MAX_ATTRIBUTES);
  return Object.fromEntries(
    entries.map(([name, value]) => [
      name.slice(0, MAX_TEXT),
      typeof value === 'string' ? value.slice(0, MAX_TEXT) : value,
    ]),
  );
}
