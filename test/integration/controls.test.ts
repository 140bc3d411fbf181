import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { OpenFeature } from '@openfeature/server-sdk';
import {
  RolloutGuard,
  type RolloutGuardOptions,
  successRateBelow,
  UnleashProvider,
} from 'unleash-rollout-guard';
import { RedisOutcomeStore } from 'unleash-rollout-guard/redis';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { RedisServer } from '../../examples/fleet/redis-server.js';
import { runCommand } from '../helpers/command.js';
import { eventually } from '../helpers/eventually.js';
import { flagsAhead } from '../helpers/flags-ahead.js';
import { type GuardedService, startGuardedService } from '../helpers/guarded-service.js';
import { describeWithBinary } from '../helpers/needs-binary.js';
import { compiledFile, type SharedUnleash, sharedUnleash } from '../helpers/test-run.js';

let unleash: SharedUnleash;
let main: string;
let flagKey: string;
let folder: string;
const nextFlag = flagsAhead('controlled', { percentage: 100 });
const services: GuardedService[] = [];
const guards: RolloutGuard[] = [];
const children: ChildProcess[] = [];

beforeAll(async () => {
  unleash = await sharedUnleash();
  main = await compiledFile('dist/cli.js');
});

beforeEach(async () => {
  flagKey = await nextFlag();
  folder = await mkdtemp(join(tmpdir(), 'controls-'));
});

afterEach(async () => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  await Promise.all([...services.splice(0), ...guards.splice(0)].map((one) => one.close()));
  await OpenFeature.clearProviders();
  await rm(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 });
});

async function start(options: Partial<RolloutGuardOptions> = {}): Promise<GuardedService> {
  const service = await startGuardedService(unleash, flagKey, folder, options);
  services.push(service);
  return service;
}

/** A guard of a flag that is off when it starts. */
async function startWhileOff(options: Partial<RolloutGuardOptions> = {}): Promise<RolloutGuard> {
  const provider = new UnleashProvider({
    url: unleash.apiUrl,
    appName: 'controlled-service',
    customHeaders: { Authorization: unleash.clientToken },
    refreshInterval: 200,
    disableMetrics: true,
    storageProvider: { get: async () => undefined, set: async () => {} },
  });
  await OpenFeature.setProviderAndWait(`${flagKey}-again`, provider);
  const { apiUrl: url, adminToken: token, environment } = unleash;
  const guard = new RolloutGuard({
    flagKey,
    flags: provider,
    unleash: { url, token, environment },
    rollback: [successRateBelow(0.95)],
    folder,
    tickMs: 50,
    logger: false,
    ...options,
  });
  guards.push(guard);
  await guard.start();
  return guard;
}

const until = (what: string, condition: () => boolean | Promise<boolean>) =>
  eventually(async () => expect(await condition(), what).toBe(true));

/** What is known by the environment, with Unleash only where a test gives it. */
function variables(env: Readonly<Record<string, string>> = {}): NodeJS.ProcessEnv {
  const { UNLEASH_URL: _, UNLEASH_ADMIN_TOKEN: __, ...inherited } = process.env;
  return { ...inherited, ...env };
}

/** Within this process. */
const runHere = (args: readonly string[], env?: Readonly<Record<string, string>>) =>
  runCommand(args, variables(env));

