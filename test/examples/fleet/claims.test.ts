import { describe, expect, it } from 'vitest';
import { claimsOf } from '../../../examples/fleet/claims.js';
import type { Act, Evidence } from '../../../examples/fleet/evidence.js';
import { median, stopDelays, timeline } from '../../../examples/fleet/timeline.js';

const act = (leader: string, brokenAt: number, others: readonly string[]): Act => ({
  countedBefore: 100,
  brokenAt,
  firstFallbackAt: brokenAt + 5,
  leader,
  reason: 'too many failures',
  decidedAt: brokenAt + 300,
  stops: [
    { process: leader, at: brokenAt + 300 },
    ...others.map((process, index) => ({ process, at: brokenAt + 310 + index })),
  ],
  offAt: brokenAt + 400,
  isOnInUnleash: false,
  startedAfterStop: 0,
});

const toggle = (id: number, change: 'enabled' | 'disabled') => ({
  id,
  type: `feature-environment-${change}`,
  createdBy: change === 'enabled' ? 'admin' : 'guard-token',
  createdAt: id,
  environment: 'development',
  data: undefined,
});

const FIRST = act('p1', 1_000, ['p2', 'p3']);
const SECOND = act('p2', 9_000, ['p3']);
const COUNTS = { streamed: 100, fellBack: 7, buffered: 900 };

const GOOD: Evidence = {
  acts: [FIRST, SECOND],
  handover: {
    killed: 'p1',
    killedAt: 2_000,
    turnedOnAt: 2_100,
    newLeader: 'p2',
    newLeaderAt: 5_000,
    rearmed: [
      { process: 'p2', at: 5_100 },
      { process: 'p3', at: 5_105 },
    ],
  },
  tallyBefore: { inRedis: COUNTS, said: COUNTS },
  tallyAfter: { inRedis: COUNTS, said: { ...COUNTS, buffered: 920 } },
  unsentAtMost: 40,
  answers: { right: 1_007, wrong: 0, movedOn: 1 },
  history: [toggle(4, 'disabled'), toggle(3, 'enabled'), toggle(2, 'disabled'), toggle(1, 'enabled')],
  faults: [],
};

const unseen = (changes: Partial<Evidence>) =>
  claimsOf({ ...GOOD, ...changes })
    .filter(({ seen }) => !seen)
    .map(({ text }) => text);

const withFirst = (changes: Partial<Act>): Partial<Evidence> => ({
  acts: [{ ...FIRST, ...changes }, SECOND],
});

describe("the fleet demo's claims", () => {
  it('are true of a rollout that went as it should', () => {
    expect(unseen({})).toEqual([]);
  });

  it.each<[string, Partial<Evidence>]>([
    ['no leader decided', withFirst({ leader: undefined, decidedAt: undefined })],
    [
      'a process that never stopped',
      withFirst({ stops: [...FIRST.stops, { process: 'p4', at: undefined }] }),
    ],
    [
      'stops that waited for a poll',
      withFirst({ stops: FIRST.stops.map(({ process }) => ({ process, at: 9_000 })) }),
    ],
    ['a flag that is on in Unleash', withFirst({ isOnInUnleash: true })],
    ['a call of the new path after the stop', withFirst({ startedAfterStop: 1 })],
    ['totals that are not the sum', { tallyBefore: { inRedis: COUNTS, said: { ...COUNTS, streamed: 101 } } }],
    [
      'outcomes that were counted twice',
      { tallyAfter: { inRedis: { ...COUNTS, buffered: 930 }, said: COUNTS } },
    ],
    ['more lost than the killed process had', { unsentAtMost: 19 }],
    ['a new leader that came late', { handover: { ...GOOD.handover, newLeaderAt: 7_001 } }],
    [
      'a process that did not re-arm',
      { handover: { ...GOOD.handover, rearmed: [{ process: 'p2', at: undefined }] } },
    ],
    [
      'a second verdict of a process that is not the new leader',
      { handover: { ...GOOD.handover, newLeader: 'p3' } },
    ],
    ['a user who got nothing', { answers: { right: 1_006, wrong: 1, movedOn: 1 } }],
    ['a toggle that Unleash does not know', { history: GOOD.history.slice(1) }],
    ['a fault', { faults: ['p3: writing the audit log'] }],
  ])('are not all true of %s', (_, changes) => {
    expect(unseen(changes)).not.toEqual([]);
  });
});

describe("the fleet demo's timeline", () => {
  it('does not count the leader in the time until all have stopped', () => {
    expect(stopDelays(FIRST)).toEqual([10, 11]);
  });

  it.each([
    [[3, 1, 2], 2],
    [[4, 1, 2, 3], 2.5],
  ])('finds the median of %j', (values, expected) => {
    expect(median(values)).toBe(expected);
  });

  it('orders what happened by time, and lists what never did', () => {
    const text = timeline({ ...GOOD, acts: [{ ...FIRST, offAt: undefined }, SECOND] });
    expect(text).toMatch(
      /310\.0 ms {2}stopped in p2\n.*311\.0 ms {2}stopped in p3\n +never {2}off in Unleash/,
    );
  });
});
