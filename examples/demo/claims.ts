import type { GuardEvent } from 'unleash-rollout-guard';
import type { Evidence, HealthyPhase } from './scenario.js';
import type { Upload } from './traffic.js';

/** One thing that the demo promises, and whether it was seen. */
export interface Claim {
  readonly text: string;
  readonly seen: boolean;
}

/** Checks every promise of the demo against what was seen. Pure. */
export function claimsOf(evidence: Evidence): Claim[] {
  const { healthy, duringFault, afterStop, history, brokenAt } = evidence;
  const decided = eventOf(evidence, 'decided');
  const stoppedHere = eventOf(evidence, 'stopped-here');
  const stopped = eventOf(evidence, 'stopped');
  const lateStreams = afterStop.filter(({ via }) => via === 'streaming').length;
  const turnedOff = history.find(
    ({ type, createdAt }) => type === TURNED_OFF && createdAt >= brokenAt - 1000,
  );
  const reported = eventOf(evidence, 'toggled');
  return [
    ...healthy.map(healthyClaim),
    {
      text: 'while all was well, the guard left the flag on',
      seen: !evidence.eventsBeforeFault.some(({ type }) => type === 'decided' || type === 'stopped-here'),
    },
    {
      text: `the guard noticed by itself: ${decided?.decision.reason ?? 'no decision was seen'}`,
      seen: decided !== undefined && decided.at >= brokenAt,
    },
    {
      text: `it stopped the flag in this process first, ${ms(decided, stoppedHere)} after the decision`,
      seen: stoppedHere !== undefined && stopped !== undefined && stoppedHere.at <= stopped.at,
    },
    {
      text: `it turned the flag off in Unleash, ${ms(decided, stopped)} after the decision`,
      seen: stopped !== undefined && !evidence.flagOnInUnleash,
    },
    {
      text: `no user noticed: ${served(duringFault)} uploads arrived byte for byte while streaming was broken`,
      seen: duringFault.length > 0 && duringFault.every(({ ok }) => ok),
    },
    {
      text: `and ${served(afterStop)} after the stop, ${lateStreams} of them on the streaming path`,
      seen: afterStop.length > 0 && afterStop.every(({ ok }) => ok) && lateStreams === 0,
    },
    {
      text: `from then on no new upload tried streaming: ${evidence.faults?.count ?? 0} attempts failed in all`,
      seen: stoppedHere !== undefined && lastFaultWasUnderWay(evidence, stoppedHere.at),
    },
    {
      text: `Unleash's history shows who turned it off: ${turnedOff?.createdBy ?? 'no entry'}, the guard's token`,
      seen: turnedOff !== undefined && reported?.change === 'off' && reported.by === turnedOff.createdBy,
    },
    { text: 'no temporary file was left behind', seen: evidence.spooledFilesLeft === 0 },
  ];
}

/** The first event of that type since the provider broke. */
export function eventOf<T extends GuardEvent['type']>(
  { events, brokenAt }: Evidence,
  type: T,
): Extract<GuardEvent, { type: T }> | undefined {
  return events.find(
    (event): event is Extract<GuardEvent, { type: T }> => event.type === type && event.at >= brokenAt,
  );
}

const TURNED_OFF = 'feature-environment-disabled';

function healthyClaim({ percentage, uploads }: HealthyPhase): Claim {
  const streamed = uploads.filter(({ via }) => via === 'streaming').length;
  const share = percentage / 100;
  // Four standard deviations of a fair draw: wider than chance, narrower than a mistake.
  const tolerance = 4 * Math.sqrt(uploads.length * share * (1 - share));
  return {
    text: `${percentage} %: ${served(uploads)} uploads arrived byte for byte, ${streamed} by streaming`,
    seen:
      uploads.every(({ ok }) => ok) &&
      streamed > 0 &&
      Math.abs(streamed - uploads.length * share) <= tolerance,
  };
}

/** Uploads that were under way at the stop may still try again; they are allowed to end as they began. */
function lastFaultWasUnderWay({ faults, duringFault }: Evidence, stoppedAt: number): boolean {
  const underWay = duringFault.filter(({ startedAt }) => startedAt <= stoppedAt);
  return faults !== undefined && faults.lastAt <= Math.max(...underWay.map(({ endedAt }) => endedAt));
}

function served(uploads: readonly Upload[]): string {
  return `${uploads.filter(({ ok }) => ok).length} of ${uploads.length}`;
}

function ms(from: GuardEvent | undefined, to: GuardEvent | undefined): string {
  return from && to ? `${to.at - from.at} ms` : 'never';
}
