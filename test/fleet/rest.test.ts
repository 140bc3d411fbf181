import { describe, expect, it, vi } from 'vitest';
import { DECISION } from '../helpers/fleet-decision.js';
import { outcomeOf } from '../measure/outcomes.js';
import { evenly, memberOf, useFakeTime } from './fake-server-member.js';

useFakeTime();

describe('a fleet member without outcomes', () => {
  it('sends a heartbeat every five flushes, says first that nothing is to be waited for, and stays a follower', async () => {
    const { member, requests, during } = await memberOf();
    await during(5);
    expect(requests.at(-1)).toMatchObject({ isIdle: true, delta: undefined });
    expect(await during(50)).toBe(10);
    expect(member.role).toBe('follower');
    expect(member.progress.undeliveredMs).toBeLessThanOrEqual(1_000);
  });

  it('spreads its heartbeats from those of others that became idle in the same moment', async () => {
    const random = evenly();
    const fleet = await Promise.all(Array.from({ length: 10 }, () => memberOf({ random })));
    for (const { record } of fleet) record();
    await fleet[0]!.during(10);
    for (let second = 0; second < 10; second++) {
      const before = fleet.reduce((sum, { requests }) => sum + requests.length, 0);
      await fleet[0]!.during(1);
      const sent = fleet.reduce((sum, { requests }) => sum + requests.length, 0) - before;
      expect(sent).toBe(2);
    }
  });

  it('sends what it records with the next flush, then rests again', async () => {
    const { requests, record, during } = await memberOf();
    await during(20);
    record();
    expect(await during(1)).toBeGreaterThanOrEqual(1);
    expect(requests.at(-1)?.delta ?? requests.at(-2)?.delta).toBeDefined();
    await during(2);
    expect(requests.at(-1)).toMatchObject({ isIdle: true });
    expect(await during(50)).toBeLessThanOrEqual(12);
  });

  it.each([
    ['few processes may lead', { mayLead: true, processes: 3 }],
    ['few of very many may lead', { mayLead: true, processes: 10_000, candidates: 2 }],
    ['the fleet has no leader', { hasLeader: false }],
  ])('syncs with every flush while %s', async (_, options) => {
    const { during } = await memberOf(options);
    await during(5);
    expect(await during(20)).toBe(20);
  });

  it('rests among many that may lead', async () => {
    const { during } = await memberOf({ mayLead: true, processes: 10_000, candidates: 10_000 });
    await during(5);
    expect(await during(50)).toBe(10);
  });

  it('sends a heartbeat only while a large fleet has no leader, and it cannot lead itself', async () => {
    const { member, server, during } = await memberOf({ processes: 10_000 });
    await during(5);
    server.leader = undefined;
    expect(await during(50)).toBe(10);
    expect(member.role).toBe('standalone');
  });

  it('sends what has settled by itself between two flushes', async () => {
    const { own, requests, during } = await memberOf();
    await during(10.2);
    own.expose({ ...outcomeOf({ at: Date.now(), epoch: 1 }).exposure, at: Date.now() });
    await during(60.3);
    own.snapshot(Date.now());
    expect(own.openSince).toBeUndefined();
    const before = requests.length;
    await during(2);
    const sent = requests.slice(before).map(({ delta }) => delta?.text);
    expect(sent.join()).toMatch(/"settled":\[\[/);
  });

  it('takes nothing from its store for a heartbeat', async () => {
    const { own, during } = await memberOf();
    await during(5);
    const take = vi.spyOn(own, 'takeDelta');
    expect(await during(50)).toBe(10);
    expect(take).not.toHaveBeenCalled();
  });

  it('says with its next heartbeat that it has begun an epoch of which the fleet knows the definition', async () => {
    const { member, requests, record, during } = await memberOf();
    await during(20);
    member.beginEpoch(2, Date.now(), { keepWindows: true });
    const before = requests.length;
    await during(5);
    expect(requests.length).toBe(before + 1);
    member.beginEpoch(3, Date.now(), { keepWindows: true });
    record();
    await during(1);
    expect(requests.at(-1)?.delta).toBeDefined();
  });

  it('syncs with the next flush when the definition has changed', async () => {
    const { requests, server, during } = await memberOf();
    await during(20);
    server.revision = 'fifty';
    expect(await during(1)).toBeGreaterThanOrEqual(1);
    expect(requests.at(-1)?.isIdle).toBe(false);
  });

  it('notices within the lease of a heartbeat that the server is gone', async () => {
    const { member, server, during } = await memberOf();
    await during(20);
    server.failure = new Error('down');
    await during(5);
    expect(member.problem).toBe('down');
    await during(3.5);
    expect(member.role).toBe('standalone');
    server.failure = undefined;
    await during(2);
    expect(member.role).toBe('follower');
  });

  it('gets a stop at once, however long it rests', async () => {
    const { requests, stops, state, stop, during } = await memberOf();
    await during(61);
    const before = [requests.length, Date.now()];
    stop(2, { ...state, version: 2, stop: { decision: DECISION } });
    expect(stops.at(-1)?.reason).toBe('Too many failures.');
    expect([requests.length, Date.now()]).toEqual(before);
  });
});

describe('a stop that is announced', () => {
  it('applies at once, and what follows from it is spread over a second among thousands of processes', async () => {
    const random = evenly();
    const fleet = await Promise.all(
      Array.from({ length: 10 }, () => memberOf({ processes: 10_000, random })),
    );
    const seen = () => fleet.filter(({ states }) => states.some(({ stop }) => stop !== undefined)).length;
    for (const { stop, state } of fleet) stop(2, { ...state, version: 2, stop: { decision: DECISION } });
    expect(fleet.map(({ stops }) => stops.length)).toEqual(fleet.map(() => 1));
    await vi.advanceTimersByTimeAsync(190);
    expect(seen()).toBe(0);
    await vi.advanceTimersByTimeAsync(410);
    expect(seen()).toBe(5);
    await vi.advanceTimersByTimeAsync(400);
    expect(seen()).toBe(10);
  });

  it('is followed at once among few, and sends nothing', async () => {
    const { requests, states, state, stop, during } = await memberOf({ processes: 20 });
    await during(11);
    const before = requests.length;
    stop(2, { ...state, version: 2, stop: { decision: DECISION } });
    await vi.advanceTimersByTimeAsync(2);
    expect(states.at(-1)?.stop?.decision).toBe(DECISION);
    expect(requests.length).toBe(before);
  });

  it('does not apply when it is of other data, or not later than what is known', async () => {
    const { stops, state, states, stop, announce } = await memberOf();
    const seen = states.length;
    stop(1, { ...state, stop: { decision: DECISION } });
    announce({
      stop: { datasetId: 'other', version: 2, id: 'decision-1', reason: 'Too many failures.' },
      read: () => ({ ...state, datasetId: 'other', version: 2, stop: { decision: DECISION } }),
    });
    await vi.advanceTimersByTimeAsync(50);
    expect([stops, states.length]).toEqual([[], seen]);
  });

  it('ends when what follows is not valid, and the server is asked', async () => {
    const { requests, stops, invalid, stop, during } = await memberOf();
    await during(11);
    const before = requests.length;
    stop(2);
    await vi.advanceTimersByTimeAsync(2);
    expect(invalid).toEqual(stops);
    expect([stops.length, requests.length]).toEqual([1, before + 1]);
  });

  it('is not followed when it was cleared meanwhile', async () => {
    const { states, state, stop, announce } = await memberOf({ processes: 10_000 });
    stop(2, { ...state, version: 2, stop: { decision: DECISION } });
    announce({ stop: undefined, read: () => ({ ...state, version: 3, epoch: 2 }) });
    await vi.advanceTimersByTimeAsync(1_000);
    expect(states.some((each) => each.stop !== undefined)).toBe(false);
    expect(states.at(-1)?.version).toBe(3);
  });

  it('is followed before the process leaves', async () => {
    const { member, states, state, stop } = await memberOf({ processes: 10_000 });
    stop(2, { ...state, version: 2, stop: { decision: DECISION } });
    await member.close();
    expect(states.map((each) => each.stop?.decision)).toContain(DECISION);
  });

  it('is followed at once while the process leaves', async () => {
    const { member, server, states, state, stop } = await memberOf({ processes: 10_000 });
    let answer = () => {};
    server.answers = new Promise((resolve) => {
      answer = resolve;
    });
    const closed = member.close();
    stop(2, { ...state, version: 2, stop: { decision: DECISION } });
    expect(states.at(-1)?.stop?.decision).toBe(DECISION);
    answer();
    await closed;
  });
});

describe('a member whose connection for announcements was lost', () => {
  it.each([
    [3, 2],
    [10_000, 1_000],
  ])(
    'asks the server as soon as it is back, spread among %i processes over %i ms',
    async (processes, withinMs) => {
      const { requests, miss, during } = await memberOf({ processes });
      // Its next heartbeat is due in more than a second.
      for (let before = 0; before !== requests.length; await during(1)) before = requests.length;
      const before = requests.length;
      miss();
      await vi.advanceTimersByTimeAsync(withinMs);
      expect(requests.length).toBe(before + 1);
    },
  );

  it('does not take the answer to an earlier request for it', async () => {
    const { member, requests, server, miss } = await memberOf({ processes: 3 });
    let answer = () => {};
    server.answers = new Promise((resolve) => {
      answer = resolve;
    });
    void member.sync();
    miss();
    await vi.advanceTimersByTimeAsync(2);
    const before = requests.length;
    answer();
    await vi.advanceTimersByTimeAsync(2);
    expect(requests.length).toBe(before + 1);
  });
});

describe('a member that leaves', () => {
  it.each([3, 10_000])('says only that, though it was to ask the server, among %i', async (processes) => {
    const { member, requests, miss, stop } = await memberOf({ processes });
    miss();
    stop(2);
    const before = requests.length;
    await member.close();
    await vi.advanceTimersByTimeAsync(2_000);
    expect(requests.slice(before).map(({ isLeaving }) => isLeaving)).toEqual([true]);
  });

  it('does not join again when it is to catch up after a gap', async () => {
    const { member, requests } = await memberOf();
    await member.close();
    const before = requests.length;
    await member.sync();
    expect(requests.length).toBe(before);
  });
});

describe('a leader to whom nothing is sent', () => {
  it('reads once per second, and again at once when something is sent', async () => {
    const { member, reads, during } = await memberOf({ mayLead: true, leads: true });
    await during(10);
    expect(member.role).toBe('leader');
    const before = reads.length;
    await during(10);
    expect(reads.length - before).toBe(10);
    // Between two reads.
    await during(0.4);
    const sentAt = Date.now();
    expect(reads.at(-1)!.at).toBeLessThan(sentAt);
    reads.at(-1)!.onSent!();
    await during(0);
    expect(reads.at(-1)!.at).toBe(sentAt);
    await during(0.2);
    expect(reads.at(-1)!.at).toBe(sentAt + 200);
  });

  it('takes nothing from its own store, and sends all the same', async () => {
    const { own, during } = await memberOf({ mayLead: true, leads: true });
    await during(5);
    const take = vi.spyOn(own, 'takeDelta');
    expect(await during(10)).toBe(10);
    expect(take).not.toHaveBeenCalled();
  });

  it('shows within a second how the rollout stands when that has changed, and otherwise every ten seconds', async () => {
    const { server, shown, during } = await memberOf({ mayLead: true, leads: true });
    await during(10);
    const before = shown.views.length;
    await during(50);
    expect(shown.views.length - before).toBe(5);
    await during(4);
    server.view = 'stopped';
    await during(1);
    expect(shown.views.at(-1)).toMatchObject({ state: 'stopped' });
  });

  it('lists the processes every five seconds, and within two when there is another', async () => {
    const { server, shown, during } = await memberOf({ mayLead: true, leads: true });
    await during(10);
    const before = shown.lists;
    await during(50);
    expect(shown.lists - before).toBe(10);
    while (shown.lists === before + 10) await during(1);
    server.processes++;
    await during(2);
    expect(shown.lists - before).toBe(12);
  });
});
