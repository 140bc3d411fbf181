import { VARIANT } from '../model/concentration.js';
import type { Attributes, Outcome } from '../model/shapes.js';
import type { OutcomeDetail, OutcomeDetails } from '../model/snapshot.js';
import { boundedErrorType, boundedText } from './error-counts.js';

/** Details that are kept of failing units, and of other outcomes. */
const MAX_DETAILS = 256;
/** Of other outcomes, one in so many is kept. */
const SAMPLED = 16;
/** Details that one delta carries at most, of failing units and of other outcomes. */
const MAX_DETAILS_SENT = 32;
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
  /** What no {@link takeChanges} has returned and what came from no other process. */
  #newFailures: OutcomeDetail[] = [];
  #newOthers: OutcomeDetail[] = [];

  /** @param unit - A unit counts once among the latest failures; 0 when each outcome is a unit of its own. */
  add(outcome: Outcome, unit: number, at: number): void {
    const { exposure, result, errorType } = outcome;
    const { arm } = exposure;
    if (result === 'failure') {
      if (unit !== 0 && this.#failures.some((known) => known.unit === unit)) return;
      const named = boundedErrorType(errorType ?? 'unknown');
      const detail = { at, arm, errorType: named, attributes: bounded(attributesOf(outcome)) };
      push(this.#failures, { ...detail, unit });
      push(this.#newFailures, detail);
    } else if (result === 'success') {
      this.#skipped = (this.#skipped + 1) % SAMPLED;
      if (this.#skipped !== 1) return;
      const attributes = attributesOf(outcome);
      if (attributes === undefined) return;
      const detail = { at, arm, errorType: undefined, attributes: bounded(attributes) };
      push(this.#others, detail);
      push(this.#newOthers, detail);
    }
  }

  /** Copies of what is kept. */
  contents(): OutcomeDetails {
    return { failures: this.#failures.map(withoutUnit), others: [...this.#others] };
  }

  /** The newest of what came since the previous call. */
  takeChanges(): OutcomeDetails {
    const failures = this.#newFailures.slice(-MAX_DETAILS_SENT);
    const others = this.#newOthers.slice(-MAX_DETAILS_SENT);
    this.#newFailures = [];
    this.#newOthers = [];
    return { failures, others };
  }

  /** Adds what another process kept; no later {@link takeChanges} returns it. */
  addRemote({ failures, others }: OutcomeDetails): void {
    mergeInto(
      this.#failures,
      failures.map((detail) => ({ ...detail, unit: 0 })),
    );
    mergeInto(this.#others, others);
  }

  clear(): void {
    this.#failures.length = 0;
    this.#others.length = 0;
    this.#newFailures = [];
    this.#newOthers = [];
  }
}

/** What the application said, and the variant where the flag has some. */
function attributesOf({ exposure: { variant }, attributes }: Outcome): Attributes | undefined {
  if (variant === undefined || variant === 'on' || variant === 'off') return attributes;
  return { [VARIANT]: variant, ...attributes };
}

function push<T>(list: T[], detail: T): void {
  list.push(detail);
  if (list.length > MAX_DETAILS) list.shift();
}

/** Adds details in the order of their times. */
function mergeInto<T extends OutcomeDetail>(list: T[], added: readonly T[]): void {
  if (added.length === 0) return;
  list.push(...added);
  list.sort((a, b) => a.at - b.at);
  list.splice(0, Math.max(0, list.length - MAX_DETAILS));
}

function withoutUnit({ at, arm, errorType, attributes }: OutcomeDetail): OutcomeDetail {
  return { at, arm, errorType, attributes };
}

function bounded(attributes: Attributes | undefined): Attributes | undefined {
  if (attributes === undefined) return undefined;
  const entries = Object.entries(attributes).slice(0, MAX_ATTRIBUTES);
  return Object.fromEntries(
    entries.map(([name, value]) => [
      boundedText(name, MAX_TEXT),
      typeof value === 'string' ? boundedText(value, MAX_TEXT) : value,
    ]),
  );
}
