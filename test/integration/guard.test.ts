import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { criticalErrors, type GuardEvent, type RolloutGuardOptions } from 'unleash-rollout-guard';
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { openLink } from '../helpers/breakable-link.js';
import { eventually } from '../helpers/eventually.js';
import { flagsAhead } from '../helpers/flags-ahead.js';
import { type GuardedService, startGuardedService } from '../helpers/guarded-service.js';
import { timeLimit } from '../helpers/machine-time.js';
import { type RefusingProxy, startRefusingProxy } from '../helpers/refusing-proxy.js';
import { compiledFile, type SharedUnleash, sharedUnleash } from '../helpers/test-run.js';

let unleash: SharedUnleash;
let folder: string;
let flagKey: string;
const nextFlag = flagsAhead('guard-upload', { percentage: 100 });
const services: GuardedService[] = [];

beforeAll(async () => {
  unleash = await sharedUnleash();
});

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'guard-'));
  flagKey = await nextFlag();
});

afterEach(async () => {
  await Promise.all(services.splice(0).map((service) => service.close()));
  await rm(folder, { recursive: true, force: true });
});

async function start(options: Partial<RolloutGuardOptions> & { token?: string; adminUrl?: string } = {}) {
  const service = await startGuardedService(unleash, flagKey, folder, options);
  services.push(service);
  return service;
}

const down = new Error('the new path is down');
const everyTenth = (user: number) => (user % 10 === 0 ? down : undefined);
const all = () => down;

function until(what: string, condition: () => unknown): Promise<void> {
  return eventually(() => expect(condition(), what).toBeTruthy());
}

const has = ({ events }: GuardedService, type: GuardEvent['type']) =>
  events.some((event) => event.type === type);

