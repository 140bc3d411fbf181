import type { Arm, Outcome } from '../model/shapes.js';

/** An outcome that is written, and for how many alike it stands, itself included. */
export interface SampledOutcome {
  readonly outcome: Outcome;
  /** A whole number: the outcome was chosen with the probability 1/`weight`. */
  readonly weight: number;
}

interface OutcomeSampleOptions {
  /** Lines per second of plain successes. */
  readonly maxLinesPerSecond: number;
  /** Lines per second of all other outcomes. */
  readonly maxFailureLinesPerSecond: number;
  /** Lines that may wait, of both together. */
  readonly maxWaiting: number;
  /** How often the sample is taken, in milliseconds. */
  readonly takeMs: number;
  /** A number in [0, 1). */
  readonly random: () => number;
}

/**
 * What waits to be written: every outcome at a low rate, and a sample that stands for all of them at a high one. Where two lines of
 * outcomes that are alike become one, it keeps either outcome with the probability of its share in their weight, and has both
 * weights. So each outcome is kept with the probability 1/weight, weights add up to the exact number of outcomes, and whatever
 * is computed from weighted lines has no bias, however the rate changes.
 *
 * Failures, and all else that needs an explanation, have a budget of their own: no number of successes takes a line from them. Memory
 * is bounded by the budgets of two seconds.
 *
 * Source of the idea: weighted reservoir sampling, M. T. Chao, *A general purpose unequal probability sampling plan* (1982).
 */
export class OutcomeSample {
  readonly #successes: Part;
  readonly #others: Part;
  /** So many outcomes have come. */
  #order = 0;

  constructor(options: OutcomeSampleOptions) {
    const { maxLinesPerSecond, maxFailureLinesPerSecond, maxWaiting, takeMs, random } = options;
    const part = (budget: number) => new Part(budget, takeMs, Math.ceil(maxWaiting / 2), random);
    this.#successes = part(maxLinesPerSecond);
    this.#others = part(maxFailureLinesPerSecond);
  }

  /** Whether nothing waits. */
  get isEmpty(): boolean {
    return this.#successes.isEmpty && this.#others.isEmpty;
  }

