import type { Gap } from '../support/running-time.js';
import type { GuardContext } from './context/guard-context.js';
import type { GuardFleet } from './guard-fleet.js';

/** After a shorter gap, nobody has acted meanwhile, in milliseconds. */
const MIN_GAP_MS = 2_000;
/** Ticks after a gap in which the definition can arrive that changed meanwhile. */
const TICKS_TO_CATCH_UP = 2;

/**
 * Whether what this process knows is from the time in which it has run. After a gap, in which it was frozen or blocked, an
 * operator or the rest of the fleet may have acted: nothing is decided before a sync with the fleet and two more ticks.
 */
export class Freshness {
  readonly #context: Pick<GuardContext, 'records' | 'runningTime' | 'clock' | 'dryRun'>;
  readonly #fleet: Pick<GuardFleet, 'sync'>;
  /** Other processes may stop the flag here: not in a dry run. */
  readonly #mayBeStopped: boolean;
  /** Before the first tick, the fleet is still starting. */
  #hasTicked = false;
  #ticksLeft = 0;
  #syncs = 0;

  constructor(
    context: Pick<GuardContext, 'records' | 'runningTime' | 'clock' | 'dryRun'>,
    fleet: Pick<GuardFleet, 'sync' | 'status'>,
  ) {
    this.#context = context;
    this.#fleet = fleet;
    this.#mayBeStopped = !context.dryRun && fleet.status() !== undefined;
    context.runningTime.onGap((gap) => this.#onGap(gap));
  }

  /** Whether the guard may decide now. */
  get isFresh(): boolean {
    this.#context.runningTime.check();
    return this.#ticksLeft === 0 && this.#syncs === 0;
  }

  /**
   * Whether the rest of the fleet may have stopped the flag in a gap: requests that waited in a socket come before any timer, and
   * before the message. Cheap: it is asked before every treatment.
   */
  get mayHaveMissedStop(): boolean {
    if (!this.#mayBeStopped) return false;
    const { runningTime, clock } = this.#context;
    runningTime.at(clock.monotonic());
    return this.#syncs > 0;
  }

  /** Called first on every tick. */
  tick(): void {
    this.#context.runningTime.check();
    this.#hasTicked = true;
    if (this.#ticksLeft > 0 && this.#syncs === 0) this.#ticksLeft--;
  }

  #onGap({ durationMs }: Gap): void {
    if (!this.#hasTicked || durationMs <= MIN_GAP_MS) return;
    this.#ticksLeft = TICKS_TO_CATCH_UP;
    this.#syncs += 1;
    // Twice: a reply to what was sent before the gap may end the first one.
    const caughtUp = this.#fleet.sync().then(() => this.#fleet.sync());
    caughtUp
      .catch((error) => this.#context.records.fault('catching up after a gap', error))
      .finally(() => {
        this.#syncs -= 1;
      });
  }
}