describe('the guard on a real Unleash', () => {
  it('turns the flag off at a success rate of 90 %, serves every user, and shows the stop in Unleash', async () => {
    const service = await start({
      unleash: {
        url: unleash.apiUrl,
        token: unleash.adminToken,
        environment: unleash.environment,
        reportUrl: 'https://reports.example.com/async-upload',
      },
    });
    const answers = await service.serve(100, everyTenth);
    expect(answers.filter((answer) => answer === 'new')).toHaveLength(90);
    expect(answers.filter((answer) => answer === 'old')).toHaveLength(10);
    await until('stopped', () => service.guard.state.status === 'stopped');
    expect(await service.isOn('user-1')).toBe(false);

    expect((await unleash.flag(flagKey)).enabled).toBe(false);
    await until('history', () => has(service, 'toggled'));
    const [newest] = (await unleash.history(flagKey)).filter(({ type }) =>
      type.startsWith('feature-environment-'),
    );
    expect(newest?.type).toBe('feature-environment-disabled');
    expect(newest?.createdBy).not.toBe(unleash.user.username);
    await eventually(async () => {
      const { tags, links } = await unleash.flag(flagKey);
      expect(tags).toEqual([{ type: 'rollout-guard', value: 'stopped' }]);
      expect(links.map(({ url }) => url)).toEqual(['https://reports.example.com/async-upload']);
    });
    const audit = await readFile(join(folder, 'audit.jsonl'), 'utf8');
    expect(audit).toContain('"observed":0.9');
    expect(audit).not.toContain(unleash.adminToken);
  });

  it('turns the flag off on one critical error', async () => {
    const service = await start({ rollback: [criticalErrors()] });
    await service.serve(3, (user) =>
      user === 1 ? Object.assign(new Error(), { code: 'EMFILE' }) : undefined,
    );
    await until('stopped', () => service.guard.state.status === 'stopped');
    expect((await unleash.flag(flagKey)).enabled).toBe(false);
  });

  it('leaves the flag on below the minimum number of outcomes', async () => {
    const service = await start();
    await service.serve(80, all);
    await new Promise(setImmediate);
    expect(service.guard.status().verdicts[0]?.status).toBe('insufficient-data');
    expect(service.guard.state.status).toBe('armed');
    expect((await unleash.flag(flagKey)).enabled).toBe(true);
  });

  it('protects users while Unleash is down for a minute, and turns the flag off when it is back', async () => {
    await using link = await openLink(unleash.url);
    const service = await startGuardedService({ ...unleash, apiUrl: `${link.url}/api` }, flagKey, folder);
    services.push(service);
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'Date'] });
    try {
      await link.pause();
      await service.serve(100, everyTenth);
      await new Promise(setImmediate);
      expect(service.guard.state.status).toBe('stopping');
      for (let second = 0; second < 60; second++) {
        await vi.advanceTimersByTimeAsync(1_000);
        await new Promise(setImmediate);
        expect(await service.isOn('user-1')).toBe(false);
      }
      expect(service.guard.state).toMatchObject({
        status: 'stopping',
        failure: { code: 'ADMIN_UNAVAILABLE' },
      });
      expect(service.events.filter(({ type }) => type === 'stop-failed')).toHaveLength(1);
      await link.resume();
      // Requests are real from here on: fake time runs ten times as fast, so that none of them times out.
      const passTime = async () => {
        await vi.advanceTimersByTimeAsync(100);
        expect(service.guard.state.status).toBe('stopped');
      };
      await eventually(passTime);
    } finally {
      vi.useRealTimers();
    }
    expect((await unleash.flag(flagKey)).enabled).toBe(false);
  });

  it('completes the stop after a crash between the decision and the request', async () => {
    const script = await compiledFile('test/helpers/crashing-service.ts');
    const settings = {
      apiUrl: unleash.apiUrl,
      clientToken: unleash.clientToken,
      adminToken: unleash.adminToken,
    };
    const env = { ...process.env, SETTINGS: JSON.stringify({ ...settings, flagKey, folder }) };
    const child = spawn(process.execPath, [script], {
      env,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let stderr = '';
    child.stderr.on('data', (chunk) => {
      stderr += chunk;
    });
    const [code, signal] = await once(child, 'exit');
    expect([code, signal, stderr]).toEqual([null, 'SIGKILL', '']);
    expect((await unleash.flag(flagKey)).enabled).toBe(true);

    const service = await start();
    expect(await service.isOn('user-1')).toBe(false);
    await until('stopped', () => service.guard.state.status === 'stopped');
    expect((await unleash.flag(flagKey)).enabled).toBe(false);
  });

  it('re-arms when an operator turns the flag on, and stops it when it fails another time', async () => {
    const service = await start();
    await service.serve(100, everyTenth);
    await until('stopped', () => service.guard.state.status === 'stopped');
    await until('seen off', () => service.guard.status().flag?.enabled === false);
    await unleash.enable(flagKey);
    await until('re-armed', () => service.guard.state.status === 'armed');
    expect(await service.isOn('user-1')).toBe(true);
    await until('operator named', () =>
      service.events.some((event) => event.type === 'toggled' && event.by === unleash.user.username),
    );
    await service.serve(90, all);
    await new Promise(setImmediate);
    expect(service.guard.state.status).toBe('armed');
    await service.serve(10, all);
    await until('stopped again', () => service.guard.state.status === 'stopped');
    expect((await unleash.flag(flagKey)).enabled).toBe(false);
  });

  it('re-arms when an operator turned the flag on before any poll had seen it off', async () => {
    const service = await start({ recheckMs: 300 });
    await service.serve(100, all);
    await until('stopped', () => service.guard.state.status === 'stopped');
    await unleash.enable(flagKey);
    await until('re-armed', () => service.guard.state.status === 'armed');
    expect((await unleash.flag(flagKey)).enabled).toBe(true);
  });

  it('leaves a flag on that an operator turned on after the decision', async () => {
    const refused = await start({ token: '*:*.this-token-does-not-exist' });
    await refused.serve(100, all);
    await until('action required', () => has(refused, 'action-required'));
    await refused.close();
    await unleash.disable(flagKey);
    await unleash.enable(flagKey);
    const service = await start();
    await until('re-armed', () => service.guard.state.status === 'armed');
    expect((await unleash.flag(flagKey)).enabled).toBe(true);
    expect(await service.isOn('user-1')).toBe(true);
  });

  it('reports by whom the flag was turned off in Unleash, and on again, and its own off with the stop', async () => {
    const service = await start({ rollback: [criticalErrors()] });
    const toggled = () =>
      service.events.flatMap((event) =>
        event.type === 'toggled' ? [[event.change, event.by, event.decisionId !== undefined]] : [],
      );
    await until('running', () => service.guard.status().flag?.enabled);
    await unleash.disable(flagKey);
    await until('off', () => toggled().length === 1);
    await unleash.enable(flagKey);
    await until('on', () => toggled().length === 2);
    const { username } = unleash.user;
    expect(toggled()).toEqual([
      ['off', username, false],
      ['on', username, false],
    ]);
    await service.serve(3, () => Object.assign(new Error(), { code: 'EMFILE' }));
    await until('stopped', () => service.guard.state.status === 'stopped');
    await until('seen off', () => service.guard.status().flag?.enabled === false);
    await until('history', () => toggled().length === 3);
    const [, , own] = toggled();
    expect(own).toEqual(['off', expect.any(String), true]);
    expect(own?.[1]).not.toBe(username);
  });

  it('advances automatically, one stage at a time, and never against an operator', async () => {
    await unleash.setPercentage(flagKey, 1);
    const stages = [
      { percentage: 1, minOutcomes: 1, minSuccessRate: 0.5 },
      { percentage: 10, minOutcomes: 1, minSuccessRate: 0.5 },
      { percentage: 50, minOutcomes: 1_000_000, minSuccessRate: 0.5 },
      { percentage: 100, minOutcomes: 1, minSuccessRate: 0.5 },
    ];
    const service = await start({ stages, advance: 'automatic', recheckMs: 200 });
    await until('at 1 %', () => service.guard.status().flag?.rolloutPercentage === 1);
    for (const percentage of [10, 50]) {
      await service.serve(400, () => undefined);
      await until(`at ${percentage} %`, () => service.guard.status().flag?.rolloutPercentage === percentage);
    }
    await unleash.setPercentage(flagKey, 33);
    await until('at 33 %', () => service.guard.status().flag?.rolloutPercentage === 33);
    await service.serve(400, () => undefined);
    const moves = service.events.flatMap((event) =>
      event.type === 'advanced' ? [[event.from, event.to]] : [],
    );
    expect(moves).toEqual([
      [1, 10],
      [10, 50],
    ]);
    expect((await unleash.flag(flagKey)).strategies[0]?.parameters.rollout).toBe('33');
  });

  it('steps back to the previous stage, with an override until the change has arrived, then re-arms', async () => {
    await unleash.setPercentage(flagKey, 50);
    const stages = [1, 50].map((percentage) => ({ percentage, minOutcomes: 1_000_000, minSuccessRate: 0.9 }));
    const service = await start({ stages, onRollback: 'previous-stage' });
    await until('at 50 %', () => service.guard.status().flag?.rolloutPercentage === 50);
    await service.serve(400, everyTenth);
    await until('stepped back', () => has(service, 'stepped-back'));
    await until('re-armed', () => service.guard.state.status === 'armed');
    const { enabled, strategies } = await unleash.flag(flagKey);
    expect([enabled, strategies[0]?.parameters.rollout]).toEqual([true, '1']);
    expect(service.guard.status().flag?.rolloutPercentage).toBe(1);
    expect(has(service, 'stopped')).toBe(false);
    const isShown = async () => {
      const { tags } = await unleash.flag(flagKey);
      expect(tags.map(({ value }) => value).toSorted()).toEqual(['stage:1', 'step-back']);
    };
    await eventually(isShown);
  });

  it('turns the flag off when there is no previous stage', async () => {
    const stages = [{ percentage: 100, minOutcomes: 1_000_000, minSuccessRate: 0.9 }];
    const service = await start({ stages, onRollback: 'previous-stage' });
    await service.serve(100, everyTenth);
    await until('stopped', () => has(service, 'stopped'));
    expect((await unleash.flag(flagKey)).enabled).toBe(false);
  });

  it('records its decision in a dry run and changes nothing', async () => {
    const service = await start({ dryRun: true });
    await service.serve(200, everyTenth);
    await until('decided', () => has(service, 'decided'));
    expect((await unleash.flag(flagKey)).enabled).toBe(true);
    expect(await service.isOn('user-1')).toBe(true);
  });
});

