import type { Arm, Evaluation, Exposure } from '../model/shapes.js';

/**
 * The arm of an evaluation. A boolean flag is in treatment exactly when the value served is `true`,
 * an erroneous evaluation's default included, because that is the code that ran. Any other flag is in treatment when
 * a variant was assigned and no error put the default in its place.
 */
export function armOf({ value, variant, errorCode }: Evaluation): Arm {
  const treated = typeof value === 'boolean' ? value : variant !== undefined && errorCode === undefined;
  return treated ? 'treatment' : 'control';
}

/** How long an exposure is found: 30 minutes. */
const TTL_MS = 1_800_000;

/**
 * Remembers which arm each user got, so that `client.track()` can complete the exposure.
 *
 * `remember` runs within every evaluation and only writes a reference into a ring: a few nanoseconds, where a map costs
 * 20 to 60 ns with 1,000 users and 110 to 170 ns with a million (bench/recording.ts). The ring is sorted into a map by
 * the next `find`, which runs within `track()`: an application that never tracks never pays for the map.
 *
 * Bounds: an exposure is lost once `maxUsers` further ones came without any `find` between them, or once somewhere
 * between `maxUsers / 2` and `maxUsers` other users were seen since, or after 30 minutes. At most `2 × maxUsers` exposures are
 * kept alive, about 150 bytes each. Choose `maxUsers` above the evaluations per second times the seconds that usually
 * pass before `track()`.
 */
export class ExposureLedger {
  readonly #maxUsers: number;
  /** Grows up to its bound: most flags of many have few exposures. */
  readonly #ring: (Exposure | undefined)[] = [];
  #next = 0;
  #unsorted = 0;
  // Two generations bound the users without a removal per insertion: when `#recent` is half the bound, it becomes
  // `#older`, and what was in `#older` is forgotten.
  #recent = new Map<string, Exposure>();
  #older = new Map<string, Exposure>();

  /** @param maxUsers - How many users are remembered, and how many exposures between two calls of `find`. */
  constructor(maxUsers: number) {
    this.#maxUsers = maxUsers;
  }

  /** Remembers an exposure. One without a targeting key is skipped: it could not be found. */
  remember(exposure: Exposure): void {
    if (exposure.targetingKey === undefined) return;
    this.#ring[this.#next] = exposure;
    this.#next = this.#next + 1 === this.#maxUsers ? 0 : this.#next + 1;
    if (this.#unsorted < this.#maxUsers) this.#unsorted += 1;
  }

  /**
   * The latest exposure of a user, in whatever epoch it was made: the store decides where its outcome counts.
   *
   * @param now - Milliseconds since 1970; older exposures than `ttlMs` are not found.
   */
  find(targetingKey: string, now: number, ttlMs = TTL_MS): Exposure | undefined {
    this.#sort();
    const exposure = this.#recent.get(targetingKey) ?? this.#older.get(targetingKey);
    if (exposure === undefined || now - exposure.at > ttlMs) return undefined;
    return exposure;
  }

  /** Forgets everything. */
  clear(): void {
    this.#ring.fill(undefined);
    this.#unsorted = 0;
    this.#recent.clear();
    this.#older.clear();
  }

  /** Moves what came since the last `find` from the ring into the map, oldest first, so that the latest one stays. */
  #sort(): void {
    for (; this.#unsorted > 0; this.#unsorted -= 1) {
      const position = (this.#next - this.#unsorted + this.#maxUsers) % this.#maxUsers;
      const exposure = this.#ring[position];
      this.#ring[position] = undefined;
      if (exposure?.targetingKey === undefined) continue;
      this.#recent.set(exposure.targetingKey, exposure);
      if (this.#recent.size * 2 >= this.#maxUsers) {
        this.#older = this.#recent;
        this.#recent = new Map();
      }
    }
  }
}
