/** For each process of a fleet, what all of them do because of one event takes so much longer, in milliseconds. */
const PER_PROCESS_MS = 1.5;
const MAX_SPREAD_MS = 15_000;
const SHORT_PAUSE_MS = 2_000;

/** Over how long the processes of a fleet spread what is much work for the server, in milliseconds. */
export function spreadMs(processes: number): number {
  return Math.min(MAX_SPREAD_MS, PER_PROCESS_MS * processes);
}

/**
 * How long a process waits at most before it tries again to reach a server that does not reply, in milliseconds: in a large fleet longer,
 * so that all together do not keep the server from coming back.
 *
 * @param processes - 0 if it is not known how many there are.
 */
export function longestPauseMs(processes: number): number {
  return Math.max(SHORT_PAUSE_MS, spreadMs(processes));
}