describe('the guard and an admin API that refuses', () => {
  it.each([
    ['401, an unknown token', 'ADMIN_TOKEN', () => ({ token: '*:*.this-token-does-not-exist' })],
    ['403, a token of a viewer', 'ADMIN_PERMISSION', async () => ({ token: await viewerToken() })],
  ] as const)(
    '%s: users are safe, the operator is notified once, and their own "off" completes the stop',
    async (_what, code, options) => {
      const service = await start({ recheckMs: 100, ...(await options()) });
      await service.serve(100, everyTenth);
      await until('action required', () => has(service, 'action-required'));
      expect(service.guard.state).toMatchObject({
        status: 'stopping',
        failure: { code, requiresAction: true },
      });
      expect(await service.isOn('user-1')).toBe(false);
      expect(JSON.stringify(service.events)).not.toContain('this-token-does-not-exist');
      await unleash.disable(flagKey);
      await until('stopped', () => service.guard.state.status === 'stopped');
      expect(service.events.filter(({ type }) => type === 'action-required')).toHaveLength(1);
    },
  );

  it.each([
    ['project', { project: 'nowhere' }],
    ['environment', { environment: 'moon' }],
  ])('is refused before it starts when it names another %s than the client token', async (field, given) => {
    await expect(start({ unleash: adminOptions(given) })).rejects.toThrow(`unleash.${field}`);
  });

  let proxy: RefusingProxy | undefined;

  afterEach(async () => {
    await proxy?.close();
    proxy = undefined;
  });

  it.each([
    [429, 'ADMIN_RATE_LIMIT'],
    [500, 'ADMIN_UNAVAILABLE'],
  ])('%i: retries until Unleash accepts the stop', async (status, code) => {
    proxy = await startRefusingProxy(unleash.url, { status, times: 2, headers: { 'retry-after': '1' } });
    const service = await start({ adminUrl: proxy.url });
    await service.serve(100, everyTenth);
    await until('failed', () =>
      service.events.some((event) => event.type === 'stop-failed' && event.failure.code === code),
    );
    expect(await service.isOn('user-1')).toBe(false);
    await until('stopped', () => service.guard.state.status === 'stopped');
    expect(proxy.refused).toBe(2);
    expect((await unleash.flag(flagKey)).enabled).toBe(false);
    expect(has(service, 'action-required')).toBe(false);
  });
});

