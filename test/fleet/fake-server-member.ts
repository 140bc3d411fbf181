import { afterEach, beforeEach, vi } from 'vitest';
import type { Announcement, SyncRequest } from '../../src/fleet/fleet-link.js';
import { FleetMember } from '../../src/fleet/fleet-member.js';
import type { FleetState, StopNotice, SyncReply } from '../../src/fleet/fleet-shapes.js';
import { MemoryOutcomeStore } from '../../src/measure/memory-outcome-store.js';
import { outcomeOf } from '../measure/outcomes.js';

const clock = { now: () => Date.now(), monotonic: () => performance.now() };
const members: FleetMember[] = [];

/** Fake timers, and members that are closed when a test ends. */
export function useFakeTime(): void {
  beforeEach(() => {
    vi.useFakeTimers({ now: 1_700_000_000_000 });
  });

  afterEach(async () => {
    await Promise.all(members.splice(0).map((member) => member.close()));
    vi.useRealTimers();
  });
}

/** What ten members draw one after another: as even as chance would have it among very many. */
export function evenly(): () => number {
  let drawn = 0;
  return () => (drawn++ % 10) / 10 + 0.05;
}

/** A member whose server replies at once. */
export async function memberOf({
  mayLead = false,
  processes = 3,
  candidates = 3,
  hasLeader = true,
  leads = false,
  // The first heartbeat is after five flushes, so that none comes unexpectedly.
  random = (): number => 0.9,
} = {}) {
  const requests: SyncRequest[] = [];
  /** When the leader read, and what wakes it while it rests. */
  const reads: { readonly at: number; readonly onSent: (() => void) | undefined }[] = [];
  /** What the leader saved as its view, and how often it listed the processes. */
  const shown = { views: [] as unknown[], lists: 0 };
  const states: FleetState[] = [];
  const problems: (string | undefined)[] = [];
  const faults: string[] = [];
  const stops: StopNotice[] = [];
  const invalid: StopNotice[] = [];
  let announce: (announcement: Announcement) => void = () => {};
  let miss: () => void = () => {};
  const server = {
    failure: undefined as Error | undefined,
    /** What it has in place of the first state. */
    changed: {} as Partial<FleetState>,
    answers: Promise.resolve(),
    leader: hasLeader ? 'other' : undefined,
    revision: 'ten',
    view: 'armed',
    processes,
  };
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
      open: async (onAnnounced, onMissed) => {
        announce = onAnnounced;
        miss = onMissed!;
        return [];
      },
      sync: async (request): Promise<SyncReply> => {
        requests.push(request);
        const current = { ...state, ...server.changed };
        await server.answers;
        if (server.failure !== undefined) throw server.failure;
        return {
          now: Date.now(),
          delta: request.delta === undefined ? 'none' : 'accepted',
          lastSequence: request.delta?.sequence ?? 0,
          assignedEpoch: 1,
          leader: server.leader,
          fence: leads ? 1 : undefined,
          processes: server.processes,
          candidates,
          state: current,
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
      saveView: async (_lease, text) => shown.views.push(JSON.parse(text)) > 0,
      processes: async () => {
        shown.lists++;
        return { listed: [], groups: [] };
      },
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
    random,
    timing: { flushMs: 1_000, evaluateMs: 200, leaseMs: 3_000 },
    mayLead,
    revision: () => server.revision,
    view: () => ({ key: server.view, view: { state: server.view, at: Date.now() } }),
    reportedState: { get: () => ({ openReviews: [] }), set: () => {} },
    listener: {
      onStop: (stop) => stops.push(stop),
      onInvalidStop: (stop) => invalid.push(stop),
      onState: (seen) => states.push(seen),
      onOutcomes() {},
      onEpoch() {},
      onConnection: (problem) => problems.push(problem),
      onProcesses() {},
      onFault: (what, error) => faults.push(`${what}: ${String(error)}`),
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
  /** As the server announces a stop; what follows it is not valid without a state. */
  const stop = (version: number, followedBy?: FleetState) =>
    announce({
      stop: { datasetId: 'data', version, id: 'decision-1', reason: 'Too many failures.' },
      read: () => followedBy,
    });
  return {
    member,
    own,
    requests,
    reads,
    shown,
    states,
    problems,
    faults,
    stops,
    invalid,
    state,
    stop,
    announce,
    miss: () => miss(),
    server,
    record,
    during,
  };
}
