import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { RolloutGuardOptions } from '../../src/guard/options/options.js';
import type { RolloutGuard } from '../../src/guard/rollout-guard.js';
import type { GuardNotification } from '../../src/notify/notifier.js';
import { GuardHarness } from '../helpers/guard-harness.js';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const START = Date.UTC(2026, 2, 2);

let harness: GuardHarness;
let now: number;
let notifications: GuardNotification[];
const clock = { now: () => now, monotonic: () => now };
const unauthorized = () => Response.json({ name: 'UnauthorizedError', message: '' }, { status: 401 });
const checks = () => harness.unleash.requests.filter((request) => request === 'GET /api/admin/user').length;
const codes = (guard: RolloutGuard) => guard.status().problems.map(({ code }) => code);

beforeEach(async () => {
  harness = await GuardHarness.create();
  now = START;
  notifications = [];
});

afterEach(async () => {
  await harness.close();
});

function personalToken(expiresAt: number, seenAt: number | null = null) {
  return {
    description: 'guard',
    expiresAt: new Date(expiresAt).toISOString(),
    seenAt: seenAt === null ? null : new Date(seenAt).toISOString(),
  };
}

/** A guard with a personal access token, after its first check. */
async function started(options: Partial<RolloutGuardOptions> = {}): Promise<RolloutGuard> {
  const before = harness.unleash.requests.length;
  const guard = await harness.started({
    unleash: { url: 'http://unleash.test/api', token: 'user:made-up', environment: 'production' },
    clock,
    tickMs: 5,
    notify: [async (notification) => void notifications.push(notification)],
    ...options,
  });
  await harness.until('checked', () => harness.unleash.requests.length > before);
  await harness.ticks(6);
  return guard;
}

/** Time passes, in steps, with the checks that become due. */
async function pass(ms: number, step = MINUTE): Promise<void> {
  for (const end = now + ms; now < end; ) {
    now = Math.min(end, now + step);
    await harness.ticks(3);
  }
}

describe('a token that expires', () => {
  const reported = () => harness.reported('token-expiring').map(({ level }) => level);

  it('is reported a week, a day and no time before, once each, with the date', async () => {
    harness.unleash.pats = [personalToken(START + 30 * DAY)];
    const guard = await started();
    expect([reported(), codes(guard)]).toEqual([[], []]);
    await pass(22 * DAY, DAY);
    expect(reported()).toEqual([]);
    await pass(2 * DAY, DAY / 2);
    expect(reported()).toEqual(['7-days']);
    expect(codes(guard)).toEqual(['TOKEN_EXPIRES']);
    await pass(5 * DAY, DAY / 2);
    expect(reported()).toEqual(['7-days', '1-day']);
    harness.unleash.failure = () => (now >= START + 30 * DAY ? unauthorized() : undefined);
    await pass(2 * DAY, DAY / 2);
    expect(reported()).toEqual(['7-days', '1-day', 'expired']);
    await harness.until('refused', () => codes(guard).includes('ADMIN_TOKEN'));

    const sent = notifications.filter(({ type }) => type === 'token-expiring');
    expect(sent.map(({ severity }) => severity)).toEqual(['warning', 'warning', 'critical']);
    expect(sent[0]?.message).toContain('expires on 2026-04-01 00:00 UTC');
    // The expiry says why Unleash refuses it.
    expect(harness.reported('admin-unavailable')).toEqual([]);
  });

  it('is reported at the start, when it is late already', async () => {
    harness.unleash.pats = [personalToken(START + DAY / 2)];
    const guard = await started();
    expect(reported()).toEqual(['1-day']);
    expect(guard.status().problems[0]?.message).toContain('expires on 2026-03-02 12:00 UTC');
  });

  it('notifies operators once per level, however often the guard is restarted', async () => {
    harness.unleash.pats = [personalToken(START + 3 * DAY)];
    for (let run = 0; run < 3; run++) await (await started()).close();
    expect(harness.reported('token-expiring').map(({ isRepeated }) => isRepeated)).toEqual([
      false,
      true,
      true,
    ]);
    expect(notifications.map(({ type }) => type)).toEqual(['token-expiring']);
  });

  it('is over for operators when a new token is accepted, in another run as well', async () => {
    harness.unleash.pats = [personalToken(START + HOUR)];
    const first = await started();
    await pass(HOUR);
    await first.close();
    const again = await started();
    await again.close();
    harness.unleash.pats = [personalToken(START + 90 * DAY)];
    for (let run = 0; run < 2; run++) await (await started()).close();
    const key = 'admin:default/production/async-upload';
    const found = notifications.filter(({ incident }) => incident?.key === key);
    expect(found.map(({ type, incident }) => [type, incident?.status])).toEqual([
      ['token-expiring', 'open'],
      ['admin-available', 'resolved'],
    ]);
  });

  it('is over once, also when the new token was refused at first', async () => {
    harness.unleash.pats = [personalToken(START + HOUR)];
    const first = await started();
    await pass(HOUR);
    await first.close();
    harness.unleash.failure = unauthorized;
    await started();
    harness.unleash.failure = undefined;
    harness.unleash.pats = [personalToken(START + 90 * DAY)];
    await pass(3 * HOUR, 10 * MINUTE);
    expect(harness.reported('admin-available')).toHaveLength(1);
  });

  it('is asked for again soon when Unleash did not reply to that, and is known meanwhile', async () => {
    const asked = 'GET /api/admin/user/tokens';
    const unavailable = (request: string) =>
      request === asked ? new Response('', { status: 503 }) : undefined;
    harness.unleash.pats = [personalToken(START + 3 * DAY)];
    harness.unleash.failure = unavailable;
    const guard = await started();
    await pass(2 * MINUTE, 30_000);
    expect([reported(), harness.reported('admin-unavailable')]).toEqual([[], []]);
    harness.unleash.failure = undefined;
    await pass(5 * MINUTE);
    expect(reported()).toEqual(['7-days']);
    harness.unleash.failure = unavailable;
    const before = checks();
    await pass(2 * HOUR, 10 * MINUTE);
    expect(codes(guard)).toEqual(['TOKEN_EXPIRES']);
    expect(checks() - before).toBeGreaterThan(3);
    expect(checks() - before).toBeLessThan(10);
  });

  it('says that it may be another token, as long as Unleash does not distinguish them', async () => {
    harness.unleash.pats = [personalToken(START + 3 * DAY), personalToken(START + 60 * DAY)];
    const guard = await started();
    expect(reported()).toEqual(['7-days']);
    expect(guard.status().problems[0]?.message).toMatch(
      /another of the 2 tokens of "guard".*a user of its own/,
    );
    // The other one is not in use.
    harness.unleash.pats = [
      personalToken(START + 3 * DAY, START - 5 * DAY),
      personalToken(START + 60 * DAY, START + 50 * MINUTE),
    ];
    await pass(61 * MINUTE, 10 * MINUTE);
    await harness.until('known', () => codes(guard).length === 0);
  });

  it('does not take tokens that have expired for its own', async () => {
    harness.unleash.pats = [personalToken(START - DAY), personalToken(START + 60 * DAY)];
    const guard = await started();
    expect([reported(), codes(guard)]).toEqual([[], []]);
  });
});

