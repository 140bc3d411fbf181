/** How many error types are counted by name. */
export const MAX_ERROR_TYPES = 50;
/** Longer names are cut. */
const MAX_ERROR_TYPE_LENGTH = 64;
/** Where errors count whose type came after {@link MAX_ERROR_TYPES} others. */
export const OTHER_ERRORS = 'other';

interface ErrorCount {
  readonly errorType: string;
  readonly count: number;
}

/** Counts errors by type, for a bounded number of types: the first 50 by name, all later ones as `other`. */
export class ErrorCounts {
  readonly #counts = new Map<string, number>();
  #sorted: readonly ErrorCount[] | undefined;

  /** Counts errors of one type. @returns the name that they are counted under. */
  add(errorType: string, count = 1): string {
    const key = this.#keyOf(errorType);
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + count);
    this.#sorted = undefined;
    return key;
  }

  /** All counts, most frequent first; equally frequent ones by name. */
  sorted(): readonly ErrorCount[] {
    this.#sorted ??= Array.from(this.#counts, ([errorType, count]) => ({ errorType, count })).sort(
      (a, b) => b.count - a.count || (a.errorType < b.errorType ? -1 : 1),
    );
    return this.#sorted;
  }

  /** All counts as pairs, in the order in which the types came. */
  pairs(): [errorType: string, count: number][] {
    return [...this.#counts];
  }

  /** What is counted beyond `taken`, by name, which then has it too. */
  takeSince(taken: Map<string, number>): [errorType: string, count: number][] {
    const changes: [string, number][] = [];
    for (const [errorType, count] of this.#counts) {
      const change = count - (taken.get(errorType) ?? 0);
      if (change > 0) changes.push([errorType, change]);
      taken.set(errorType, count);
    }
    return changes;
  }

  /** Forgets everything. */
  clear(): void {
    this.#counts.clear();
    this.#sorted = undefined;
  }

  #keyOf(errorType: string): string {
    const name = boundedErrorType(errorType);
    return this.#counts.has(name) || this.#counts.size < MAX_ERROR_TYPES ? name : OTHER_ERRORS;
  }
}

/** The type, cut to {@link MAX_ERROR_TYPE_LENGTH}. */
export function boundedErrorType(errorType: string): string {
  return boundedText(errorType, MAX_ERROR_TYPE_LENGTH);
}

/** The first `maxLength` UTF-16 code units of a text. */
export function boundedText(text: string, maxLength: number): string {
  if (text.length <= maxLength) return text;
  // A slice would keep the whole text alive, which may be a message of any length; joined characters do not.
  return Array.from(text.slice(0, maxLength)).join('');
}
