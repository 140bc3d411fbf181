import type { Claim } from '../demo/claims.js';
import type { Act, Evidence, Tally } from './evidence.js';
import { totalOf } from './messages.js';
import { median, stopDelays } from './timeline.js';

/** Half of the processes have stopped within this time of the verdict, by far not every 15 seconds. */
const MEDIAN_STOP_MS = 100;
/** And all of them within this: a process that misses the message reads the stop with its next flush, one second later. */
const LAST_STOP_MS = 1_500;
const TAKE_OVER_MS = 5_000;

/** Checks every promise of the demo against what was seen. Pure. */
export function claimsOf(evidence: Evidence): Claim[] {
  const { acts, handover, tallyBefore, tallyAfter, unsentAtMost, answers, history, faults } = evidence;
  const [first, second] = acts;
  const takeOverMs = handover.newLeaderAt - handover.killedAt;
  const rearmed = handover.rearmed.filter(({ at }) => at !== undefined && at >= handover.turnedOnAt);
  const missing = totalOf(tallyAfter.said) - totalOf(tallyAfter.inRedis);
  const changes = history.filter(({ type }) => type === TURNED_OFF || type === TURNED_ON).toReversed();
  return [
    ...actClaims(first),
    {
      text: `Redis' totals are the sum of what six processes report: ${shown(tallyBefore)}`,
      seen: isExact(tallyBefore) && totalOf(tallyBefore.said) > 0,
    },
    {
      text: `${handover.killed} was killed; ${handover.newLeader} led ${Math.round(takeOverMs)} ms later`,
      seen: takeOverMs <= TAKE_OVER_MS && handover.newLeader !== handover.killed,
    },
    {
      text: `an operator turned the flag on, and ${rearmed.length} of ${handover.rearmed.length} processes re-armed`,
      seen: rearmed.length === handover.rearmed.length,
    },
    ...actClaims(second),
    {
      text: `the second verdict came from ${second.leader ?? 'no process'}, the new leader`,
      seen: second.leader === handover.newLeader,
    },
    {
      text: `Redis' totals at the end: ${shown(tallyAfter)}; ${missing} died unsent with ${handover.killed}`,
      // A receipt may be lost on its way to the user though its outcome has been sent.
      seen: missing <= unsentAtMost && missing >= -answers.movedOn,
    },
    {
      text: `no user noticed: ${answers.right} of ${answers.right + answers.wrong} got the right receipt, ${answers.movedOn} of them from another process when theirs was killed`,
      seen: answers.wrong === 0 && answers.right > 0,
    },
    {
      text: `Unleash's history: ${changes.map(({ type, createdBy }) => `${type === TURNED_ON ? 'on' : 'off'} by ${createdBy}`).join(', ')}`,
      seen: changes.map(({ type }) => (type === TURNED_ON ? 'on' : 'off')).join() === 'on,off,on,off',
    },
    {
      text: faults.length === 0 ? 'no guard reported a fault' : `faults: ${faults.join('; ')}`,
      seen: faults.length === 0,
    },
  ];
}

const TURNED_OFF = 'feature-environment-disabled';
const TURNED_ON = 'feature-environment-enabled';

function actClaims(act: Act): Claim[] {
  const { leader, reason, decidedAt, offAt, brokenAt, startedAfterStop, isOnInUnleash } = act;
  const delays = stopDelays(act);
  const others = act.stops.filter(({ process }) => process !== leader).length;
  return [
    {
      text: `${leader ?? 'no process'} decided for all: ${reason ?? 'no decision was seen'}`,
      seen: decidedAt !== undefined && decidedAt >= brokenAt,
    },
    {
      text: `stopped in ${delays.length} of ${others} other processes, without waiting for Unleash's 15 s poll: ${
        delays.length === 0 ? 'never' : `median ${ms(median(delays))}, last ${ms(Math.max(...delays))}`
      }`,
      seen:
        delays.length === others &&
        delays.length > 0 &&
        median(delays) <= MEDIAN_STOP_MS &&
        Math.max(...delays) <= LAST_STOP_MS,
    },
    {
      text: `off in Unleash ${offAt === undefined || decidedAt === undefined ? 'never' : ms(offAt - decidedAt)} after the verdict`,
      seen: offAt !== undefined && !isOnInUnleash,
    },
    {
      text: `${startedAfterStop} calls of the new path began in a process after its stop`,
      seen: startedAfterStop === 0,
    },
  ];
}

function isExact({ inRedis, said }: Tally): boolean {
  return (
    inRedis.streamed === said.streamed &&
    inRedis.fellBack === said.fellBack &&
    inRedis.buffered === said.buffered
  );
}

function shown({ inRedis, said }: Tally): string {
  const words = ({ streamed, fellBack, buffered }: Tally['said']) =>
    `${streamed} streamed, ${fellBack} fell back, ${buffered} buffered`;
  return `${words(inRedis)} (they report ${words(said)})`;
}

const ms = (value: number): string => `${value.toFixed(value < 10 ? 1 : 0)} ms`;
