import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { RedisServer } from '../../examples/fleet/redis-server.js';
import type { DecisionView, MetricSeries, Overview, Series } from '../../src/dashboard/api.js';
import { RedisOutcomeStore } from '../../src/fleet/redis/redis-outcome-store.js';
import { RedisReader } from '../../src/fleet/redis/redis-reader.js';
import type { RolloutGuardOptions } from '../../src/guard/options/options.js';
import type { RolloutGuard } from '../../src/guard/rollout-guard.js';
import { collectFleetReport } from '../../src/report/collect.js';
import { toMarkdown } from '../../src/report/markdown.js';
import type { RolloutReport } from '../../src/report/rollout-report.js';
import { metric } from '../../src/triggers/metrics/metric.js';
import { successRateBetween } from '../../src/triggers/success-rate-between.js';
import { Served } from '../dashboard/served.js';
import { openLink } from '../helpers/breakable-link.js';
import { runCommand } from '../helpers/command.js';
import { eventually } from '../helpers/eventually.js';
import { GuardHarness } from '../helpers/guard-harness.js';
import { describeWithBinary } from '../helpers/needs-binary.js';
import { compiledFile } from '../helpers/test-run.js';

const FLAG = '/api/flags/async-upload';
const POLL_MS = 50;
const sum = (values: readonly number[]) => values.reduce((total, each) => total + each, 0);

interface Member {
  readonly guard: RolloutGuard;
  readonly harness: GuardHarness;
  readonly served: Served;
}

/** Counts what is read of the rollout. */
class CountingStore extends RedisOutcomeStore {
  reads = 0;

  override link(flag: Parameters<RedisOutcomeStore['link']>[0]): ReturnType<RedisOutcomeStore['link']> {
    const link = super.link(flag);
    const { rollout } = link;
    const [view, history] = [rollout.view.bind(rollout), rollout.history.bind(rollout)];
    rollout.view = () => {
      this.reads++;
      return view();
    };
    rollout.history = (wanted) => {
      this.reads++;
      return history(wanted);
    };
    return link;
  }
}

