import type { Act, Evidence, InProcess } from './evidence.js';

/** How long after the verdict each process but the leader had stopped, in milliseconds; those that never did are left out. */
export function stopDelays({ stops, leader, decidedAt }: Act): number[] {
  if (decidedAt === undefined) return [];
  return stops.flatMap(({ process, at }) => (process === leader || at === undefined ? [] : at - decidedAt));
}

/** Of an uneven number the middle one, otherwise the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  return (sorted[Math.ceil(middle) - 1]! + sorted[Math.floor(middle)]!) / 2;
}

/** What happened when, in milliseconds from the moment the new path broke, or the leader was killed. */
export function timeline({ acts, handover }: Evidence): string {
  const [first, second] = acts;
  return [
    'The new path breaks',
    ...lines(first.brokenAt, actMoments(first)),
    '',
    'The leader is killed',
    ...lines(handover.killedAt, [
      [`${handover.killed} is killed`, handover.killedAt],
      ['an operator has turned the flag on', handover.turnedOnAt],
      [`${handover.newLeader} leads`, handover.newLeaderAt],
      [`the first process has re-armed`, earliest(handover.rearmed)],
      [`all ${handover.rearmed.length} have re-armed`, latest(handover.rearmed)],
    ]),
    '',
    'The new path breaks again',
    ...lines(second.brokenAt, actMoments(second)),
  ].join('\n');
}

type Moments = readonly (readonly [string, number | undefined])[];

function actMoments(act: Act): Moments {
  return [
    ['the new path breaks in all processes', act.brokenAt],
    ['first user who is served by the old path instead', act.firstFallbackAt],
    [`verdict, by ${act.leader ?? 'no process'}, which stops its own process`, act.decidedAt],
    ...[...act.stops]
      .filter(({ process }) => process !== act.leader)
      .map(({ process, at }) => [`stopped in ${process}`, at] as const),
    ['off in Unleash, read back', act.offAt],
  ];
}

function lines(from: number, moments: Moments): string[] {
  return moments
    .toSorted(([, a], [, b]) => (a ?? Number.POSITIVE_INFINITY) - (b ?? Number.POSITIVE_INFINITY))
    .map(([what, at]) => {
      const after = at === undefined ? 'never' : `${(at - from).toFixed(1)} ms`;
      return `  ${after.padStart(11)}  ${what}`;
    });
}

const times = (moments: readonly InProcess[]) => moments.flatMap(({ at }) => (at === undefined ? [] : at));
const earliest = (moments: readonly InProcess[]) => least(times(moments));
const latest = (moments: readonly InProcess[]) =>
  times(moments).length === moments.length ? times(moments).toSorted((a, b) => b - a)[0] : undefined;
const least = (values: readonly number[]) => values.toSorted((a, b) => a - b)[0];