describe('a process with a guard', () => {
  it('exits by itself after OpenFeature.close() and guard.close()', async () => {
    const script = await compiledFile('test/helpers/short-lived-service.ts');
    const settings = {
      apiUrl: unleash.apiUrl,
      clientToken: unleash.clientToken,
      adminToken: unleash.adminToken,
    };
    const env = { ...process.env, SETTINGS: JSON.stringify({ ...settings, flagKey, folder }) };
    const limit = timeLimit(5_000);
    const child = spawn(process.execPath, [script], {
      env,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const closedAt = once(child.stdout, 'data').then(() => Date.now());
    const [code] = await once(child, 'exit');
    expect(code).toBe(0);
    expect(Date.now() - (await closedAt)).toBeLessThan(limit());
  });
});

function adminOptions(fields: { project?: string; environment?: string }) {
  return { url: unleash.apiUrl, token: unleash.adminToken, environment: unleash.environment, ...fields };
}

/** A personal access token of a user who may only read. */
async function viewerToken(): Promise<string> {
  const username = `viewer-of-${flagKey}`;
  const password = 'Viewer-0nly-reads!';
  const viewerRole = 3;
  await unleash.request('POST', '/api/admin/user-admin', {
    username,
    password,
    rootRole: viewerRole,
    sendEmail: false,
  });
  const post = (path: string, body: object, cookie = '') =>
    fetch(unleash.url + path, {
      method: 'POST',
      headers: { 'content-type': 'application/json', cookie },
      body: JSON.stringify(body),
    });
  const login = await post('/auth/simple/login', { username, password });
  const cookie = login.headers
    .getSetCookie()
    .map((line) => line.split(';')[0])
    .join('; ');
  const expiresAt = new Date(Date.now() + 3_600_000).toISOString();
  const created = await post('/api/admin/user/tokens', { description: 'reads', expiresAt }, cookie);
  const { secret } = (await created.json()) as { secret: string };
  return secret;
}