describe('the check of the token', () => {
  it('is made at the start and hourly, not more often', async () => {
    await started();
    expect(checks()).toBe(1);
    await pass(59 * MINUTE, 10 * MINUTE);
    expect(checks()).toBe(1);
    await pass(2 * MINUTE, MINUTE);
    expect(checks()).toBe(2);
  });

  it('is made after a reply with the status 401', async () => {
    const guard = await started();
    harness.unleash.failure = (request) => (request.endsWith('/off') ? unauthorized() : undefined);
    await harness.fail(guard);
    await harness.until('checked again', () => checks() === 2);
    await harness.ticks(3);
    // Unleash still accepts the token: something else replied so.
    expect(harness.reported('admin-unavailable')).toEqual([]);
  });

  it('reports a token that is refused from the start at once, with what to do, and that it is accepted', async () => {
    harness.unleash.failure = unauthorized;
    const guard = await started();
    expect(harness.reported('admin-unavailable')).toMatchObject([{ code: 'ADMIN_TOKEN' }]);
    expect(codes(guard)).toEqual(['ADMIN_TOKEN']);
    expect(notifications[0]).toMatchObject({ type: 'admin-unavailable', severity: 'critical' });
    await pass(10 * MINUTE);
    expect(harness.reported('admin-unavailable')).toHaveLength(1);
    harness.unleash.failure = undefined;
    await pass(20 * MINUTE);
    expect(harness.reported('admin-available')).toHaveLength(1);
    expect(codes(guard)).toEqual([]);
  });

  it('reports in the next run that the token works again, when this one was killed', async () => {
    harness.unleash.failure = unauthorized;
    await (await started()).flush();
    const folder = await harness.afterKill();
    harness.unleash.failure = undefined;
    await started({ folder });
    await harness.until('reported', () => harness.reported('admin-available').length === 1);
  });

  it('does not report a single refusal of a token that was accepted', async () => {
    await started();
    const before = checks();
    harness.unleash.failure = () => (checks() === before + 1 ? unauthorized() : undefined);
    await pass(61 * MINUTE, 10 * MINUTE);
    await pass(10_000, 1_000);
    expect(checks()).toBe(before + 2);
    expect(harness.reported('admin-unavailable')).toEqual([]);
  });

  it('reports an admin API that has not answered for five minutes, once', async () => {
    await started();
    harness.unleash.failure = () => new Response('', { status: 503 });
    await pass(61 * MINUTE, 10 * MINUTE);
    expect(harness.reported('admin-unavailable')).toEqual([]);
    await pass(15 * MINUTE);
    expect(harness.reported('admin-unavailable')).toMatchObject([{ code: 'ADMIN_UNAVAILABLE' }]);
  });

  it.each([
    ['a viewer', []],
    ['another project', [{ permission: 'UPDATE_FEATURE_ENVIRONMENT', project: 'web' }]],
    [
      'another environment',
      [{ permission: 'UPDATE_FEATURE_ENVIRONMENT', project: 'default', environment: 'development' }],
    ],
  ])('reports a token that may not turn this flag off: that of %s', async (_, permissions) => {
    harness.unleash.permissions = permissions;
    const guard = await started();
    expect(harness.reported('admin-unavailable')).toMatchObject([
      {
        code: 'ADMIN_PERMISSION',
        message: 'The admin token may not turn flags off in project "default" in "production".',
      },
    ]);
    harness.unleash.permissions = [
      { permission: 'UPDATE_FEATURE_ENVIRONMENT', project: 'default', environment: 'production' },
    ];
    await pass(5 * MINUTE);
    expect(codes(guard)).toEqual([]);
  });

  it('accepts a token of which Unleash shows nothing', async () => {
    harness.unleash.failure = (request) =>
      request.startsWith('GET /api/admin/user') ? Response.json({ something: 'else' }) : undefined;
    const guard = await started();
    expect([codes(guard), harness.reported('admin-unavailable')]).toEqual([[], []]);
  });
});
