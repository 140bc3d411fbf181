import { describe, expect, it, vi } from 'vitest';
import { FleetError } from '../../src/fleet/fleet-link.js';
import { evenly, memberOf, useFakeTime } from './fake-server-member.js';

useFakeTime();

describe('a member whose server fails', () => {
  /** Requests per second of each member in the second minute of an outage. */
  async function rate(options: Parameters<typeof memberOf>[0]): Promise<number> {
    const fleet = await Promise.all(
      Array.from({ length: 3 }, () => memberOf({ ...options, random: evenly() })),
    );
    for (const { server, record } of fleet) {
      server.failure = new Error('down');
      record();
    }
    await vi.advanceTimersByTimeAsync(60_000);
    const before = fleet.map(({ requests }) => requests.length);
    await vi.advanceTimersByTimeAsync(60_000);
    const sent = fleet.reduce((sum, { requests }, index) => sum + requests.length - before[index]!, 0);
    return sent / fleet.length / 60;
  }

  it('asks about once per 1.5 s in a small fleet, and less often in a large one', async () => {
    expect(await rate({ processes: 3 })).toBeGreaterThan(0.45);
    expect(await rate({ processes: 10_000 })).toBeLessThan(0.15);
  });

  it('asks as often in a large fleet when it is one of few that may lead', async () => {
    expect(await rate({ processes: 10_000, candidates: 2, mayLead: true })).toBeGreaterThan(0.45);
    expect(await rate({ processes: 10_000, candidates: 10_000, mayLead: true })).toBeLessThan(0.15);
  });

  it('asks as soon as it is connected again, and as before from then on', async () => {
    const { member, requests, server, record, miss, during } = await memberOf({ processes: 10_000 });
    server.failure = new Error('down');
    await during(60);
    server.failure = undefined;
    miss();
    await during(1);
    expect(member.problem).toBeUndefined();
    record();
    const before = requests.length;
    await during(1);
    expect(requests.slice(before).some(({ delta }) => delta !== undefined)).toBe(true);
  });

  it('sends nothing more because of critical errors while it waits', async () => {
    const { member, requests, server, record, during } = await memberOf({ processes: 10_000 });
    server.failure = new Error('down');
    await during(60);
    const before = requests.length;
    for (let second = 0; second < 10; second++) {
      record();
      member.flushSoon();
      await during(1);
    }
    expect(requests.length - before).toBeLessThanOrEqual(2);
  });

  it('reports the outage once, and once more when only an operator can end it', async () => {
    const { member, server, problems, during } = await memberOf();
    server.failure = new FleetError('UNREACHABLE', 'gone');
    await during(20);
    server.failure = new FleetError('UNAUTHENTICATED', 'wrong password');
    await during(20);
    server.failure = new FleetError('UNREACHABLE', 'gone again');
    await during(20);
    server.failure = new FleetError('UNAUTHENTICATED', 'wrong password');
    await during(20);
    expect(member.problem).toBe('wrong password');
    server.failure = undefined;
    await during(5);
    expect(problems).toEqual(['gone', 'wrong password', undefined]);
  });

  it('does not miss a leader who could not show up meanwhile', async () => {
    const { member, server, faults, during } = await memberOf();
    await during(10);
    server.failure = new Error('down');
    await during(60);
    Object.assign(server, { failure: undefined, leader: undefined });
    await during(5);
    expect([member.role, faults]).toEqual(['follower', []]);
    await during(10);
    expect([member.role, faults.length > 0]).toEqual(['standalone', true]);
  });
});

describe('what a member knows', () => {
  it('is not replaced by an answer that was given before', async () => {
    const { member, server, state, announce, during } = await memberOf();
    let answer = () => {};
    server.answers = new Promise((resolve) => {
      answer = resolve;
    });
    const synced = member.sync();
    await vi.advanceTimersByTimeAsync(0);
    server.changed = { version: 2, epoch: 2 };
    announce({ stop: undefined, read: () => ({ ...state, ...server.changed }) });
    answer();
    await vi.advanceTimersByTimeAsync(0);
    expect(member.state).toMatchObject({ version: 2, epoch: 2 });
    await synced;
    // What a server has lost is not taken for known.
    server.changed = {};
    await during(6);
    expect(member.state).toMatchObject({ version: 1, epoch: 1 });
  });
});

describe('a server that has lost its data', () => {
  async function lost(processes: number, outcomes: number) {
    const random = evenly();
    const fleet = await Promise.all(Array.from({ length: 10 }, () => memberOf({ processes, random })));
    for (const { record } of fleet) for (let i = 0; i < outcomes; i++) record();
    await vi.advanceTimersByTimeAsync(20_000);
    const before = fleet.map(({ requests }) => requests.length);
    for (const { server } of fleet) server.changed = { datasetId: 'other' };
    /** How many have sent what they have. */
    const sent = () =>
      fleet.filter(({ requests }, index) =>
        requests
          .slice(before[index])
          .some(({ delta, datasetId }) => delta !== undefined && datasetId === 'other'),
      ).length;
    return { fleet, sent };
  }

  it('is filled again at once by few processes', async () => {
    const { sent } = await lost(3, 1);
    await vi.advanceTimersByTimeAsync(6_000);
    expect(sent()).toBe(10);
  });

  it('is filled again by thousands over 15 s, which read on meanwhile', async () => {
    const { fleet, sent } = await lost(10_000, 1);
    await vi.advanceTimersByTimeAsync(5_000);
    expect(sent()).toBeLessThanOrEqual(5);
    expect(fleet.map(({ member }) => member.role)).toEqual(fleet.map(() => 'follower'));
    await vi.advanceTimersByTimeAsync(5_000);
    expect(sent()).toBeLessThan(10);
    await vi.advanceTimersByTimeAsync(11_000);
    expect(sent()).toBe(10);
    expect(fleet.map(({ faults }) => faults.length)).toEqual(fleet.map(() => 1));
  });

  it('gets what a process has that leaves meanwhile', async () => {
    const { fleet, sent } = await lost(10_000, 1);
    await vi.advanceTimersByTimeAsync(6_000);
    expect(sent()).toBeLessThan(10);
    await Promise.all(fleet.map(({ member }) => member.close()));
    expect(sent()).toBe(10);
  });

  it('gets nothing from a process that has recorded nothing', async () => {
    const { sent } = await lost(10_000, 0);
    await vi.advanceTimersByTimeAsync(30_000);
    expect(sent()).toBe(0);
  });
});
