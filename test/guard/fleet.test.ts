import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { freePort, RedisServer } from '../../examples/fleet/redis-server.js';
import {
  RedisOutcomeStore,
  type RedisOutcomeStoreOptions,
} from '../../src/fleet/redis/redis-outcome-store.js';
import type { RolloutGuardOptions } from '../../src/guard/options/options.js';
import type { RolloutGuard } from '../../src/guard/rollout-guard.js';
import { BaselineFile } from '../../src/journal/baseline-file.js';
import type { GuardNotification } from '../../src/notify/notifier.js';
import { criticalErrors } from '../../src/triggers/critical-errors.js';
import { errorRateAbove } from '../../src/triggers/error-rate-above.js';
import { memoryGrowth } from '../../src/triggers/memory-growth.js';
import { successRateBelow } from '../../src/triggers/success-rate-below.js';
import { successRateBetween } from '../../src/triggers/success-rate-between.js';
import type { Trigger } from '../../src/triggers/trigger.js';
import { GuardHarness } from '../helpers/guard-harness.js';
import { describeWithBinary } from '../helpers/needs-binary.js';

const off = (request: string) => request.endsWith('/off');

/** As a guard without an admin token is set up. */
const TOKENLESS = { unleash: { url: 'http://unleash.test/api', environment: 'production' } };

