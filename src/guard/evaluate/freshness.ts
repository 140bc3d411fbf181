import type { GuardContext } from '../guard-context.js';
import type { GuardFleet } from '../guard-fleet.js';

/** A longer gap between two ticks means that the process did not run, in milliseconds, but never less than five ticks. */
const MIN_GAP_MS = 2_000;
/** Ticks after a gap in which the definition can arrive that changed meanwhile. */
const TICKS_TO_CATCH_UP = 2;

/**
 * Whether what this process knows is from the time in which it has run. After a gap, in which it was frozen or blocked, an
 * operator or the rest of the fleet may have acted: nothing is decided before a sync with the fleet and two more ticks.
 */
export class Freshness {
  readonly #context: Pick<GuardContext, 'clock' | 'tickMs' | 'records'>;
  readonly #fleet: Pick<GuardFleet, 'sync'>;
  #tickedAt: number | undefined;
  #ticksLeft = 0;
  #isSyncing = false;

  constructor(context: Pick<GuardContext, 'clock' | 'tickMs' | 'records'>, fleet: Pick<GuardFleet, 'sync'>) {
    this.#context = context;
    this.#fleet = fleet;
  }

  /** Whether the guard may decide now. */
  get isFresh(): boolean {
    this.#noticeGap();
    return this.#ticksLeft === 0 && !this.#isSyncing;
  }

  /** Called first on every tick. */
  tick(): void {
    this.#noticeGap();
    this.#tickedAt = this.#context.clock.monotonic();
    if (this.#ticksLeft > 0 && !this.#isSyncing) this.#ticksLeft--;
  }

  #noticeGap(): void {
    const { clock, tickMs, records } = this.#context;
    const now = clock.monotonic();
    if (this.#tickedAt === undefined || now - this.#tickedAt <= Math.max(MIN_GAP_MS, 5 * tickMs)) return;
    this.#tickedAt = now;
    this.#ticksLeft = TICKS_TO_CATCH_UP;
    this.#isSyncing = true;
    // Twice: a reply to what was sent before the gap may end the first one.
    const caughtUp = this.#fleet.sync().then(() => this.#fleet.sync());
    caughtUp
      .catch((error) => records.fault('catching up after a gap', error))
      .finally(() => {
        this.#isSyncing = false;
      });
  }
}
