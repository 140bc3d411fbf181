import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { RedisServer } from '../../examples/fleet/redis-server.js';
import type { Announcement } from '../../src/fleet/fleet-link.js';
import type { SharedStore } from '../../src/fleet/fleet-options.js';
import type { FleetState } from '../../src/fleet/fleet-shapes.js';
import { RedisOutcomeStore } from '../../src/fleet/redis/redis-outcome-store.js';
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
            return open(onAnnounced, onMissed);
          };
          link.sync = async (request) => {
            calls.sync++;
            const reply = await sync(request);
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
      const guard = await harness.started({ store, fetch: unleash.fetch, tickMs: 20, dryRun });
      await harness.until('joined', () => state !== undefined && guard.status().fleet!.role !== 'standalone');
      const reported = () => [...harness.reported('stopped-here'), ...harness.reported('decided')];
      /** @param followedBy - Undefined: what follows is not valid. */
      const stop = (followedBy?: Partial<FleetState>) => {
        const version = state!.version + 1;
        const { id, reason } = DECISION;
        const read = () => followedBy && { ...state!, version, ...followedBy };
        announce({ stop: { datasetId: state!.datasetId, version, id, reason }, read });
      };
      return { guard, harness, calls, stop, reported };
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
