import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { RedisServer } from '../../../examples/fleet/redis-server.js';
import type { FleetLink } from '../../../src/fleet/fleet-link.js';
import type { SharedStore } from '../../../src/fleet/fleet-options.js';
import { RedisOutcomeStore } from '../../../src/fleet/redis/redis-outcome-store.js';
import type { RolloutGuardOptions } from '../../../src/guard/options/options.js';
import type { RolloutGuard } from '../../../src/guard/rollout-guard.js';
import type { GuardNotification } from '../../../src/notify/notifier.js';
import { GuardHarness } from '../../helpers/guard-harness.js';
import { describeWithBinary } from '../../helpers/needs-binary.js';

const TOKENLESS = { unleash: { url: 'http://unleash.test/api', environment: 'production' } };

describeWithBinary('the health of a fleet', 'redis-server', 'apt-get install redis-server', () => {
  let redis: RedisServer;
  let prefix: string;
  let number = 0;
  let harnesses: GuardHarness[];
  let sent: (GuardNotification & { readonly by: string })[];
  /** By how much the monotonic clocks are ahead. */
  let aheadMs: number;

  beforeAll(async () => {
    redis = await RedisServer.start();
  });

  afterAll(() => redis.close());

  beforeEach(() => {
    prefix = `health-${++number}`;
    harnesses = [];
    sent = [];
    aheadMs = 0;
  });

  afterEach(async () => {
    await Promise.all(harnesses.map((harness) => harness.close()));
  });

  const store = (leaseMs = 600_000, url = redis.url) =>
    new RedisOutcomeStore({ url, prefix, flushMs: 50, evaluateMs: 20, leaseMs, timeoutMs: 5_000 });

  async function member(
    by: string,
    options: Partial<RolloutGuardOptions> = {},
  ): Promise<{ guard: RolloutGuard; harness: GuardHarness }> {
    const harness = await GuardHarness.create();
    harnesses.push(harness);
    const guard = await harness.started({
      store: store(),
      tickMs: 20,
      clock: { now: () => Date.now(), monotonic: () => performance.now() + aheadMs },
      notify: [(notification) => void sent.push({ ...notification, by })],
      ...options,
    });
    return { guard, harness };
  }

  const codes = (guard: RolloutGuard) => guard.health.reasons.map(({ code }) => code);

  /** Lets time pass in steps that no process takes for a freeze. */
  async function pass(harness: GuardHarness, seconds: number): Promise<void> {
    for (let step = 0; step < seconds; step++) {
      aheadMs += 1_000;
      await harness.ticks(2);
    }
  }

  it('is ok in the leader, and in a follower without an admin token', async () => {
    const leader = await member('leader');
    const follower = await member('follower', TOKENLESS);
    await leader.harness.until('leads', () => leader.guard.status().fleet?.role === 'leader');
    await follower.harness.until('follows', () => follower.guard.status().fleet?.role === 'follower');
    await pass(leader.harness, 60);
    expect([codes(leader.guard), codes(follower.guard)]).toEqual([[], []]);
    expect(sent).toEqual([]);
  });

  it('is blind in a leader that does not get through what was sent, until it does', async () => {
    let isBroken = true;
    const shared = store();
    const broken: SharedStore = {
      timing: shared.timing,
      link: (flag) => brokenLink(shared.link(flag), () => isBroken),
    };
    const { guard, harness } = await member('leader', { store: broken });
    await pass(harness, 20);
    expect(codes(guard)).toContain('leader-stuck');
    isBroken = false;
    await harness.until('leads', () => guard.status().fleet?.role === 'leader');
    await pass(harness, 60);
    expect(codes(guard)).toEqual([]);
  });

  it('is blind where no process has an admin token, until one has', async () => {
    const { guard, harness } = await member('a', { ...TOKENLESS, store: store(6_000) });
    await pass(harness, 40);
    expect(codes(guard)).toEqual(['no-leader']);
    await member('b', { store: store(6_000) });
    await harness.until('follows', () => guard.status().fleet?.role === 'follower');
    await pass(harness, 40);
    expect(codes(guard)).toEqual([]);
  });

  it('is blind without the shared store where nothing can be turned off, or nothing is seen', async () => {
    const down = () => store(400, 'redis://127.0.0.1:9');
    const tokenless = await member('tokenless', { ...TOKENLESS, store: down() });
    const controller = await member('controller', { store: down() });
    const service = await member('service', { store: down() });
    service.guard.exposed({ value: true, reason: 'SPLIT' }, 'ann');
    await pass(service.harness, 20);
    await tokenless.harness.ticks(2);
    await controller.harness.ticks(2);
    expect(codes(tokenless.guard)).toEqual(['fleet-unreachable']);
    expect(codes(controller.guard)).toEqual(['fleet-unreachable']);
    expect(codes(service.guard)).toEqual([]);
  });

  it('is notified once of what all find alike, and by each process of its own', async () => {
    const leader = await member('leader');
    const follower = await member('follower', TOKENLESS);
    await follower.harness.until('follows', () => follower.guard.status().fleet?.role === 'follower');
    leader.harness.flags.facts = undefined;
    follower.harness.flags.facts = undefined;
    for (let user = 0; user < 20; user++) {
      follower.harness.flags.track({ targetingKey: `user-${user}`, value: 1, details: { success: true } });
    }
    await pass(leader.harness, 40);
    await follower.harness.until('blind', () => codes(follower.guard).length === 2);
    expect(codes(leader.guard)).toEqual(['flag-missing']);
    expect(codes(follower.guard).toSorted()).toEqual(['flag-missing', 'hook-missing']);
    // The watch over the flag gives a new flag a minute to arrive.
    await pass(leader.harness, 80);
    await follower.harness.until('notified', () => sent.length === 2);
    expect(sent.map(({ by, type }) => [by, type]).toSorted()).toEqual([
      ['follower', 'health'],
      ['leader', 'flag-missing'],
    ]);
  });

  it('is notified by each process that its own blindness is over, though what all find alike ends last', async () => {
    const leader = await member('leader');
    const follower = await member('follower', TOKENLESS);
    await follower.harness.until('follows', () => follower.guard.status().fleet?.role === 'follower');
    const { flags } = follower.harness;
    const served = (isKnown: boolean) => {
      for (let user = 0; user < 20; user++) {
        const targetingKey = `user-${user}`;
        if (isKnown) follower.guard.exposed({ value: false, reason: 'SPLIT' }, targetingKey);
        flags.track({ targetingKey, value: 1, details: { success: true } });
      }
    };
    served(false);
    await pass(leader.harness, 40);
    await follower.harness.until('blind', () => codes(follower.guard).join() === 'hook-missing');
    let isStale = true;
    Object.assign(flags, { health: () => ({ status: isStale ? 'stale' : 'ok' }) });
    await pass(leader.harness, 15);
    served(true);
    await pass(leader.harness, 40);
    await follower.harness.until('stale', () => codes(follower.guard).join() === 'stale-flags');
    isStale = false;
    await pass(leader.harness, 40);
    await follower.harness.until('ok', () => codes(follower.guard).length === 0);
    await follower.harness.ticks(2);
    const [first, last] = [sent[0], sent.at(-1)];
    expect(first).toMatchObject({ by: 'follower', type: 'health', incident: { status: 'open' } });
    expect(last).toMatchObject({ by: 'follower', type: 'health', incident: { status: 'resolved' } });
    expect(last?.incident?.key).toBe(first?.incident?.key);
  });
});

/** A link whose reads fail, as those of a leader that meets an entry that it cannot use. */
function brokenLink(link: FleetLink, isBroken: () => boolean): FleetLink {
  return {
    instance: link.instance,
    controls: link.controls,
    rollout: link.rollout,
    open: (onState) => link.open(onState),
    sync: (request) => link.sync(request),
    read: (...args) => (isBroken() ? Promise.reject(new TypeError('broken')) : link.read(...args)),
    loadCheckpoint: () => link.loadCheckpoint(),
    saveCheckpoint: (...args) => link.saveCheckpoint(...args),
    processes: () => link.processes(),
    saveView: (...args) => link.saveView(...args),
    stop: (decision, lease) => link.stop(decision, lease),
    finishStop: (decisionId, done) => link.finishStop(decisionId, done),
    clearStop: (decisionId, revision, minEpoch) => link.clearStop(decisionId, revision, minEpoch),
    close: () => link.close(),
  };
}
