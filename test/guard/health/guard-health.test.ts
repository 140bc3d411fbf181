import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { RolloutGuardOptions } from '../../../src/guard/options/options.js';
import { RolloutGuard } from '../../../src/guard/rollout-guard.js';
import type { GuardEvent, GuardEventOf } from '../../../src/model/event.js';
import type { GuardNotification } from '../../../src/notify/notifier.js';
import { criticalErrors } from '../../../src/triggers/critical-errors.js';
import { signal } from '../../../src/triggers/signals/signal.js';
import { successRateBelow } from '../../../src/triggers/success-rate-below.js';
import type { Trigger } from '../../../src/triggers/trigger.js';
import { FakeAdminApi } from '../../helpers/fake-admin-api.js';
import { FakeFlags } from '../../helpers/fake-flags.js';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;

let flags: FakeFlags & { health?: () => { status: 'ok' | 'stale' | 'error'; message?: string } };
let events: GuardEvent[];
let sent: GuardNotification[];
let guards: RolloutGuard[];
/** By how much the monotonic clock is ahead: the process stood still. */
let frozenMs: number;

beforeEach(() => {
  vi.useFakeTimers({ now: 1_700_000_000_000 });
  flags = new FakeFlags();
  events = [];
  sent = [];
  guards = [];
  frozenMs = 0;
});

afterEach(async () => {
  await Promise.all(guards.map((guard) => guard.close()));
  vi.useRealTimers();
});

function guardWith(options: Partial<RolloutGuardOptions> = {}): RolloutGuard {
  const guard = new RolloutGuard({
    flagKey: 'async-upload',
    flags,
    unleash: { url: 'http://unleash.test/api', token: '*:*.made-up', environment: 'production' },
    rollback: [successRateBelow(0.95)],
    folder: false,
    logger: false,
    fetch: new FakeAdminApi().fetch,
    onEvent: (event) => events.push(event),
    notify: [(notification) => void sent.push(notification)],
    clock: { now: () => Date.now(), monotonic: () => Date.now() + frozenMs },
    ...options,
  });
  guards.push(guard);
  return guard;
}

async function started(options?: Partial<RolloutGuardOptions>): Promise<RolloutGuard> {
  const guard = guardWith(options);
  await guard.start();
  return guard;
}

const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);
/** The same, but that promises settle once per tick and not after each of the timers, which beat ten times per second. */
async function passTicks(ms: number, tickMs: number): Promise<void> {
  for (let passed = 0; passed < ms; passed += tickMs) {
    vi.advanceTimersByTime(tickMs);
    await pass(0);
  }
}
const codes = (guard: RolloutGuard) => guard.status().health.reasons.map(({ code }) => code);
const reported = () => events.filter((event): event is GuardEventOf<'health'> => event.type === 'health');
const titles = () => sent.map(({ title }) => title);

/** One user's upload, reported with `client.track()`. */
function upload(guard: RolloutGuard, user: string, evaluation = { value: true, reason: 'SPLIT' }): void {
  guard.exposed(evaluation, user);
  flags.track({ targetingKey: user, value: 10, details: { success: true } });
}

