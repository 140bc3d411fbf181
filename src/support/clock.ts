/** Where time comes from; injected so that every behaviour can be tested without waiting. */
export interface Clock {
  /** Wall-clock time, milliseconds since 1970. */
  now(): number;
  /** A clock that never goes backwards, in milliseconds with fractions, for durations. */
  monotonic(): number;
}

/** The machine's clocks. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
};
