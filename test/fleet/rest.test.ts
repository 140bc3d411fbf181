import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { SyncRequest } from '../../src/fleet/fleet-link.js';
import { FleetMember } from '../../src/fleet/fleet-member.js';
import type { FleetState, SyncReply } from '../../src/fleet/fleet-shapes.js';
import { MemoryOutcomeStore } from '../../src/measure/memory-outcome-store.js';
import { DECISION } from '../helpers/fleet-decision.js';
import { outcomeOf } from '../measure/outcomes.js';

const clock = { now: () => Date.now(), monotonic: () => performance.now() };
const members: FleetMember[] = [];

beforeEach(() => {
  vi.useFakeTimers({ now: 1_700_000_000_000 });
});

afterEach(async () => {
  await Promise.all(members.splice(0).map((member) => member.close()));
  vi.useRealTimers();
});

/** A member whose server replies at once. */
async function memberOf({ mayLead = false, processes = 3, hasLeader = true, leads = false } = {}) {
  const requests: SyncRequest[] = [];
  /** When the leader read, and what wakes it while it rests. */
  const reads: { readonly at: number; readonly onSent: (() => void) | undefined }[] = [];
  const states: FleetState[] = [];
  let publish: (state: FleetState) => void = () => {};
  const server = { isDown: false, leader: hasLeader ? 'other' : undefined, revision: 'ten' };
  const own = new MemoryOutcomeStore({ flagKey: 'flag', windowsMs: [60_000], now: Date.now() });
  const state = {
    datasetId: 'data',
    version: 1,
    epoch: 1,
    epochStartedAt: 0,
    oldestEpoch: 1,
    revision: 'ten',
    clearedStops: [],
  };
  const member = new FleetMember({
    own,
    openSince: () => own.openSince,
    emptyStore: () => own,
    rules: [],
    link: {
      instance: 'own',
      open: async (onState) => {
        publish = onState;
        return [];
      },
      sync: async (request): Promise<SyncReply> => {
        requests.push(request);
        if (server.isDown) throw new Error('down');
        return {
          now: Date.now(),
          delta: request.delta === undefined ? 'none' : 'accepted',
          lastSequence: request.delta?.sequence ?? 0,
          assignedEpoch: 1,
          leader: server.leader,
          fence: leads ? 1 : undefined,
          processes,
          state,
        };
      },
      read: async (_lease, _after, _count, onSent) => {
        if (!leads) return undefined;
        reads.push({ at: Date.now(), onSent });
        const { epoch, oldestEpoch, epochStartedAt } = state;
        const settledUpTo = Date.now();
        return {
          serverRun: 'run',
          entries: [],
          isAll: true,
          settledUpTo,
          epoch,
          oldestEpoch,
          epochStartedAt,
        };
      },
      loadCheckpoint: async () => ({ text: undefined, rollups: undefined, linesAdded: 0 }),
      saveCheckpoint: async () => false,
      saveView: async () => false,
      processes: async () => ({ listed: [], groups: [] }),
      rollout: {
        view: async () => undefined,
        history: async () => ({ rollups: [], annotations: [] }),
        events: async () => [],
      },
      controls: {
        send: async () => {},
        reply: async () => undefined,
        withdraw: async () => true,
        take: async () => undefined,
        begin: async () => false,
        save: async () => false,
        state: async () => state,
      },
      stop: async () => state,
      finishStop: async () => state,
      clearStop: async () => state,
      close: async () => {},
    },
    clock,
    timing: { flushMs: 1_000, evaluateMs: 200, leaseMs: 3_000 },
    mayLead,
    revision: () => server.revision,
    reportedState: { get: () => ({ openReviews: [] }), set: () => {} },
    listener: {
      onState: (seen) => states.push(seen),
      onOutcomes() {},
      onEpoch() {},
      onConnection() {},
      onFault() {},
    },
  });
  members.push(member);
  member.beginEpoch(1, Date.now(), { keepWindows: true });
  await member.start();
  const record = () => own.record(outcomeOf({ at: Date.now(), epoch: 1 }));
  /** How many requests come in so many seconds. */
  const during = async (seconds: number) => {
    const before = requests.length;
    await vi.advanceTimersByTimeAsync(seconds * 1_000);
    return requests.length - before;
  };
  return { member, requests, reads, states, state, publish, server, record, during };
}

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
    let drawn = 0;
    vi.spyOn(Math, 'random').mockImplementation(() => (drawn++ % 10) / 10 + 0.05);
    const fleet = await Promise.all(Array.from({ length: 10 }, () => memberOf()));
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
    ['the fleet has no leader', { hasLeader: false }],
  ])('syncs with every flush while %s', async (_, options) => {
    const { during } = await memberOf(options);
    await during(5);
    expect(await during(20)).toBe(20);
  });

  it('rests among many that may lead', async () => {
    const { during } = await memberOf({ mayLead: true, processes: 10_000 });
    await during(5);
    expect(await during(50)).toBe(10);
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
    server.isDown = true;
    await during(5);
    expect(member.problem).toBe('down');
    await during(3.5);
    expect(member.role).toBe('standalone');
    server.isDown = false;
    await during(2);
    expect(member.role).toBe('follower');
  });

  it('gets a stop at once, however long it rests', async () => {
    const { requests, states, state, publish, during } = await memberOf();
    await during(61);
    const before = [requests.length, Date.now()];
    publish({ ...state, version: 2, stop: { decision: DECISION } });
    expect(states.at(-1)?.stop?.decision).toBe(DECISION);
    expect([requests.length, Date.now()]).toEqual(before);
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
});
