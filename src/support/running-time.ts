import type { Clock } from './clock.js';

/** How often a process that runs is known to do so, in milliseconds. */
const BEAT_MS = 100;
/** Without a beat for this long, the process did not run: it was frozen, or its event loop was blocked. */
const SILENCE_MS = 2 * BEAT_MS;

/** Turns of the event loop until all sockets were read, and those that were closed are gone from every pool. */
const CATCH_UP_TURNS = 4;
/** An idle event loop runs a timer this soon. */
const LATE_MS = 5;

/** A time during which this process did not run. */
export interface Gap {
  /** How long it did not run, in milliseconds. */
  readonly durationMs: number;
  /** When it ran again, in milliseconds since 1970. */
  readonly until: number;
}

/**
 * A clock that stands still while this process does not run: stopped (SIGSTOP), suspended with its machine, or with a blocked
 * event loop. What lies between two beats that are too far apart does not count. It beats from `start` to `stop`, and does
 * not keep the process alive.
 */
export class RunningTime {
  readonly #clock: Clock;
  readonly #onBeat: (() => void) | undefined;
  readonly #listeners = new Set<(gap: Gap) => void>();
  #timer: NodeJS.Timeout | undefined;
  #seen = { wall: 0, monotonic: 0 };
  #lostMs = 0;
  #turnsToCatchUp = 0;
  #users = 0;

  /** @param onBeat - Called at every beat; must not throw. */
  constructor(clock: Clock, onBeat?: () => void) {
    this.#clock = clock;
    this.#onBeat = onBeat;
  }

  /** All gaps since it was made, in milliseconds. */
  get lostMs(): number {
    return this.#lostMs;
  }

  /**
   * A gap has just ended, and what the sockets received meanwhile, answers and the ends of connections, is still being read.
   */
  get isCatchingUp(): boolean {
    return this.#turnsToCatchUp > 0;
  }

  /** Begins to beat; several may use it. */
  start(): void {
    this.#users++;
    if (this.#timer !== undefined) return;
    this.#see(this.#clock.monotonic());
    this.#timer = setInterval(() => {
      this.check();
      this.#onBeat?.();
    }, BEAT_MS).unref();
  }

  /** Ends when it was called as often as `start`. */
  stop(): void {
    this.#users = Math.max(0, this.#users - 1);
    if (this.#users > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** @param monotonic - The current time of the monotonic clock. */
  at(monotonic: number): number {
    if (monotonic - this.#seen.monotonic > SILENCE_MS) this.check();
    return monotonic - this.#lostMs;
  }

  /** Notes a gap that has just ended, instead of at the next beat: other timers may come first. */
  check(): void {
    if (this.#timer === undefined) return;
    const { wall, monotonic } = this.#seen;
    const now = this.#clock.monotonic();
    const silentMs = now - monotonic;
    this.#see(now);
    if (silentMs > SILENCE_MS) this.#onSilence(silentMs);
    // The monotonic clock of a suspended machine may have stood still, too.
    const durationMs = Math.max(silentMs, this.#seen.wall - wall);
    if (durationMs <= SILENCE_MS) return;
    const gap = { durationMs, until: this.#seen.wall };
    for (const listener of this.#listeners) listener(gap);
  }

  /**
   * Calls `listener` when the process runs again after a gap of more than 200 ms; it must not throw. Where another timer may come
   * before the beat that notices a gap, call `check` first.
   *
   * @returns a function that removes the listener.
   */
  onGap(listener: (gap: Gap) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #onSilence(silentMs: number): void {
    this.#lostMs += silentMs;
    const isNew = this.#turnsToCatchUp === 0;
    this.#turnsToCatchUp = CATCH_UP_TURNS;
    if (!isNew) return;
    const turn = () => {
      if (--this.#turnsToCatchUp > 0) setImmediate(turn);
    };
    setImmediate(turn);
  }

  #see(monotonic: number): void {
    this.#seen = { wall: this.#clock.now(), monotonic };
  }
}

/**
 * Calls `onEnd` when this process has run for `delayMs`, and has read what waited in its sockets then. It keeps the process alive.
 *
 * @returns a function that ends the wait.
 */
export function runningTimeout(delayMs: number, clock: Clock, onEnd: () => void): () => void {
  const time = new RunningTime(clock);
  let dueAt = 0;
  let lostMs = 0;
  let timer: NodeJS.Timeout | undefined;
  let turn: NodeJS.Immediate | undefined;
  const stop = () => {
    clearTimeout(timer);
    clearImmediate(turn);
    time.stop();
  };
  const end = () => {
    if (time.isCatchingUp) {
      turn = setImmediate(end);
      return;
    }
    stop();
    onEnd();
  };
  const waitFor = (ms: number) => {
    dueAt = clock.monotonic() + ms;
    lostMs = time.lostMs;
    timer = setTimeout(() => {
      time.check();
      // What it lost, less what it has waited too long already.
      const leftMs = time.lostMs - lostMs - Math.max(0, clock.monotonic() - dueAt);
      if (leftMs > 0) waitFor(leftMs);
      else if (isLate(dueAt, clock)) turn = setImmediate(end);
      else end();
    }, ms);
  };
  time.start();
  waitFor(delayMs);
  return stop;
}

/**
 * Whether a timer came so late that sockets were not read in between. In each turn of the event loop timers come first: what
 * such a timer ends must wait until the end of its turn.
 */
export function isLate(dueAt: number, clock: Clock): boolean {
  return clock.monotonic() - dueAt > LATE_MS;
}