describeWithBinary('guards that share a Redis', 'redis-server', 'apt-get install redis-server', () => {
  let redis: RedisServer;
  let prefix: string;
  let number = 0;
  let harnesses: GuardHarness[];

  beforeAll(async () => {
    redis = await RedisServer.start();
  });

  afterAll(() => redis.close());

  beforeEach(() => {
    prefix = `fleet-${++number}`;
    harnesses = [];
  });

  afterEach(async () => {
    await Promise.all(harnesses.map((harness) => harness.close()));
  });

  /** The lease outlasts every test: the first process leads until it closes, however busy the machine is. */
  const store = (options: RedisOutcomeStoreOptions = {}) =>
    new RedisOutcomeStore({
      ...{ url: redis.url, prefix, flushMs: 50, evaluateMs: 20, leaseMs: 60_000, timeoutMs: 5_000 },
      ...options,
    });

  /** A lease for tests that wait until it has expired. */
  const SHORT = { leaseMs: 400 };

  /** One process: a guard between flags of its own and, with the first process, one Unleash. */
  async function member(
    options: Partial<RolloutGuardOptions> = {},
  ): Promise<{ guard: RolloutGuard; harness: GuardHarness }> {
    const harness = await GuardHarness.create();
    harnesses.push(harness);
    const { unleash } = harnesses[0]!;
    const guard = await harness.started({ store: store(), fetch: unleash.fetch, tickMs: 20, ...options });
    return { guard, harness };
  }

  const isStopped = ({ harness }: { harness: GuardHarness }) => harness.flags.isOverridden();

  async function leading(one: { guard: RolloutGuard; harness: GuardHarness }): Promise<void> {
    await one.harness.until('leads', () => one.guard.status().fleet!.role === 'leader');
  }

  it('evaluates the sum: neither process has enough outcomes by itself', async () => {
    const one = await member();
    await leading(one);
    const other = await member();
    await one.harness.fail(one.guard, 10);
    await other.harness.fail(other.guard, 10);
    await one.harness.until('stopped everywhere', () => isStopped(one) && isStopped(other));
    expect(one.harness.reported('decided')).toMatchObject([
      { decision: { verdicts: [{ sampleSize: { treatment: 20 } }] } },
    ]);
    expect(other.harness.reported('decided')).toMatchObject([{ by: 'fleet' }]);
    await one.harness.until('off', () => !one.harness.unleash.enabled);
    await one.harness.until('confirmed everywhere', () =>
      [one, other].every(({ guard }) => guard.state.status === 'stopped'),
    );
    expect(one.harness.unleash.requests.filter(off)).toHaveLength(1);
    expect(other.guard.state).toMatchObject({ confirmedBy: 'fleet' });
  });

  it('evaluates each service by itself where they have names', async () => {
    const named = (service: string) => member({ store: store({ service }) });
    const [uploads, again, thumbnails] = [
      await named('uploads'),
      await named('uploads'),
      await named('thumbs'),
    ];
    await leading(uploads);
    await leading(thumbnails);
    await again.harness.fail(again.guard);
    await uploads.harness.until('stopped in the service', () => isStopped(uploads) && isStopped(again));
    await uploads.harness.until('off', () => !uploads.harness.unleash.enabled);
    expect(isStopped(thumbnails)).toBe(false);
    expect(thumbnails.guard.status().snapshot.total.treatment.failures).toBe(0);
  });

  it('warns once where Redis evicts keys, and shows an entry that it cannot read once', async () => {
    const evicting = await RedisServer.start('--maxmemory-policy', 'volatile-lru');
    try {
      const one = await member({ store: store({ url: evicting.url }) });
      await leading(one);
      const client = await evicting.client();
      for (let times = 0; times < 3; times++) {
        await client.xAdd(`${prefix}:{production/async-upload}:deltas`, '*', { hello: 'world' });
      }
      await one.harness.until('counted', () => one.guard.status().fleet!.unreadable === 3);
      expect(one.harness.reported('fault').map(({ message }) => message)).toEqual([
        expect.stringMatching(/volatile-lru.*noeviction/s),
        expect.stringMatching(/"hello".*left out/s),
      ]);
      await client.close();
    } finally {
      await evicting.close();
    }
  });

  it('stops although a key was lost that the counts before depend on', async () => {
    const [one, other] = [await member(), await member()];
    await leading(one);
    const upload = other.guard.operation({ treatment: () => 'new', control: () => 'old' });
    await upload({ targetingKey: 'ann' }, undefined);
    await one.harness.until('counted', () => one.guard.status().snapshot.total.treatment.successes === 1);
    const client = await redis.client();
    await client.del(`${prefix}:{production/async-upload}:state`);
    await client.close();
    await other.harness.fail(other.guard);
    await one.harness.until('stopped everywhere', () => isStopped(one) && isStopped(other));
    const [decided] = [...one.harness.reported('decided'), ...other.harness.reported('decided')];
    expect(decided!.decision.counts.treatment).toMatchObject({ successes: 1, failures: 20 });
    expect(one.guard.status().fleet!.rebuilt).toBe(1);
  });

  it('needs the admin token in one process only, and notifies operators once', async () => {
    const notified: string[] = [];
    const notify = [async ({ type }: GuardNotification) => void notified.push(type)];
    const leader = await member({ notify });
    const other = await member({ ...TOKENLESS, notify });
    await leading(leader);
    await other.harness.fail(other.guard);
    await leader.harness.until('off', () => !leader.harness.unleash.enabled);
    await leader.harness.until('confirmed everywhere', () => other.guard.state.status === 'stopped');
    await leader.harness.until('reported', () => notified.includes('stopped'));
    expect(notified.filter((event) => event === 'decided')).toHaveLength(1);
  });

  it('refuses a guard that has neither a token nor a store', async () => {
    const harness = await GuardHarness.create();
    harnesses.push(harness);
    expect(() => harness.guard(TOKENLESS)).toThrow(/unleash\.token/);
  });

  it('stops the whole fleet when the memory of a follower grows', async () => {
    const rollback = [memoryGrowth(1.2, { windowMs: 200, minGrowthBytes: 0 })];
    const normal = { bytes: 100, samples: 60, since: 0, until: 1 };
    const leader = await member({ rollback, readMemoryBytes: () => 100 });
    const leaking = await GuardHarness.create();
    harnesses.push(leaking);
    await new BaselineFile(leaking.folder, 'async-upload').save({ memory: normal });
    const other = await leaking.started({
      ...TOKENLESS,
      rollback,
      store: store(),
      tickMs: 20,
      readMemoryBytes: () => 130,
    });
    await leader.harness.until('stopped everywhere', () => isStopped(leader) && leaking.flags.isOverridden());
    expect(leaking.reported('decided')[0]!.by).toBeUndefined();
    expect(leader.harness.reported('decided')[0]!.by).toBe('fleet');
    await leader.harness.until('off', () => !leader.harness.unleash.enabled);
    expect(other.status().fleet!.role).toBe('follower');
  });

  it('re-arms everywhere when one process has seen an operator turn the flag on', async () => {
    const [one, other] = [await member(), await member()];
    await leading(one);
    await other.harness.fail(other.guard);
    await one.harness.until('confirmed everywhere', () =>
      [one, other].every(({ guard }) => guard.state.status === 'stopped'),
    );
    for (const { harness } of [one, other]) harness.flags.change({ enabled: false });
    await one.harness.until('seen off by the fleet', () =>
      [one, other].every(({ guard }) => guard.status().fleet!.epoch === 2),
    );
    one.harness.unleash.toggle(true, 'ann');
    other.harness.flags.change({ enabled: true });
    await one.harness.until('armed', () => [one, other].every(({ guard }) => guard.state.status === 'armed'));
    expect([isStopped(one), isStopped(other)]).toEqual([false, false]);
    one.harness.flags.change({ enabled: true });
    // The windows are empty: what was before stops nothing.
    await one.harness.until('in step', () => {
      const { fleet, snapshot } = one.guard.status();
      expect([fleet!.role, snapshot.windows[0]!.treatment.failures]).toEqual(['leader', 0]);
      return snapshot.epoch >= 3 && snapshot.epoch === fleet!.epoch;
    });
    expect(one.guard.state.status).toBe('armed');
    await other.harness.fail(other.guard);
    await one.harness.until('stopped again', () => isStopped(one) && isStopped(other));
  });

  it('knows its stop after all processes were restarted and Redis had lost its data', async () => {
    const [one, other] = [await member(), await member()];
    await leading(one);
    await one.harness.fail(one.guard);
    await one.harness.until('confirmed everywhere', () =>
      [one, other].every(({ guard }) => guard.state.status === 'stopped'),
    );
    await Promise.all([one, other].map(({ guard }) => guard.close()));
    const client = await redis.client();
    await client.del(await client.keys(`${prefix}:*`));
    await client.close();
    const { id } = one.harness.reported('decided')[0]!.decision;

    const { unleash } = one.harness;
    const again = async ({ harness }: typeof one) => {
      harness.events = [];
      // None of the runs before has seen the flag off.
      harness.flags.change({ enabled: false });
      return await harness.started({
        store: store(),
        fetch: unleash.fetch,
        tickMs: 20,
        notify: harness.notify,
      });
    };
    const guards = [await again(one), await again(other)];
    await one.harness.until('in step', () =>
      guards.every((guard) => guard.status().fleet!.epoch !== undefined),
    );
    await one.harness.ticks(5);
    expect(guards.map(({ state }) => state)).toMatchObject(
      guards.map(() => ({ status: 'stopped', decision: { id } })),
    );
    for (const { harness } of [one, other]) {
      expect([...harness.reported('re-armed'), ...harness.reported('toggled')]).toEqual([]);
      expect(harness.notified).toEqual([]);
    }

    unleash.toggle(true, 'ann');
    for (const { harness } of [one, other]) harness.flags.change({ enabled: true });
    await one.harness.until('armed', () => guards.every((guard) => guard.state.status === 'armed'));
  });

  it('notifies once of a flag that an operator turned off, and of what a rule in dry run finds', async () => {
    const notified: string[] = [];
    const notify = [({ type }: GuardNotification) => void notified.push(type)];
    const tried = errorRateAbove(0.1, { minOutcomes: 5, strict: true, name: 'tried', dryRun: true });
    const rollback = [tried, successRateBelow(0.1, { minOutcomes: 500 })];
    const [one, other] = [
      await member({ notify, rollback }),
      await member({ ...TOKENLESS, notify, rollback }),
    ];
    await leading(one);
    await other.harness.until('joined', () => other.guard.status().fleet!.role === 'follower');
    await other.harness.fail(other.guard, 10);
    await one.harness.until('found', () => notified.includes('decided'));
    one.harness.unleash.toggle(false, 'ann');
    for (const { harness } of [one, other]) harness.flags.change({ enabled: false });
    await one.harness.until('toggled', () => notified.includes('toggled'));
    await Promise.all([one, other].map(({ harness }) => harness.ticks(5)));
    await Promise.all([one, other].map(({ guard }) => guard.close()));
    expect(notified.filter((type) => type === 'decided' || type === 'toggled')).toEqual([
      'decided',
      'toggled',
    ]);
    expect([isStopped(one), isStopped(other)]).toEqual([false, false]);
  });

  it('acts on nothing in a dry run, neither its own decision nor another’s', async () => {
    const dry = await member({ dryRun: true });
    await leading(dry);
    await dry.harness.fail(dry.guard);
    await dry.harness.until('decided', () => dry.harness.reported('decided').length === 1);
    const other = await member();
    await other.harness.until('joined', () => other.guard.status().fleet!.role === 'follower');
    expect([isStopped(dry), isStopped(other), dry.harness.unleash.enabled]).toEqual([false, false, true]);
  });

  it('evaluates its own share while Redis is away, and shares its stop when Redis is back', async () => {
    const away = await RedisServer.start();
    try {
      const [one, other] = [
        await member({ store: store({ url: away.url, ...SHORT }) }),
        await member({ ...TOKENLESS, store: store({ url: away.url, ...SHORT }) }),
      ];
      await leading(one);
      await away.kill();
      await one.harness.until('standalone', () =>
        [one, other].every(({ guard }) => guard.status().fleet!.role === 'standalone'),
      );
      await other.harness.fail(other.guard);
      await other.harness.until('stopped here', () => isStopped(other));
      expect([isStopped(one), one.harness.unleash.enabled]).toEqual([false, true]);
      await away.resume();
      await one.harness.until('stopped everywhere', () => isStopped(one));
      await one.harness.until('off', () => !one.harness.unleash.enabled);
      expect(other.harness.reported('fleet-connection').map(({ problem }) => problem)).toEqual([
        expect.stringContaining('Redis'),
        undefined,
      ]);
    } finally {
      await away.close();
    }
  });

  it('hands reported stages and open reviews on to the next leader', async () => {
    const rule = successRateBetween(0.5, 0.99);
    const always: Trigger = { ...rule, evaluate: (...at) => ({ ...rule.evaluate(...at), status: 'breach' }) };
    const rules = { review: [always], stages: [{ percentage: 10, minOutcomes: 5, minSuccessRate: 0.9 }] };
    const [one, other] = [await member(rules), await member(rules)];
    await leading(one);
    await one.harness.until('reported', () => one.harness.reported('stage').length === 1);
    const upload = one.guard.operation({ treatment: () => 'new', control: () => 'old' });
    await upload({ targetingKey: 'ann' }, undefined);
    await one.harness.until('counted', () => one.guard.status().stage?.outcomes === 1);
    await one.guard.close();
    await leading(other);
    await other.harness.until('evaluated', () => other.guard.status().stage?.outcomes === 1);
    expect(other.guard.status()).toMatchObject({
      openReviews: [{ openedAt: one.guard.status().openReviews[0]!.openedAt }],
      stage: { status: 'blocked' },
    });
    expect([...other.harness.reported('review-opened'), ...other.harness.reported('stage')]).toEqual([]);
  });

  it('finishes a stop whose leader died before Unleash confirmed it', async () => {
    const [one, other] = [await member(), await member()];
    const { unleash } = one.harness;
    await leading(one);
    unleash.failure = (request) => (off(request) ? new Response('', { status: 503 }) : undefined);
    await one.harness.fail(one.guard);
    await one.harness.until('stopped everywhere', () => isStopped(one) && isStopped(other));
    await one.guard.close();
    expect(unleash.enabled).toBe(true);
    unleash.failure = undefined;
    await other.harness.until('off', () => !unleash.enabled);
    await other.harness.until('confirmed', () => other.guard.state.status === 'stopped');
  });

  it('evaluates in each process when no process may lead', async () => {
    const leaderless = async () => await member({ ...TOKENLESS, store: store(SHORT) });
    const [one, other] = [await leaderless(), await leaderless()];
    await one.harness.until('leaderless', () => one.guard.status().fleet!.role === 'standalone');
    await one.harness.until('reported', () => one.harness.reported('fault').length > 0);
    expect(one.harness.reported('fault')).toMatchObject([
      { message: expect.stringContaining('admin token') },
    ]);
    await one.harness.fail(one.guard);
    await one.harness.until('stopped everywhere', () => isStopped(one) && isStopped(other));
    // The first process with a token finishes it.
    const leader = await member({ store: store(SHORT) });
    await leader.harness.until('off', () => !harnesses[0]!.unleash.enabled);
    await leader.harness.until('confirmed everywhere', () => one.guard.state.status === 'stopped');
  });

  it('receives a critical error at once, not with the next flush', async () => {
    const slow = () => store({ flushMs: 60_000, leaseMs: 120_000 });
    const rollback = [criticalErrors()];
    const [one, other] = [
      await member({ rollback, store: slow() }),
      await member({ rollback, store: slow() }),
    ];
    await leading(one);
    const upload = other.guard.operation({
      treatment: () => Promise.reject(Object.assign(new Error('full'), { code: 'ENOSPC' })),
      control: () => 'old',
      retries: 0,
    });
    await upload({ targetingKey: 'user' }, undefined);
    await one.harness.until('stopped everywhere', () => isStopped(one) && isStopped(other));
  });

  it('does not bring back a stop that the fleet has left behind', async () => {
    const [one, other] = [await member(), await member()];
    await leading(one);
    await one.harness.fail(one.guard);
    await one.harness.until('confirmed everywhere', () =>
      [one, other].every(({ guard }) => guard.state.status === 'stopped'),
    );
    await other.guard.close();
    one.harness.flags.change({ enabled: false });
    one.harness.unleash.toggle(true, 'ann');
    one.harness.flags.change({ enabled: true });
    await one.harness.until('armed', () => one.guard.state.status === 'armed');
    const again = await other.harness.started({
      store: store(),
      fetch: one.harness.unleash.fetch,
      tickMs: 20,
    });
    await one.harness.until('armed again', () => again.state.status === 'armed');
    expect([one.guard.state.status, isStopped(other)]).toEqual(['armed', false]);
  });

  it('starts alone when Redis cannot be reached, and says so once', async () => {
    const { guard, harness } = await member({
      store: store({ url: `redis://127.0.0.1:${await freePort()}` }),
    });
    expect(guard.status().fleet).toMatchObject({
      role: 'standalone',
      problem: expect.stringContaining('Redis'),
    });
    await harness.fail(guard);
    await harness.until('off', () => !harness.unleash.enabled);
    expect(harness.reported('fleet-connection')).toHaveLength(1);
  });

  it.each<[string, string[], (port: number) => string, RegExp]>([
    [
      'a password that is missing',
      ['--requirepass', 'secret'],
      (port) => `redis://127.0.0.1:${port}`,
      /password/,
    ],
    [
      'a password that is wrong',
      ['--requirepass', 'secret'],
      (port) => `redis://:wrong-one@127.0.0.1:${port}`,
      /user name or password/,
    ],
  ])('refuses to start with %s, and shows no secret', async (_, args, url, message) => {
    const guarded = await RedisServer.start(...args);
    try {
      const refusal = await member({ store: store({ url: url(guarded.port) }) }).then(
        () => undefined,
        (error: Error) => error,
      );
      expect(refusal?.message).toMatch(message);
      expect(refusal?.message).not.toContain('wrong-one');
    } finally {
      await guarded.close();
    }
  });

  it('continues alone when Redis refuses writes', async () => {
    const full = await RedisServer.start('--maxmemory', '3mb', '--maxmemory-policy', 'noeviction');
    try {
      const { guard, harness } = await member({ store: store({ url: full.url, ...SHORT }) });
      await leading({ guard, harness });
      const client = await full.client();
      await client.set('ballast', 'x'.repeat(4 * 2 ** 20)).catch(() => {});
      await client.configSet('maxmemory', '1mb');
      await harness.until('standalone', () => {
        const { role, problem = '' } = guard.status().fleet!;
        return role === 'standalone' && problem.includes('out of memory');
      });
      await client.configSet('maxmemory', '0');
      await harness.until('back', () => guard.status().fleet!.role === 'leader');
      await client.close();
    } finally {
      await full.close();
    }
  });
});
