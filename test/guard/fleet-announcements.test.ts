import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { RedisServer } from '../../examples/fleet/redis-server.js';
import type { Announcement } from '../../src/fleet/fleet-link.js';
import type { SharedStore } from '../../src/fleet/fleet-options.js';
import type { FleetState } from '../../src/fleet/fleet-shapes.js';
import { RedisOutcomeStore } from '../../src/fleet/redis/redis-outcome-store.js';
import { eventually } from '../helpers/eventually.js';
import { DECISION } from '../helpers/fleet-decision.js';
import { GuardHarness } from '../helpers/guard-harness.js';
import { describeWithBinary } from '../helpers/needs-binary.js';

describeWithBinary(
  'a guard to which a stop is announced',
  'redis-server',
  'apt-get install redis-server',
  () => {
    let redis: RedisServer;
    let prefix: string;
    let number = 0;
    const harnesses: GuardHarness[] = [];

    beforeAll(async () => {
      redis = await RedisServer.start();
    });

    afterAll(() => redis.close());

    beforeEach(() => {
      prefix = `announced-${++number}`;
    });

    afterEach(async () => {
      await Promise.all(harnesses.splice(0).map((harness) => harness.close()));
    });

    /** A guard in a fleet, to which the test announces what it wants. */
    async function member({ dryRun = false } = {}) {
      const real = new RedisOutcomeStore({
        url: redis.url,
        prefix,
        flushMs: 50,
        evaluateMs: 20,
        leaseMs: 60_000,
      });
      let announce: (announcement: Announcement) => void = () => {};
      let state: FleetState | undefined;
      const calls = { sync: 0, clearStop: 0 };
      /** While it is cut, nothing is announced, and no answer comes. */
      const network = { isCut: false, whole: Promise.resolve() };
      const store: SharedStore = {
        timing: real.timing,
        link(flag) {
          const link = real.link(flag);
          const { open, sync, clearStop } = {
            open: link.open.bind(link),
            sync: link.sync.bind(link),
            clearStop: link.clearStop.bind(link),
          };
          link.open = (onAnnounced, onMissed) => {
            announce = onAnnounced;
            return open((announcement) => network.isCut || onAnnounced(announcement), onMissed);
          };
          link.sync = async (request) => {
            calls.sync++;
            const reply = await sync(request);
            await network.whole;
            state = reply.state ?? state;
            return reply;
          };
          link.clearStop = (...args) => {
            calls.clearStop++;
            return clearStop(...args);
          };
          return link;
        },
      };
      const harness = await GuardHarness.create();
      harnesses.push(harness);
      const { unleash } = harnesses[0]!;
      let frozenMs = 0;
      const clock = { now: () => Date.now() + frozenMs, monotonic: () => performance.now() + frozenMs };
      const guard = await harness.started({ store, fetch: unleash.fetch, tickMs: 20, dryRun, clock });
      await harness.until('joined', () => state !== undefined && guard.status().fleet!.role !== 'standalone');
      const reported = () => [...harness.reported('stopped-here'), ...harness.reported('decided')];
      /** @param followedBy - Undefined: what follows is not valid. */
      const stop = (followedBy?: Partial<FleetState>) => {
        const version = state!.version + 1;
        const { id, reason } = DECISION;
        const read = () => followedBy && { ...state!, version, ...followedBy };
        announce({ stop: { datasetId: state!.datasetId, version, id, reason }, read });
      };
      const run = guard.operation<void, string>({ treatment: () => 'treatment', control: () => 'control' });
      const serve = () => run({ targetingKey: 'user' }, undefined);
      /** What is served to a request that waited while the process was frozen. */
      const wake = () => {
        frozenMs += 10_000;
        return serve();
      };
      return { guard, harness, calls, network, stop, reported, serve, wake };
    }

    it('overrides the flag in the same turn, and records and reports it afterwards', async () => {
      const { guard, harness, stop, reported } = await member();
      const before = Date.now();
      stop({ stop: { decision: DECISION } });
      const after = Date.now();
      expect([harness.flags.isOverridden(), guard.state.status, reported()]).toEqual([true, 'armed', []]);
      await harness.until('followed', () => reported().length === 2);
      const [stoppedHere, decided] = reported();
      expect(stoppedHere).toMatchObject({ decisionId: DECISION.id });
      expect(stoppedHere!.at).toBeGreaterThanOrEqual(before);
      expect(stoppedHere!.at).toBeLessThanOrEqual(after);
      expect(decided).toMatchObject({ decision: DECISION, by: 'fleet' });
    });

    it('serves the treatment again when what follows is not valid, and reports nothing', async () => {
      const { guard, harness, calls, stop, reported } = await member();
      const syncs = calls.sync;
      stop();
      expect(harness.flags.isOverridden()).toBe(true);
      await harness.until('released', () => !harness.flags.isOverridden());
      await harness.until('asked', () => calls.sync > syncs);
      expect([guard.state.status, reported()]).toEqual(['armed', []]);
    });

    it('serves the treatment again when the fleet does not know the stop', async () => {
      const { guard, harness, stop, reported } = await member();
      stop({});
      expect(harness.flags.isOverridden()).toBe(true);
      await harness.until('released', () => !harness.flags.isOverridden());
      expect([guard.state.status, reported()]).toEqual(['armed', []]);
    });

    it('serves the treatment in a dry run', async () => {
      const { harness, stop } = await member({ dryRun: true });
      stop({ stop: { decision: DECISION } });
      expect(harness.flags.isOverridden()).toBe(false);
    });

    it('serves no treatment after it was frozen until it knows of a stop that it has missed', async () => {
      const [one, frozen] = [await member(), await member()];
      expect(await frozen!.serve()).toBe('treatment');
      let reconnect = () => {};
      frozen!.network.isCut = true;
      frozen!.network.whole = new Promise((resolve) => {
        reconnect = resolve;
      });
      await one!.harness.fail(one!.guard);
      await one!.harness.until('stopped', () => one!.harness.flags.isOverridden());
      expect(await frozen!.wake()).toBe('control');
      expect(frozen!.harness.flags.isOverridden()).toBe(false);
      reconnect();
      await one!.harness.until('learned', () => frozen!.harness.flags.isOverridden());
    });

    it('serves the treatment in a dry run after it was frozen', async () => {
      const { wake } = await member({ dryRun: true });
      expect(await wake()).toBe('treatment');
    });

    it('serves the treatment again after it was frozen and nothing has happened', async () => {
      const { harness, serve, wake } = await member();
      expect(await wake()).toBe('control');
      await eventually(async () => expect(await serve()).toBe('treatment'));
      expect(harness.flags.isOverridden()).toBe(false);
    });

    it('re-arms without saying so to the server, which has said it', async () => {
      const fleet = [await member(), await member(), await member()];
      const [one] = fleet;
      await one!.harness.fail(one!.guard);
      const all = (what: string, holds: (each: (typeof fleet)[number]) => boolean) =>
        one!.harness.until(what, () => fleet.every(holds));
      await all('stopped', ({ guard }) => guard.state.status === 'stopped');
      for (const { harness } of fleet) harness.flags.change({ enabled: false });
      await all('seen off', ({ guard }) => guard.status().fleet!.epoch === 2);
      one!.harness.unleash.toggle(true, 'ann');
      one!.harness.flags.change({ enabled: true });
      await all('armed', ({ guard }) => guard.state.status === 'armed');
      expect(fleet.map(({ harness }) => harness.flags.isOverridden())).toEqual([false, false, false]);
      expect(fleet.slice(1).map(({ calls }) => calls.clearStop)).toEqual([0, 0]);
    });
  },
);
