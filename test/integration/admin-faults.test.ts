import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { GuardEvent, RolloutGuardOptions } from 'unleash-rollout-guard';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { UnleashAdminClient } from '../../src/unleash/admin-client.js';
import { eventually } from '../helpers/eventually.js';
import { flagsAhead } from '../helpers/flags-ahead.js';
import { type GuardedService, startGuardedService } from '../helpers/guarded-service.js';
import { startRefusingProxy } from '../helpers/refusing-proxy.js';
import { type SharedUnleash, sharedUnleash } from '../helpers/test-run.js';

const DAY = 24 * 3_600_000;

let unleash: SharedUnleash;
let folder: string;
let flagKey: string;
let number = 0;
const nextFlag = flagsAhead('admin-faults');
const services: GuardedService[] = [];

beforeAll(async () => {
  unleash = await sharedUnleash();
});

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'admin-faults-'));
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

const all = () => new Error('the new path is down');
const until = (what: string, condition: () => unknown) =>
  eventually(() => expect(condition(), what).toBeTruthy());
const events = <Type extends GuardEvent['type']>(service: GuardedService, type: Type) =>
  service.events.filter((event): event is GuardEvent & { type: Type } => event.type === type);
const codes = ({ guard }: GuardedService) => guard.status().problems.map(({ code }) => code);

/** A user with a root role (2: editor, 3: viewer), and a personal access token of it. */
async function personalToken(rootRole: number, expiresAt: number) {
  const username = `admin-faults-user-${++number}`;
  const password = 'Made-up-passw0rd!';
  await unleash.request('POST', '/api/admin/user-admin', { username, password, rootRole, sendEmail: false });
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
  const created = await post(
    '/api/admin/user/tokens',
    { description: `guard ${number}`, expiresAt: new Date(expiresAt).toISOString() },
    cookie,
  );
  const { secret, id } = (await created.json()) as { secret: string; id: number };
  const remove = () =>
    fetch(`${unleash.url}/api/admin/user/tokens/${id}`, { method: 'DELETE', headers: { cookie } });
  return { secret, username, remove };
}

describe('the admin token on a real Unleash', () => {
  const client = (token: string) =>
    new UnleashAdminClient({ url: unleash.apiUrl, token, environment: unleash.environment });

  it('shows the expiry of a personal access token, and what its user may do', async () => {
    const expiresAt = Math.round(Date.now() / 1_000) * 1_000 + 3 * DAY;
    const { secret, username } = await personalToken(2, expiresAt);
    expect(await client(secret).readAccess(0)).toEqual({
      mayToggle: true,
      expiry: { expiresAt, isKnown: true, user: username, candidates: 1 },
    });
    const viewer = await personalToken(3, expiresAt);
    expect(await client(viewer.secret).readAccess(0)).toMatchObject({ mayToggle: false });
  });

  it('shows that an admin API token does not expire', async () => {
    expect(await client(unleash.adminToken).readAccess(0)).toEqual({
      mayToggle: true,
      expiry: { expiresAt: undefined, isKnown: true, user: undefined, candidates: 1 },
    });
  });

  it('is reported before it expires, and turns the flag off until then', async () => {
    const { secret } = await personalToken(2, Date.now() + 6 * DAY);
    const service = await start({ token: secret });
    await until('reported', () => events(service, 'token-expiring').length === 1);
    expect(events(service, 'token-expiring')).toMatchObject([{ level: '7-days', candidates: 1 }]);
    expect(codes(service)).toEqual(['TOKEN_EXPIRES']);
    await service.serve(100, all);
    await until('stopped', () => service.guard.state.status === 'stopped');
    expect((await unleash.flag(flagKey)).enabled).toBe(false);
  });

  it('is reported when it has expired while the guard was armed', async () => {
    const { secret, remove } = await personalToken(2, Date.now() + DAY / 2);
    let passedMs = 0;
    const clock = { now: () => Date.now() + passedMs, monotonic: () => performance.now() + passedMs };
    const service = await start({ token: secret, clock });
    await until('reported', () => events(service, 'token-expiring').length === 1);
    // Unleash refuses it from now on, as it refuses one that has expired.
    await remove();
    passedMs = DAY / 2;
    await until('reported', () => events(service, 'token-expiring').length === 2);
    expect(events(service, 'token-expiring').map(({ level }) => level)).toEqual(['1-day', 'expired']);
    await until('refused', () => codes(service).includes('ADMIN_TOKEN'));
    expect(service.guard.state.status).toBe('armed');
    expect(JSON.stringify(service.events)).not.toContain(secret);
  });

  it('is reported at the start when it may not turn the flag off', async () => {
    const { secret } = await personalToken(3, Date.now() + 60 * DAY);
    const service = await start({ token: secret });
    await until('reported', () => events(service, 'admin-unavailable').length === 1);
    expect(codes(service)).toEqual(['ADMIN_PERMISSION']);
  });
});

describe('a flag of a real Unleash', () => {
  it('is reported when it is archived, and when it is revived', async () => {
    const service = await start({ recheckMs: 100 });
    await unleash.request('DELETE', `/api/admin/projects/${unleash.project}/features/${flagKey}`);
    await until('reported', () => events(service, 'flag-missing').length === 1);
    expect(events(service, 'flag-missing')).toMatchObject([{ reason: 'archived' }]);
    expect(codes(service)).toEqual(['FLAG_MISSING']);
    await unleash.request('POST', `/api/admin/archive/revive/${flagKey}`);
    await until('found', () => events(service, 'flag-found').length === 1);
    expect(codes(service)).toEqual([]);
  });

  it('is reported when its key is misspelled', async () => {
    const service = await start({ flagKey: `${flagKey}-misspelled` });
    await until('reported', () => events(service, 'flag-missing').length === 1);
    expect(events(service, 'flag-missing')).toMatchObject([{ reason: 'not-found' }]);
  });

  it('that is archived while it is stopped needs no operator', async () => {
    const proxy = await startRefusingProxy(unleash.url, { status: 503, times: 1 });
    try {
      const service = await start({ adminUrl: proxy.url });
      await service.serve(100, all);
      await until('failed', () => events(service, 'stop-failed').length === 1);
      await unleash.request('DELETE', `/api/admin/projects/${unleash.project}/features/${flagKey}`);
      await until('stopped', () => service.guard.state.status === 'stopped');
      expect(service.guard.state).toMatchObject({ confirmedBy: 'removed' });
      expect(events(service, 'action-required')).toEqual([]);
    } finally {
      await proxy.close();
    }
  });
});

describe("a clock that is behind Unleash's", () => {
  it.each([2_000, 60_000])('by %i ms does not keep an untouched flag on', async (behindMs) => {
    await unleash.disable(flagKey);
    await unleash.enable(flagKey);
    const proxy = await startRefusingProxy(unleash.url, { status: 503, times: 1 });
    const clock = { now: () => Date.now() - behindMs, monotonic: () => performance.now() };
    try {
      const service = await start({ adminUrl: proxy.url, clock });
      await service.serve(100, all);
      await until('stopped', () => service.guard.state.status === 'stopped');
      expect((await unleash.flag(flagKey)).enabled).toBe(false);
      expect(events(service, 're-armed')).toEqual([]);
      expect(proxy.refused).toBe(1);
    } finally {
      await proxy.close();
    }
  });
});