/** As an operator types it. */
async function run(args: readonly string[], env?: Readonly<Record<string, string>>) {
  const child = spawn(process.execPath, [main, ...args], {
    env: variables(env),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  children.push(child);
  let [out, problems] = ['', ''];
  child.stdout.on('data', (data) => {
    out += data;
  });
  child.stderr.on('data', (data) => {
    problems += data;
  });
  const [code] = await once(child, 'close');
  return { code, out, problems };
}

/** For a request to Unleash: many suites share the machine. */
const MUCH_TIME = ['--timeout', '20000'];

const direct = () => ({
  UNLEASH_URL: unleash.apiUrl,
  UNLEASH_ADMIN_TOKEN: unleash.adminToken,
  UNLEASH_ENVIRONMENT: unleash.environment,
  UNLEASH_FLAG: flagKey,
});
const isOn = async () => (await unleash.flag(flagKey)).enabled;
const shownTags = async () => (await unleash.flag(flagKey)).tags.map(({ type, value }) => `${type}:${value}`);
const lifecycle = async () => {
  const path = `/api/admin/projects/default/features/${flagKey}/lifecycle`;
  const stages = (await unleash.request('GET', path)) as { stage: string }[];
  return stages.at(-1)?.stage;
};

const STAGES = [50, 100].map((percentage) => ({ percentage, minOutcomes: 20, minSuccessRate: 0.9 }));

describe('controls and a real Unleash', () => {
  it('advance to the next stage, and the last one completes the rollout in Unleash, until it is stopped', async () => {
    await unleash.setPercentage(flagKey, 50);
    const service = await start({ stages: STAGES });
    await until('at the stage', async () => (await shownTags()).includes('rollout-guard:stage:50'));
    await service.serve(100, () => undefined);
    await until('met', () => service.guard.status().stage?.status === 'met');
    await service.guard.advance({ by: 'ann' });
    expect((await unleash.flag(flagKey)).strategies[0]?.parameters.rollout).toBe('100');
    await until('arrived', () => service.guard.status().flag?.rolloutPercentage === 100);
    await service.serve(40, () => undefined);
    await until('complete', async () => (await lifecycle()) === 'completed');
    await until('shown', async () => (await shownTags()).includes('rollout-guard:stage:100'));
    await service.guard.stop({ by: 'ann', reason: 'a late complaint' });
    await until('taken back', async () => (await lifecycle()) !== 'completed');
  });

  it('show on the page of the flag why it is off: a tag of their own and a link, and none of others is lost', async () => {
    await unleash.request('POST', `/api/admin/features/${flagKey}/tags`, {
      type: 'simple',
      value: 'uploads',
    });
    const runbook = { url: 'https://wiki.example.com/runbook', title: 'Runbook' };
    await unleash.request('POST', `/api/admin/projects/default/features/${flagKey}/link`, runbook);
    const service = await start({ dashboardUrl: 'https://guard.example.com/' });
    for (const reason of ['<b>lost</b> & "slow"', 'again']) {
      await service.guard.stop({ by: 'ann', reason });
      expect(await isOn()).toBe(false);
      await until('tagged', async () => (await shownTags()).includes('rollout-guard:stopped'));
      await until('linked', async () =>
        (await unleash.flag(flagKey)).links.some(({ title }) =>
          title?.startsWith(`rollout-guard: ann stopped it: ${reason} (${unleash.environment}, 20`),
        ),
      );
      await unleash.enable(flagKey);
      await until('armed', () => service.guard.state.status === 'armed');
      await until('no longer tagged', async () => !(await shownTags()).includes('rollout-guard:stopped'));
    }
    expect(await shownTags()).toEqual(['simple:uploads']);
    const { links } = await unleash.flag(flagKey);
    expect(links).toHaveLength(2);
    expect(links).toContainEqual(runbook);
    expect(links.find(({ title }) => title !== 'Runbook')?.url).toContain('#/flags/controlled-');
  });
});

describe('rollout-guard hold, mute, advance and stop', () => {
  it('ask the guard of a folder, and print what it did', async () => {
    const service = await start({ stages: STAGES });
    expect(await run(['hold', folder, '--reason', 'incident 42', '--by', 'ann'])).toMatchObject({
      code: 0,
      out: expect.stringContaining('ann has put automatic advance on hold: incident 42'),
    });
    const mute = ['mute', folder, '--trigger', 'success-rate-below', '--for', '2h', '--reason', 'known'];
    expect(await run(mute)).toMatchObject({ code: 0, out: expect.stringContaining('for 2 h: known') });
    expect(service.guard.controls).toMatchObject({ hold: { by: 'ann' }, mutes: [{ reason: 'known' }] });
    expect(await run(['advance', folder])).toMatchObject({
      code: 1,
      out: expect.stringContaining('100 % is the last stage'),
    });
    const stop = await run(['stop', folder, '--reason', 'uploads are lost', '--by', 'ann']);
    expect(stop).toEqual({ code: 0, out: `${flagKey} is off in Unleash.\n`, problems: '' });
    expect(await isOn()).toBe(false);
    expect(service.guard.state).toMatchObject({ status: 'stopped', decision: { requestedBy: 'ann' } });
  });

  it('end with 1 where no guard runs, and with 2 for what is invalid', async () => {
    expect(await runHere(['hold', folder, '--reason', 'x'])).toMatchObject({
      code: 1,
      out: `No guard runs in ${folder}.\n`,
    });
    const wrong: readonly (readonly string[])[] = [
      ['hold', folder],
      ['hold', folder, '--reason', 'a\u001b[2Jb'],
      ['hold', folder, '--reason', 'x'.repeat(1_001)],
      ['mute', folder, '--trigger', 'slow', '--for', 'ever', '--reason', 'x'],
      ['hold'],
      ['hold', 'redis://127.0.0.1:1', '--reason', 'x'],
      ['stop', '--reason', 'x'],
    ];
    for (const args of wrong) expect((await runHere(args)).code, args.join(' ')).toBe(2);
  });

  it('stop a flag whose service is down, and the guard that starts later knows it', async () => {
    const service = await start();
    await service.close();
    services.length = 0;
    const { code, out } = await runHere(
      ['stop', folder, '--reason', 'all is lost', '--by', 'ann', ...MUCH_TIME],
      direct(),
    );
    expect({ code, out }).toMatchObject({ code: 0, out: expect.stringContaining('knows it') });
    expect(await isOn()).toBe(false);
    const audit = await readFile(join(folder, 'audit.jsonl'), 'utf8');
    expect(audit).toContain('ann stopped it: all is lost');
    const next = await startWhileOff();
    expect(next.state).toMatchObject({ status: 'stopped', decision: { requestedBy: 'ann' } });
    await unleash.enable(flagKey);
    await until('armed', () => next.state.status === 'armed');
    expect(await isOn()).toBe(true);
  });

  it('stop a flag with nothing but the admin API, and name why Unleash refuses', async () => {
    const done = await runHere(['stop', '--reason', 'all is lost', ...MUCH_TIME], direct());
    expect(done).toMatchObject({ code: 0, out: expect.stringContaining(`${flagKey} is off`) });
    expect(await isOn()).toBe(false);
    const refused = await runHere(['stop', '--reason', 'x', ...MUCH_TIME], {
      ...direct(),
      UNLEASH_ADMIN_TOKEN: '*:*.made-up',
    });
    expect(refused).toMatchObject({ code: 1, problems: expect.stringContaining('does not accept') });
    expect(refused.problems).not.toContain('made-up');
  });
});

describeWithBinary('rollout-guard stop and a fleet', 'redis-server', 'apt-get install redis-server', () => {
  let redis: RedisServer;

  beforeEach(async () => {
    redis = await RedisServer.start();
  });
  afterEach(() => redis.close());

  const target = () => [redis.url, '--flag', flagKey, '--environment', unleash.environment];

  it('stops all its processes, and the leader turns the flag off', async () => {
    const service = await start({ store: new RedisOutcomeStore({ url: redis.url }) });
    await until('leads', () => service.guard.status().fleet?.role === 'leader');
    expect(await run(['hold', ...target(), '--reason', 'incident', '--by', 'ann'])).toMatchObject({
      code: 0,
    });
    expect(service.guard.controls.hold).toMatchObject({ by: 'ann' });
    const stop = await run(['stop', ...target(), '--reason', 'lost', '--by', 'ann']);
    expect(stop).toMatchObject({ code: 0, out: expect.stringContaining('it is off in Unleash') });
    expect(await isOn()).toBe(false);
    await until('known', () => service.guard.state.status === 'stopped');
    expect(service.guard.state).toMatchObject({ decision: { requestedBy: 'ann' } });
  });

  it('stops a fleet that is down, and what starts later knows it', async () => {
    const store = () => new RedisOutcomeStore({ url: redis.url });
    const service = await start({ store: store() });
    await until('leads', () => service.guard.status().fleet?.role === 'leader');
    await service.close();
    services.length = 0;
    const stop = await run(['stop', ...target(), '--reason', 'lost', '--by', 'ann', ...MUCH_TIME], direct());
    expect(stop).toMatchObject({ code: 0 });
    expect(await isOn()).toBe(false);
    const next = await startWhileOff({ store: store() });
    await until('knows', () => next.state.status === 'stopped');
    expect(next.state).toMatchObject({ decision: { requestedBy: 'ann' } });
    await unleash.enable(flagKey);
    await until('armed', () => next.state.status === 'armed');
  });

  it('names what is wrong without a fleet', async () => {
    const none = await run(['stop', ...target(), '--reason', 'lost']);
    expect(none).toMatchObject({ code: 1, out: expect.stringContaining('has no fleet') });
  });
});