describeWithBinary('a fleet that is shown', 'redis-server', 'apt-get install redis-server', () => {
  let redis: RedisServer;
  let prefix: string;
  let number = 0;
  let members: Member[];

  beforeAll(async () => {
    redis = await RedisServer.start();
  });

  afterAll(() => redis.close());

  beforeEach(() => {
    prefix = `shown-${++number}`;
    members = [];
  });

  afterEach(async () => {
    for (const { served } of members) await served.close();
    await Promise.all(members.map(({ harness }) => harness.close()));
  });

  const storeOptions = () => ({
    ...{ url: redis.url, prefix, flushMs: 50, evaluateMs: 20, leaseMs: 60_000, timeoutMs: 5_000 },
  });

  /** One process. The first one leads until it closes. */
  async function member(options: Partial<RolloutGuardOptions> = {}): Promise<Member> {
    const harness = await GuardHarness.create();
    const { unleash } = members[0]?.harness ?? harness;
    const store = new RedisOutcomeStore(storeOptions());
    const guard = await harness.started({
      ...{ store, fetch: unleash.fetch, tickMs: 20, serviceVersion: `1.${members.length}` },
      ...options,
    });
    const made = { guard, harness, served: await Served.of(guard.dashboard()) };
    members.push(made);
    if (members.length === 1) {
      await harness.until('leads', () => guard.status().fleet!.role === 'leader');
    }
    return made;
  }

  const seriesOf = async ({ served }: Member) => served.json<Series>(`${FLAG}/series`);
  const viewOf = async ({ served }: Member) => (await served.json<Overview>('/api/flags')).flags[0]!;
  const decisionsOf = ({ served }: Member) => served.json<DecisionView[]>(`${FLAG}/decisions`);

  it('has the same numbers, processes and history on the pages of leader and follower', async () => {
    const [leader, follower] = [await member(), await member()];
    await leader.harness.fail(leader.guard, 3);
    await follower.harness.fail(follower.guard, 4);
    for (const each of [leader, follower]) {
      await eventually(async () => {
        expect((await viewOf(each)).arms.treatment.counts.failures).toBe(7);
        expect(sum((await seriesOf(each)).treatment.failures)).toBe(7);
      }, POLL_MS);
      const { fleet } = await viewOf(each);
      expect(fleet?.processes.map(({ role, serviceVersion }) => [role, serviceVersion])).toEqual([
        ['leader', '1.0'],
        ['follower', '1.1'],
      ]);
    }
  });

  it('compares metrics over all processes, and has them by arm and over time on every page', async () => {
    const rollback = [
      metric('checkout', { kind: 'conversion', direction: 'higher-is-better', withinMs: 300 }),
    ];
    const [leader, follower] = [await member({ rollback }), await member({ rollback })];
    const users = 200;
    for (const [index, { guard }] of [leader, follower].entries()) {
      for (let user = index; user < 2 * users; user += 2) {
        const flagMetadata = { chance: 0.5, contextId: `user-${user}` };
        const treated = user % 4 < 2;
        guard.exposed({ value: treated, reason: 'SPLIT', flagMetadata }, `user-${user}`);
        if (!treated) guard.track('checkout', { targetingKey: `user-${user}` });
        guard.track('async-upload', { targetingKey: `user-${user}` }, { success: true });
      }
      guard.track('checkout', { targetingKey: 'unknown' });
    }
    for (const { guard, harness } of [leader, follower]) {
      await harness.until('stopped', () => guard.state.status !== 'armed');
    }
    const [decided] = leader.harness.reported('decided');
    expect(decided?.decision.verdicts).toMatchObject([{ trigger: 'checkout', status: 'breach' }]);
    const armOf = ({ trials, value }: MetricSeries['control']) => ({
      trials: sum(trials),
      sum: sum(trials.map((count, index) => count * (value[index] ?? 0))),
    });
    const expected = {
      trigger: 'checkout',
      kind: 'conversion',
      treatment: { trials: users, sum: 0 },
      control: { trials: users, sum: users },
    };
    for (const each of [leader, follower]) {
      await eventually(async () => {
        const [metric] = (await seriesOf(each)).metrics;
        expect({ ...metric, treatment: armOf(metric!.treatment), control: armOf(metric!.control) }).toEqual(
          expected,
        );
      }, POLL_MS);
    }
    const reader = new RedisReader({ url: redis.url, prefix });
    const flag = { flagKey: 'async-upload', environment: 'production' };
    const report = await collectFleetReport({ ...flag, name: 'Redis', rollout: reader.rollout(flag) });
    reader.close();
    expect(report.metrics).toEqual([expected]);
    expect(toMarkdown(report)).toMatch(
      /\| checkout \| share of users who did it \| 0\.00 % \| 200 \| 100\.00 % \| 200 \|/,
    );
  });

  it('has a decision with its evidence and its progress on every page, also after the leader has gone', async () => {
    const [leader, follower] = [await member(), await member()];
    await leader.harness.fail(leader.guard, 10);
    await follower.harness.fail(follower.guard, 10);
    await leader.harness.until('stopped', () => leader.guard.state.status === 'stopped');
    await leader.guard.close();
    await follower.harness.until('leads', () => follower.guard.status().fleet!.role === 'leader');
    const newcomer = await member();
    for (const each of [follower, newcomer]) {
      await eventually(async () => {
        const decisions = await decisionsOf(each);
        expect(decisions).toHaveLength(1);
        expect(decisions[0]!.decision.verdicts[0]).toMatchObject({ sampleSize: { treatment: 20 } });
        expect(decisions[0]!.stoppedInUnleashAt).toBeGreaterThan(0);
        expect(sum((await seriesOf(each)).treatment.failures)).toBe(20);
        expect((await viewOf(each)).state.status).toBe('stopped');
      }, POLL_MS);
    }
    const { annotations } = await seriesOf(newcomer);
    expect(annotations.map(({ type }) => type)).toContain('decision');
  });

  it('does what is asked through the page of a follower, and marks it', async () => {
    const [leader, follower] = [await member(), await member()];
    const reply = await follower.guard.rolloutSource.control!({
      type: 'hold',
      by: 'ann',
      reason: 'incident 42',
    });
    expect(reply).toMatchObject({ accepted: true });
    expect(leader.guard.controls.hold).toMatchObject({ by: 'ann' });
    for (const each of [leader, follower]) {
      await eventually(async () => {
        expect((await viewOf(each)).controls.hold).toMatchObject({ by: 'ann', reason: 'incident 42' });
        expect((await seriesOf(each)).annotations).toContainEqual(
          expect.objectContaining({ type: 'control', title: 'hold', by: 'ann' }),
        );
      }, POLL_MS);
    }
  });

  it('asks Redis once for all pages that ask at the same time', async () => {
    await member();
    const asked = new CountingStore(storeOptions());
    const follower = await member({ store: asked });
    await eventually(async () => expect((await viewOf(follower)).fleet?.processes).toHaveLength(2), POLL_MS);
    await eventually(async () => expect(await seriesOf(follower)).toBeDefined(), POLL_MS);
    asked.reads = 0;
    const began = performance.now();
    await Promise.all(Array.from({ length: 200 }, () => Promise.all([viewOf(follower), seriesOf(follower)])));
    const seconds = (performance.now() - began) / 1_000;
    expect(asked.reads).toBeGreaterThan(0);
    // A view each 200 ms, and a series each 900 ms.
    expect(asked.reads).toBeLessThan(5 + 7 * seconds);
  });

  it('shows its own share while Redis is away, and the fleet again afterwards', async () => {
    await using link = await openLink(redis.url);
    const leader = await member();
    const url = link.url.replace('http:', 'redis:');
    const follower = await member({
      store: new RedisOutcomeStore({ ...storeOptions(), url, leaseMs: 500, timeoutMs: 200 }),
    });
    await leader.harness.fail(leader.guard, 3);
    await follower.harness.fail(follower.guard, 4);
    const shows = (failures: number) =>
      eventually(async () => {
        expect(sum((await seriesOf(follower)).treatment.failures)).toBe(failures);
        expect((await viewOf(follower)).arms.treatment.counts.failures).toBe(failures);
      }, POLL_MS);
    await shows(7);
    await link.pause();
    await shows(4);
    await link.resume();
    await shows(7);
  });

  describe('on the command line', () => {
    let folder: string;
    let main: string;

    beforeAll(async () => {
      main = await compiledFile('dist/cli.js');
    });

    beforeEach(async () => {
      folder = await mkdtemp(join(tmpdir(), 'fleet-cli-'));
    });

    afterEach(() => rm(folder, { recursive: true, force: true }));

    const run = async (...args: string[]) => {
      const { code, out, problems } = await runCommand(args, process.env);
      return { code, stdout: out, stderr: problems };
    };

    const inRedis = (failures: number) =>
      eventually(async () => {
        const reader = new RedisReader({ url: redis.url, prefix });
        const { rollups } = await reader.history({ environment: 'production', flagKey: 'async-upload' });
        reader.close();
        expect(sum(rollups.map(({ arms }) => arms.treatment.failures))).toBe(failures);
      }, POLL_MS);

    it('has the whole fleet in report, status and watch', async () => {
      const options = { review: [successRateBetween(0.5, 0.99, { minOutcomes: 4 })] };
      const [leader, follower] = [await member(options), await member(options)];
      await leader.harness.fail(leader.guard, 10);
      await follower.harness.fail(follower.guard, 10);
      await leader.harness.until('stopped', () => leader.guard.state.status === 'stopped');
      await inRedis(20);
      await eventually(
        async () => expect((await decisionsOf(follower))[0]?.stoppedInUnleashAt).toBeGreaterThan(0),
        POLL_MS,
      );

      const report = await run(
        'report',
        redis.url,
        '--prefix',
        prefix,
        '--out',
        folder,
        '--format',
        'json,md',
      );
      expect(report.stderr).toBe('');
      const { arms, decisions, headline, series, sources } = JSON.parse(
        await readFile(join(folder, 'report.json'), 'utf8'),
      ) as RolloutReport;
      expect(arms.treatment.failures).toBe(20);
      expect(sum(series.treatment.failures)).toBe(20);
      expect(decisions).toMatchObject([{ decision: { verdicts: [{ sampleSize: { treatment: 20 } }] } }]);
      expect(headline).toMatch(/^The guard stopped the flag/);
      expect(sources.guards).toBe(1);

      const status = await run('status', redis.url, '--prefix', prefix, '--json');
      expect(status.code).toBe(3);
      expect(JSON.parse(status.stdout)).toMatchObject({
        flagKey: 'async-upload',
        state: 'stopped',
        view: { arms: { treatment: { counts: { failures: 20 } } } },
        decision: { decision: { id: decisions[0]!.decision.id } },
      });
      expect((await run('status', redis.url, '--prefix', prefix)).stdout).toMatch(/treatment +20 /);

      const watch = spawn(process.execPath, [main, 'watch', redis.url, '--prefix', prefix]);
      let text = '';
      watch.stdout.on('data', (data) => (text += data));
      try {
        await eventually(() => expect(text).toContain('async-upload stopped'), POLL_MS);
      } finally {
        watch.kill('SIGKILL');
      }
    });

    it('has the leader, its numbers and decisions in a dashboard of its own', async () => {
      const [leader, follower] = [await member(), await member()];
      await leader.harness.fail(leader.guard, 3);
      await follower.harness.fail(follower.guard, 4);
      const child = spawn(process.execPath, [main, 'dashboard', redis.url, '--prefix', prefix]);
      let text = '';
      child.stdout.on('data', (data) => (text += data));
      try {
        await eventually(() => expect(text).toContain('Ctrl-C ends it.'), POLL_MS);
        const url = new URL(/http:\S+/.exec(text)![0]);
        const headers = { authorization: `Bearer ${url.searchParams.get('token')}` };
        const json = async <T>(path: string) =>
          (await (await fetch(new URL(path, url), { headers })).json()) as T;
        await eventually(async () => {
          const { flags } = await json<Overview>('/api/flags');
          expect(flags[0]?.arms.treatment.counts.failures).toBe(7);
          expect(flags[0]?.fleet?.processes).toHaveLength(2);
          expect(sum((await json<Series>(`${FLAG}/series`)).treatment.failures)).toBe(7);
        }, POLL_MS);
        await follower.harness.fail(follower.guard, 13);
        await eventually(async () => {
          expect(await json<DecisionView[]>(`${FLAG}/decisions`)).toMatchObject([
            { decision: { flagKey: 'async-upload' }, stoppedInUnleashAt: expect.any(Number) },
          ]);
        }, POLL_MS);
      } finally {
        child.kill('SIGKILL');
      }
    });

    it('says which fleets there are where several fit, and what is wrong', async () => {
      await member();
      await member({ flagKey: 'dark-mode' });
      await eventually(async () => {
        const reader = new RedisReader({ url: redis.url, prefix });
        expect(await reader.flags()).toHaveLength(2);
        reader.close();
      }, POLL_MS);
      const several = await run('status', redis.url, '--prefix', prefix);
      expect(several).toMatchObject({ code: 2 });
      expect(several.stderr).toMatch(/--flag.*async-upload in production; dark-mode in production/s);
      const one = await run('status', redis.url, '--prefix', prefix, '--flag', 'dark-mode');
      expect([one.code, one.stdout]).toEqual([0, expect.stringContaining('dark-mode')]);
      const none = await run('status', redis.url, '--prefix', prefix, '--flag', 'unknown');
      expect([none.code, none.stderr]).toEqual([1, expect.stringMatching(/has no fleet with flag unknown/)]);
      const folderOnly = await run('status', folder, '--flag', 'dark-mode');
      expect([folderOnly.code, folderOnly.stderr]).toEqual([
        2,
        expect.stringMatching(/flag.*this is a folder/s),
      ]);
      const other = await run('report', 'postgres://localhost/x');
      expect([other.code, other.stderr]).toEqual([2, expect.stringMatching(/a folder, or redis:/)]);
      const mixed = await run('report', folder, redis.url);
      expect([mixed.code, mixed.stderr]).toEqual([2, expect.stringMatching(/folders, or one Redis/)]);
    });
  });
});