describe('the health of a guard', () => {
  it('is blind before the start and after the end, and ok in between', async () => {
    const guard = guardWith();
    expect(guard.health).toMatchObject({ status: 'blind', reasons: [{ code: 'not-started' }] });
    await guard.start();
    expect(guard.health).toEqual({ status: 'ok', since: Date.now(), reasons: [] });
    await pass(10 * MINUTE);
    expect(guard.status().health).toMatchObject({ status: 'ok', since: Date.now() - 10 * MINUTE });
    await guard.close();
    expect(guard.health).toEqual({
      status: 'blind',
      since: Date.now(),
      reasons: [
        { code: 'closed', since: Date.now(), message: expect.stringContaining('no longer protects') },
      ],
    });
    expect(reported()).toEqual([]);
  });

  it('is blind when the start fails, and has the cause', async () => {
    const guard = guardWith();
    flags.onChange = () => {
      throw new Error('broken source');
    };
    await expect(guard.start()).rejects.toThrow('broken source');
    expect(guard.health.reasons).toMatchObject([
      { code: 'not-started', message: expect.stringContaining('broken source') },
    ]);
  });

  it('sends one message when it becomes blind and one when it is no longer, also in a dry run', async () => {
    flags.health = () => ({ status: 'error', message: 'Unleash answers 401.' });
    const guard = await started({ dryRun: true });
    await pass(5 * MINUTE);
    expect(codes(guard)).toEqual(['stale-flags']);
    expect(titles()).toEqual(['async-upload: the guard is blind']);
    expect(sent[0]).toMatchObject({
      type: 'health',
      severity: 'critical',
      message: expect.stringContaining('Unleash answers 401.'),
    });
    flags.health = () => ({ status: 'ok' });
    await pass(MINUTE);
    expect(guard.health).toMatchObject({ status: 'ok', reasons: [] });
    expect(titles()).toEqual([
      'async-upload: the guard is blind',
      'async-upload: the guard is no longer blind',
    ]);
    expect(sent[1]).toMatchObject({
      severity: 'info',
      message: expect.stringMatching(/^Until now: stale-flags for /),
    });
    expect(reported().map(({ status, began }) => [status, began])).toEqual([
      ['blind', ['stale-flags']],
      ['ok', []],
    ]);
  });

  it('reports a problem that comes and goes once', async () => {
    flags.health = () => ({ status: 'stale' });
    await started();
    await pass(MINUTE);
    for (let round = 0; round < 10; round++) {
      flags.health = () => ({ status: round % 2 === 0 ? 'ok' : 'stale' });
      await pass(20 * SECOND);
    }
    expect(titles()).toEqual(['async-upload: the guard is blind']);
  });

  it('reports a second reason too, and the end when both are gone', async () => {
    flags.health = () => ({ status: 'stale' });
    const guard = await started();
    await pass(MINUTE);
    frozenMs += 20 * SECOND;
    await pass(2 * SECOND);
    expect(codes(guard)).toEqual(['stale-flags', 'event-loop-blocked']);
    expect(titles()).toHaveLength(2);
    await pass(MINUTE);
    expect(codes(guard)).toEqual(['stale-flags']);
    expect(titles()).toHaveLength(2);
    flags.health = () => ({ status: 'ok' });
    await pass(MINUTE);
    expect(titles()).toHaveLength(3);
  });

  it('is blind after the event loop did not turn, and shows it before the next tick', async () => {
    const guard = await started();
    await pass(10 * SECOND);
    frozenMs += 12 * SECOND;
    expect(codes(guard)).toEqual(['event-loop-blocked']);
    await pass(2 * SECOND);
    expect(guard.health.reasons).toMatchObject([
      { code: 'event-loop-blocked', message: expect.stringContaining('for 12 s') },
    ]);
    await pass(MINUTE);
    expect(codes(guard)).toEqual([]);
  });

  it('is blind while its evaluation fails, whatever fails there', async () => {
    const guard = await started();
    const { flag } = flags;
    flags.flag = () => {
      throw new Error('broken source');
    };
    await pass(MINUTE);
    expect(guard.health.reasons).toMatchObject([
      { code: 'evaluation-failed', message: expect.stringContaining('broken source') },
      { code: 'stale-flags' },
    ]);
    flags.flag = flag;
    await pass(MINUTE);
    expect(guard.health.status).toBe('ok');
  });

  it('is blind while the provider has no such flag, and sees again when it comes back', async () => {
    const { facts } = flags;
    flags.facts = undefined;
    const guard = await started();
    await pass(29 * SECOND);
    expect(codes(guard)).toEqual([]);
    await pass(2 * SECOND);
    expect(codes(guard)).toEqual(['flag-missing']);
    await pass(MINUTE);
    flags.facts = facts;
    await pass(MINUTE);
    expect(codes(guard)).toEqual([]);
    expect(reported().map(({ began }) => began)).toEqual([['flag-missing'], []]);
    // The watch over the flag has said it, with the cause.
    expect(sent.map(({ type }) => type)).toEqual(['flag-missing', 'flag-found']);
  });

  it('is blind while Unleash refuses the admin token, and operators get one message of it', async () => {
    const unleash = new FakeAdminApi();
    unleash.failure = () => Response.json({ message: 'no such token' }, { status: 401 });
    const guard = await started({ fetch: unleash.fetch });
    await pass(MINUTE);
    expect(codes(guard)).toEqual(['admin-token']);
    unleash.failure = undefined;
    await pass(10 * MINUTE);
    expect(codes(guard)).toEqual([]);
    expect(reported().map(({ began }) => began)).toEqual([['admin-token'], []]);
    expect(sent.map(({ type }) => type)).toEqual(['admin-unavailable', 'admin-available']);
  });

  it('is blind on a rollback trigger that throws, while the flag is on', async () => {
    const broken: Trigger = {
      name: 'mine',
      windowMs: SECOND,
      evaluate: () => {
        throw new Error('broken');
      },
    };
    const guard = await started({ rollback: [broken, successRateBelow(0.95)] });
    await pass(MINUTE);
    expect(guard.health.reasons).toMatchObject([
      { code: 'trigger-failed', message: expect.stringContaining('mine') },
    ]);
    flags.change({ enabled: false });
    await pass(MINUTE);
    expect(codes(guard)).toEqual([]);
  });

  it('is blind when outcomes are tracked for which no evaluation is known: the hook is missing', async () => {
    const guard = await started();
    for (let user = 0; user < 20; user++) {
      flags.track({ targetingKey: `user-${user}`, value: 1, details: { success: true } });
    }
    await pass(MINUTE);
    expect(guard.health.reasons).toMatchObject([
      { code: 'hook-missing', message: expect.stringContaining('OutcomeHook') },
    ]);
    upload(guard, 'user-1');
    await pass(MINUTE);
    expect(codes(guard)).toEqual([]);
  });

  it('is blind when users get the treatment and no outcome ever comes', async () => {
    const guard = await started();
    for (let user = 0; user < 100; user++) guard.exposed({ value: true, reason: 'SPLIT' }, `user-${user}`);
    await pass(9 * MINUTE);
    expect(codes(guard)).toEqual([]);
    await pass(2 * MINUTE);
    expect(codes(guard)).toEqual(['no-outcomes']);
    expect(sent[0]?.message).toContain('100 evaluations gave the treatment');
  });

  it('is blind when outcomes stop while users still get the treatment', async () => {
    const guard = await started();
    for (let user = 0; user < 50; user++) upload(guard, `user-${user}`);
    await pass(MINUTE);
    for (let user = 0; user < 40; user++) guard.exposed({ value: true, reason: 'SPLIT' }, `late-${user}`);
    await pass(2 * MINUTE);
    expect(codes(guard)).toEqual(['no-outcomes']);
  });

  it.each<[string, () => void]>([
    ['the flag is off', () => flags.change({ enabled: false })],
    ['the flag is at 0 %', () => flags.change({ rolloutPercentage: 0 })],
    ['no user comes', () => {}],
  ])('stays ok for hours while %s', async (_what, change) => {
    const guard = await started({ tickMs: 10 * SECOND });
    change();
    for (let user = 0; user < 500; user++) guard.exposed({ value: false, reason: 'SPLIT' }, `user-${user}`);
    // No check waits for longer than an hour.
    await passTicks(4 * 60 * MINUTE, 10 * SECOND);
    expect(guard.health.status).toBe('ok');
    expect(sent.filter(({ type }) => type !== 'toggled')).toEqual([]);
  });

  it('stays ok after a stop that left exposures without an outcome', async () => {
    const guard = await started({ rollback: [criticalErrors()] });
    for (let user = 0; user < 200; user++) guard.exposed({ value: true, reason: 'SPLIT' }, `user-${user}`);
    guard.exposed({ value: true, reason: 'SPLIT' }, 'last');
    flags.track({ targetingKey: 'last', value: 1, details: { success: false, critical: true } });
    for (let user = 0; user < 200; user++) guard.exposed({ value: true, reason: 'SPLIT' }, `late-${user}`);
    await pass(20 * MINUTE);
    expect(guard.state.status).not.toBe('armed');
    expect(codes(guard)).toEqual([]);
  });

  it('is blind while all evaluations fail, for example through a client without a provider', async () => {
    const guard = await started();
    flags.defaultClient = () => ({
      getBooleanDetails: async () => ({ value: false, reason: 'No-op' }),
    });
    const run = guard.operation({ treatment: () => 'new', control: () => 'old' });
    for (let user = 0; user < 20; user++) await run({ targetingKey: `user-${user}` }, undefined);
    await pass(MINUTE);
    expect(guard.health.reasons).toMatchObject([
      { code: 'evaluations-failed', message: expect.stringContaining('no provider is registered') },
    ]);
  });

  it('is blind when outcomes come steadily and no rule ever has enough of them', async () => {
    const guard = await started({
      rollback: [successRateBelow(0.95, { minOutcomes: 10_000, strict: true }), criticalErrors()],
    });
    for (let minute = 0; minute < 58; minute++) {
      upload(guard, `user-${minute}`);
      await pass(MINUTE);
    }
    expect(codes(guard)).toEqual([]);
    for (let minute = 0; minute < 5; minute++) {
      upload(guard, `late-${minute}`);
      await pass(MINUTE);
    }
    expect(codes(guard)).toEqual(['no-rule-has-data']);
  });

  it('is blind when a rollback trigger cannot read its signal', async () => {
    const rule = signal('errors', () => Promise.reject(new Error('no route')), { above: 1 });
    const guard = await started({ rollback: [rule] });
    await pass(4 * MINUTE);
    expect(codes(guard)).toEqual([]);
    await pass(2 * MINUTE);
    expect(guard.health.reasons).toMatchObject([
      { code: 'signal-unreadable', message: expect.stringContaining('errors: ') },
    ]);
  });

  it('does not throw when everything around it does', async () => {
    flags.flag = () => {
      throw new Error('broken');
    };
    flags.health = () => {
      throw new Error('broken');
    };
    const guard = guardWith();
    expect(guard.health.status).toBe('blind');
    await guard.start();
    await pass(MINUTE);
    expect(guard.health.status).toBe('blind');
  });
});
