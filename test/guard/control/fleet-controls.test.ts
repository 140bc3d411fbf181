import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { RedisServer } from '../../../examples/fleet/redis-server.js';
import type { FleetLink } from '../../../src/fleet/fleet-link.js';
import {
  RedisOutcomeStore,
  type RedisOutcomeStoreOptions,
} from '../../../src/fleet/redis/redis-outcome-store.js';
import { answerTo } from '../../../src/guard/control/answer-to.js';
import type { RolloutGuardOptions } from '../../../src/guard/options/options.js';
import type { RolloutGuard } from '../../../src/guard/rollout-guard.js';
import type { Alert, Control, ControlRequest } from '../../../src/model/control.js';
import { GuardHarness } from '../../helpers/guard-harness.js';
import { describeWithBinary } from '../../helpers/needs-binary.js';

const HOUR = 3_600_000;
const MUTED = 'success-rate-below';
const TOKENLESS = { unleash: { url: 'http://unleash.test/api', environment: 'production' } };
const STAGES = [10, 50, 100].map((percentage) => ({ percentage, minOutcomes: 1e6, minSuccessRate: 0.9 }));

interface Member {
  readonly guard: RolloutGuard;
  readonly harness: GuardHarness;
}

describeWithBinary('controls of a fleet', 'redis-server', 'apt-get install redis-server', () => {
  let redis: RedisServer;
  let prefix: string;
  let number = 0;
  let harnesses: GuardHarness[];
  let links: FleetLink[];

  beforeAll(async () => {
    redis = await RedisServer.start();
  });
  afterAll(() => redis.close());
  beforeEach(() => {
    prefix = `controls-${++number}`;
    harnesses = [];
    links = [];
  });
  afterEach(async () => {
    await Promise.all(harnesses.map((harness) => harness.close()));
    await Promise.all(links.map((link) => link.close()));
  });

  const store = (options: RedisOutcomeStoreOptions = {}) =>
    new RedisOutcomeStore({
      ...{ url: redis.url, prefix, flushMs: 50, evaluateMs: 20, leaseMs: 60_000, timeoutMs: 5_000 },
      ...options,
    });
  const SHORT = { leaseMs: 400 };

  async function member(options: Partial<RolloutGuardOptions> = {}): Promise<Member> {
    const harness = await GuardHarness.create();
    harnesses.push(harness);
    const { unleash } = harnesses[0]!;
    const rules = { stages: STAGES, store: store(), fetch: unleash.fetch, tickMs: 20 };
    return { harness, guard: await harness.started({ ...rules, ...options }) };
  }

  async function leading({ guard, harness }: Member): Promise<void> {
    await harness.until('leads', () => guard.status().fleet!.role === 'leader');
  }

  async function following({ guard, harness }: Member): Promise<void> {
    await harness.until('follows', () => guard.status().fleet!.role === 'follower');
  }

  /** A leader and a process without an admin token that follows it. */
  async function fleet(options: Partial<RolloutGuardOptions> = {}): Promise<[Member, Member]> {
    const one = await member(options);
    await leading(one);
    const other = await member({ ...TOKENLESS, ...options });
    await following(other);
    return [one, other];
  }

  const openLink = () => {
    const link = store(SHORT).link({ flagKey: 'async-upload', environment: 'production' });
    links.push(link);
    return link;
  };
  const requestOf = (control: Control): ControlRequest => ({
    id: randomUUID(),
    control,
    at: Date.now(),
    expiresAt: Date.now() + 30_000,
  });
  const patches = () => harnesses[0]!.unleash.requests.filter((request) => request.startsWith('PATCH'));

  it('take an alert wherever it arrives, and the leader acts on it once', async () => {
    const [one, other] = await fleet();
    const alert: Alert = {
      type: 'alert',
      by: 'Alertmanager',
      trigger: 'alert:a',
      fingerprint: 'f',
      isFiring: true,
      action: 'review',
      reason: 'a',
    };
    await other.guard.alertTarget.alert(alert);
    await one.harness.until('open', () => one.guard.status().openReviews.length === 1);
    expect((await one.guard.alertTarget.alert(alert)).message).toMatch(/nothing has changed/);
    await other.guard.alertTarget.alert({ ...alert, fingerprint: 'g', action: 'stop' });
    await other.harness.until('stopped', () => other.guard.state.status === 'stopped');
    expect(one.guard.state.status).toBe('stopped');
    expect(one.harness.reported('alert')).toHaveLength(2);
    expect(other.harness.reported('alert')).toEqual([]);
  });

  it('apply to all processes, whichever is asked', async () => {
    const [one, other] = await fleet();
    await other.guard.hold({ reason: 'incident 42', by: 'ann' });
    await one.guard.mute(MUTED, { forMs: HOUR, reason: 'known', by: 'bob' });
    const both = {
      hold: { by: 'ann', reason: 'incident 42' },
      mutes: [{ trigger: MUTED, by: 'bob', reason: 'known' }],
    };
    await one.harness.until('known to all', () => other.guard.controls.mutes.length === 1);
    for (const { guard } of [one, other]) expect(guard.controls).toMatchObject(both);
    await other.harness.fail(other.guard);
    await one.harness.until('counted', () => one.guard.status().snapshot.total.treatment.failures === 20);
    await one.harness.ticks(5);
    expect([one.guard.state.status, one.harness.unleash.enabled]).toEqual(['armed', true]);
    await other.guard.unmute(MUTED, { by: 'ann' });
    await one.harness.until('stopped', () => one.guard.state.status === 'stopped');
    // The leader alone keeps the audit of what the fleet was asked for.
    expect(one.harness.reported('control').map(({ control }) => control.type)).toEqual([
      'hold',
      'mute',
      'unmute',
    ]);
    expect(other.harness.reported('control')).toEqual([]);
  });

  it('stop all processes at once, from one without an admin token', async () => {
    const [one, other] = await fleet();
    const { message } = await other.guard.stop({ reason: 'uploads are lost', by: 'ann' });
    expect(message).toBe('async-upload is off in Unleash.');
    for (const { guard, harness } of [one, other]) {
      expect(harness.flags.isOverridden()).toBe(true);
      expect(guard.state).toMatchObject({
        status: 'stopped',
        decision: { requestedBy: 'ann', verdicts: [] },
      });
    }
    expect(one.harness.unleash.enabled).toBe(false);
  });

  it('replace a step back in the whole fleet', async () => {
    const [one, other] = await fleet({ onRollback: 'previous-stage' });
    harnesses[0]!.unleash.rollout = 50;
    for (const { harness } of [one, other]) harness.flags.change({ rolloutPercentage: 50 });
    await one.harness.until(
      'in step',
      () => one.guard.status().snapshot.epoch === one.guard.status().fleet!.epoch,
    );
    await other.harness.fail(other.guard);
    await one.harness.until('stepped back', () =>
      [one, other].every(({ guard }) => guard.state.status === 'stopped'),
    );
    await other.guard.stop({ reason: 'off, please', by: 'ann' });
    await one.harness.until('off', () => !one.harness.unleash.enabled);
    await one.harness.until('known to all', () =>
      [one, other].every(
        ({ guard }) => guard.state.status === 'stopped' && guard.state.decision.requestedBy === 'ann',
      ),
    );
  });

  it('advance through the leader, once for two operators at once', async () => {
    const [one, other] = await fleet();
    await expect(other.guard.advance({ by: 'ann' })).rejects.toMatchObject({ code: 'NOT_MET' });
    await Promise.all([
      other.guard.advance({ by: 'ann', force: true }),
      one.guard.advance({ by: 'bob', force: true }),
    ]);
    expect([one.harness.unleash.rollout, patches().length]).toEqual([50, 1]);
  });

  it('stay in force when the leader ends, and when all processes are started anew', async () => {
    const [one, other] = [await member(), await member()];
    await leading(one);
    await other.guard.mute(MUTED, { forMs: HOUR, reason: 'known', by: 'ann' });
    await one.guard.close();
    await leading(other);
    await other.harness.fail(other.guard);
    await other.harness.ticks(5);
    expect(other.guard.state.status).toBe('armed');
    await other.guard.close();
    const next = await member();
    await leading(next);
    expect(next.guard.controls.mutes).toMatchObject([{ trigger: MUTED, by: 'ann' }]);
  });

  it('stay in force when Redis has lost its data', async () => {
    const [one, other] = await fleet();
    await one.guard.hold({ reason: 'incident', by: 'ann' });
    const client = await redis.client();
    await client.del(`${prefix}:{production/async-upload}:state`);
    await client.close();
    const newcomer = await member(TOKENLESS);
    await newcomer.harness.until('known', () => newcomer.guard.controls.hold?.by === 'ann');
    expect([one, other].map(({ guard }) => guard.controls.hold?.by)).toEqual(['ann', 'ann']);
  });

  it('hand an acknowledged review to the next leader', async () => {
    const verdict = {
      trigger: 'slow',
      status: 'breach',
      threshold: 1,
      unit: 'none',
      sampleSize: { treatment: 1, control: 1 },
      windowMs: 0,
      message: 'It is slow.',
    } as const;
    const review = [{ name: 'slow', windowMs: 0, evaluate: () => verdict }];
    const [one, other] = [await member({ review }), await member({ review })];
    await leading(one);
    await one.harness.until('opened', () => one.guard.status().openReviews.length === 1);
    await following(other);
    await other.guard.acknowledge('slow', { by: 'ann' });
    expect(one.guard.status().openReviews).toEqual([]);
    await one.guard.close();
    await leading(other);
    await other.harness.until('evaluated', () => other.guard.status().verdicts.length === 2);
    await other.harness.ticks(5);
    expect(other.harness.reported('review-opened')).toEqual([]);
  });

  it('are refused while this process is cut off, but for a stop', async () => {
    const away = await RedisServer.start();
    try {
      const one = await member({ store: store({ url: away.url, ...SHORT }) });
      await leading(one);
      await away.kill();
      await one.harness.until('alone', () => one.guard.status().fleet!.role === 'standalone');
      await expect(one.guard.hold({ reason: 'incident', by: 'ann' })).rejects.toMatchObject({
        code: 'FLEET',
      });
      expect(one.guard.controls.hold).toBeUndefined();
      await one.guard.stop({ reason: 'lost', by: 'ann' });
      expect(one.harness.unleash.enabled).toBe(false);
    } finally {
      await away.close();
    }
  });

  /** A leader that takes a request and is then silent, as one that was killed. */
  async function killedLeader(request: ControlRequest, step?: ControlRequest['step']): Promise<void> {
    const link = openLink();
    await link.open(() => {});
    const assignment = { epoch: 0, seenRevision: '', revision: '', keepWindows: true, minEpoch: 0 };
    const fields = {
      version: 0,
      oldestEpoch: 0,
      delta: undefined,
      accepted: 0,
      feeds: '',
      settledUpTo: undefined,
    };
    const sync = (datasetId: string) =>
      link.sync({
        ...fields,
        assignment,
        datasetId,
        rebuild: false,
        mayLead: true,
        isLeaving: false,
        isIdle: false,
      });
    const { fence, state } = await sync('');
    const lease = { fence: fence!, datasetId: state!.datasetId };
    await link.controls.send(request);
    expect(await link.controls.take(lease)).toMatchObject([{ id: request.id }]);
    if (step !== undefined) expect(await link.controls.begin(lease, { ...request, step })).toBe(true);
  }

  it.each([
    ['before it had begun', undefined, 10, 50, 1],
    ['before it had acted', { from: 10, to: 50 }, 10, 50, 1],
    ['after it had acted, and before it had answered', { from: 10, to: 50 }, 50, 50, 0],
  ])(
    'are finished by the next leader when the leader was killed %s',
    async (_what, step, rollout, moved, times) => {
      const request = requestOf({ type: 'advance', by: 'ann', force: true });
      await killedLeader(request, step);
      const harness = await GuardHarness.create();
      harnesses.push(harness);
      harness.unleash.rollout = rollout;
      harness.flags.change({ rolloutPercentage: rollout });
      const options = { stages: STAGES, store: store(SHORT), tickMs: 20 };
      await harness.started(options);
      const reply = await answerTo(request.id, openLink().controls, 'The leader');
      expect(reply).toMatchObject({ accepted: true });
      expect([harness.unleash.rollout, patches().length]).toEqual([moved, times]);
    },
  );

  it('are withdrawn when no leader takes them, and not done later', async () => {
    const link = openLink();
    const request = requestOf({ type: 'hold', by: 'ann', reason: 'incident' });
    await link.controls.send(request);
    await expect(answerTo(request.id, link.controls, 'The leader', { waitMs: 200 })).rejects.toMatchObject({
      code: 'NO_REPLY',
    });
    const one = await member();
    await leading(one);
    await one.harness.ticks(5);
    expect(one.guard.controls.hold).toBeUndefined();
  });

  it('are bounded: more than a leader could want are refused', async () => {
    const { controls } = openLink();
    const hold: Control = { type: 'hold', by: 'ann', reason: 'incident' };
    for (let times = 0; times < 64; times++) await controls.send(requestOf(hold));
    await expect(controls.send(requestOf(hold))).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  });
});