  /** Adds an outcome. Touches memory only. */
  add(outcome: Outcome): void {
    this.#order += 1;
    (isPlainSuccess(outcome) ? this.#successes : this.#others).add(outcome, this.#order);
  }

  /** Takes what waits, in its order. @param now - A clock that never goes backwards, in milliseconds. */
  take(now: number): SampledOutcome[] {
    return [...this.#successes.take(now), ...this.#others.take(now)].sort((a, b) => a.order - b.order);
  }
}

/** A line that waits. */
interface Line {
  outcome: Outcome;
  weight: number;
  /** Of the outcome, among all. */
  order: number;
}

/** What an arm has had since the sample was taken, and how its next outcomes are sampled. */
class ArmRate {
  outcomes = 0;
  /** So many outcomes become one line. */
  stride = 1;
  /** The line to which the next outcome alike is added, while it stands for fewer than that. */
  last: Line | undefined;
}

/** Outcomes that share a budget. */
class Part {
  readonly #perMs: number;
  readonly #takeMs: number;
  readonly #capacity: number;
  readonly #random: () => number;
  readonly #arms: Readonly<Record<Arm, ArmRate>> = { treatment: new ArmRate(), control: new ArmRate() };
  #lines: Line[] = [];
  /** What is left of the budget: lines that may be written at once. */
  #left: number;
  readonly #mostLeft: number;
  #takenAt: number | undefined;

  constructor(linesPerSecond: number, takeMs: number, maxWaiting: number, random: () => number) {
    this.#perMs = linesPerSecond / 1_000;
    this.#takeMs = takeMs;
    this.#mostLeft = Math.max(1, this.#perMs * Math.max(takeMs, 1_000));
    this.#left = this.#mostLeft;
    this.#capacity = Math.max(2, Math.min(2 * Math.ceil(this.#mostLeft), maxWaiting));
    this.#random = random;
  }

  get isEmpty(): boolean {
    return this.#lines.length === 0;
  }

  add(outcome: Outcome, order: number): void {
    const arm = outcome.exposure.arm === 'treatment' ? this.#arms.treatment : this.#arms.control;
    arm.outcomes += 1;
    const { last } = arm;
    if (last !== undefined && last.weight < arm.stride && isAlike(last.outcome, outcome)) {
      this.#merge(last, outcome, 1, order);
      return;
    }
    const line = { outcome, weight: 1, order };
    arm.last = line;
    if (this.#lines.push(line) < this.#capacity) return;
    // A burst: the arm that causes it is sampled from now on.
    const { treatment, control } = this.#arms;
    (treatment.outcomes > control.outcomes ? treatment : control).stride *= 2;
    this.#thin(Math.ceil(this.#capacity / 2));
  }

  take(now: number): Line[] {
    const elapsedMs = this.#takenAt === undefined ? 0 : Math.max(0, now - this.#takenAt);
    this.#takenAt = now;
    this.#left = Math.min(this.#mostLeft, this.#left + elapsedMs * this.#perMs);
    this.#thin(Math.max(1, Math.floor(this.#left)));
    const lines = this.#lines;
    this.#left = Math.max(0, this.#left - lines.length);
    this.#setStrides(this.#perMs * (elapsedMs > 0 ? elapsedMs : this.#takeMs));
    this.#lines = [];
    return lines;
  }

  /** As the arms were since the last time: what one of them does not need of the budget, the other may use. */
  #setStrides(budget: number): void {
    const { treatment, control } = this.#arms;
    const counts = [treatment.outcomes, control.outcomes] as const;
    for (const [index, arm] of [treatment, control].entries()) {
      const share = Math.max(budget / 2, budget - counts[1 - index]!);
      arm.stride = Math.max(1, Math.floor(arm.outcomes / share));
      arm.outcomes = 0;
      arm.last = undefined;
    }
  }

  /** Merges lines of outcomes alike until there are at most so many, the most frequent first: what is rare stays. */
  #thin(limit: number): void {
    if (this.#lines.length <= limit) return;
    this.#arms.treatment.last = undefined;
    this.#arms.control.last = undefined;
    for (const kindOf of [kindWithError, kindWithoutError]) {
      const groups = this.#groupsBy(kindOf);
      let surplus = this.#lines.length - limit;
      while (surplus > 0) {
        let largest: Line[] = [];
        for (const group of groups.values()) if (group.length > largest.length) largest = group;
        if (largest.length < 2) break;
        surplus -= this.#halve(largest, surplus);
      }
      this.#lines = this.#lines.filter(({ weight }) => weight > 0);
      if (this.#lines.length <= limit) return;
    }
  }

  #groupsBy(kindOf: (outcome: Outcome) => string): Map<string, Line[]> {
    const groups = new Map<string, Line[]>();
    for (const line of this.#lines) {
      const kind = kindOf(line.outcome);
      const group = groups.get(kind);
      if (group === undefined) groups.set(kind, [line]);
      else group.push(line);
    }
    return groups;
  }

  /** Merges neighbours within a group, at most so many pairs. @returns how many pairs */
  #halve(group: Line[], maxPairs: number): number {
    const pairs = Math.min(maxPairs, group.length >> 1);
    for (let pair = 0; pair < pairs; pair++) {
      const line = group[2 * pair + 1]!;
      this.#merge(group[2 * pair]!, line.outcome, line.weight, line.order);
      line.weight = 0;
    }
    let kept = 0;
    for (const line of group) if (line.weight > 0) group[kept++] = line;
    group.length = kept;
    return pairs;
  }

  /** Adds an outcome, of so many, to a line, which then has either of the two. */
  #merge(into: Line, outcome: Outcome, weight: number, order: number): void {
    into.weight += weight;
    if (this.#random() * into.weight >= weight) return;
    into.outcome = outcome;
    into.order = order;
  }
}

/** Nothing about it needs an explanation. */
export function isPlainSuccess({
  result,
  critical,
  fallbackUsed,
  userSucceeded,
  attempts,
}: Outcome): boolean {
  return result === 'success' && userSucceeded && !fallbackUsed && !critical && attempts <= 1;
}

/** Whether both count in the same places. */
function isAlike(a: Outcome, b: Outcome): boolean {
  return (
    a.exposure.epoch === b.exposure.epoch &&
    a.exposure.arm === b.exposure.arm &&
    a.result === b.result &&
    a.errorType === b.errorType &&
    a.critical === b.critical &&
    a.fallbackUsed === b.fallbackUsed &&
    a.userSucceeded === b.userSucceeded &&
    a.attempts > 1 === b.attempts > 1
  );
}

function kindWithError(outcome: Outcome): string {
  return `${kindWithoutError(outcome)} ${outcome.errorType}`;
}

function kindWithoutError({ exposure, result, critical, fallbackUsed, userSucceeded, attempts }: Outcome) {
  return `${exposure.epoch} ${exposure.arm} ${result} ${critical} ${fallbackUsed} ${userSucceeded} ${attempts > 1}`;
}
