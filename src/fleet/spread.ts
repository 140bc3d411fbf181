/** Time of what is much work for the server, for each process of a fleet, in milliseconds. */
const SERVER_MS = 1.5;
/** Of a larger fleet, nothing is spread further. */
const MOST_PROCESSES = 10_000;
/** The longest pause of a small fleet, and of one whose size is not known. */
export const SHORT_PAUSE_MS = 2_000;
/** Among so many that may lead, one asks soon after the leader is gone, though each asks seldom. */
export const MANY_PROCESSES = 20;

/** Over how long the processes of a fleet spread what all of them do because of one event, in milliseconds: `eachMs` for each of them. */
export function spreadMs(processes: number, eachMs = SERVER_MS): number {
  return eachMs * Math.min(MOST_PROCESSES, processes);
}

/**
 * How long a process waits at most before it tries again to reach a server that does not reply, in milliseconds: in a large fleet longer,
 * so that all together do not keep the server from coming back; but not one of few that may lead.
 *
 * @param fleet - How many there are, and how many of them may lead; 0 while that is not known.
 */
export function longestPauseMs(
  { processes, candidates }: { readonly processes: number; readonly candidates: number },
  mayLead: boolean,
): number {
  const isOneOfFew = mayLead && candidates < MANY_PROCESSES;
  return isOneOfFew ? SHORT_PAUSE_MS : Math.max(SHORT_PAUSE_MS, spreadMs(processes));
}
