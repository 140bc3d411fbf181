import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { AlertsHandler } from '../../../src/alerts/alerts-handler.js';
import { ControlLedger, withAlert } from '../../../src/guard/control/control-state.js';
import { FlagGuards } from '../../../src/guard/flag-guards.js';
import type { RolloutGuard } from '../../../src/guard/rollout-guard.js';
import type { Alert } from '../../../src/model/control.js';
import { successRateBelow } from '../../../src/triggers/success-rate-below.js';
import { GuardHarness } from '../../helpers/guard-harness.js';
import { SeveralFakeFlags } from '../../helpers/several-fake-flags.js';

const OPTIONS = {
  token: 'a-token-of-the-alerts',
  rules: [{ match: { severity: 'critical' }, action: 'stop' as const }],
};

let harness: GuardHarness;
let servers: Server[];

beforeEach(async () => {
  harness = await GuardHarness.create();
  servers = [];
});
afterEach(async () => {
  for (const server of servers) server.close();
  await harness.close();
});

async function send(handler: AlertsHandler, body: object) {
  const server = createServer(handler).listen(0, '127.0.0.1');
  servers.push(server);
  await once(server, 'listening');
  const response = await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${OPTIONS.token}` },
    body: JSON.stringify(body),
  });
  const reply = (await response.json()) as { results: { message: string }[] };
  return { status: response.status, message: reply.results[0]?.message };
}

const firing = (more: object = {}) => ({ alert: 'queue-is-full', status: 'firing', ...more });
const RESOLVED = { alert: 'queue-is-full', status: 'resolved' };
const CRITICAL = { labels: { severity: 'critical' } };
const open = (guard: RolloutGuard) => guard.status().openReviews.map(({ trigger }) => trigger);

describe('an alert', () => {
  it('holds automatic advance with its review until it is resolved', async () => {
    const guard = await harness.started({
      tickMs: 5,
      advance: 'automatic',
      stages: [
        { percentage: 10, minOutcomes: 1, minSuccessRate: 0.5 },
        { percentage: 50, minOutcomes: 1, minSuccessRate: 0.5 },
      ],
    });
    expect(await send(guard.alerts(OPTIONS), firing())).toEqual({
      status: 200,
      message: 'queue-is-full fires: it opens a review.',
    });
    await harness.until('open', () => open(guard).length === 1);
    await guard.operation({ treatment: () => 1, control: () => 0 })({ targetingKey: 'u' }, undefined);
    await harness.ticks(10);
    expect(guard.status().stage?.message).toContain('alert:queue-is-full is under review.');
    expect(harness.reported('advanced')).toEqual([]);
    await send(guard.alerts(OPTIONS), RESOLVED);
    await harness.until('advanced', () => harness.reported('advanced').length === 1);
  });

  it('stays acknowledged while it fires, and opens a review again when it fires again', async () => {
    const guard = await harness.started({ tickMs: 5 });
    await send(guard.alerts(OPTIONS), firing());
    await harness.until('open', () => open(guard).length === 1);
    await guard.acknowledge('alert:queue-is-full', { by: 'ann' });
    expect((await send(guard.alerts(OPTIONS), firing())).message).toMatch(/nothing has changed/);
    await harness.ticks(5);
    expect(open(guard)).toEqual([]);
    await send(guard.alerts(OPTIONS), RESOLVED);
    await harness.ticks(5);
    await send(guard.alerts(OPTIONS), firing());
    await harness.until('open again', () => open(guard).length === 1);
    expect(harness.reported('review-opened')).toHaveLength(2);
  });

  it('survives a restart, and so does what it was', async () => {
    const guard = await harness.started({ tickMs: 5 });
    await send(guard.alerts(OPTIONS), firing());
    await harness.until('open', () => open(guard).length === 1);
    await guard.close();
    const next = await harness.started({ tickMs: 5 });
    await harness.ticks(5);
    expect(open(next)).toEqual(['alert:queue-is-full']);
    expect((await send(next.alerts(OPTIONS), firing())).message).toMatch(/nothing has changed/);
    expect(harness.reported('review-opened')).toHaveLength(1);
    await send(next.alerts(OPTIONS), RESOLVED);
    await harness.until('closed', () => open(next).length === 0);
  });

  it('stops the flag once: while it still fires, an operator may turn the flag on again', async () => {
    const guard = await harness.started({ tickMs: 5 });
    expect((await send(guard.alerts(OPTIONS), firing(CRITICAL))).message).toBe(
      'queue-is-full fires. async-upload is off in Unleash.',
    );
    await harness.until('seen off', () => guard.state.status === 'stopped');
    harness.flags.change({ enabled: false });
    await harness.ticks(5);
    harness.unleash.enabled = true;
    harness.flags.change({ enabled: true });
    await harness.until('armed', () => guard.state.status === 'armed');
    expect((await send(guard.alerts(OPTIONS), firing(CRITICAL))).message).toMatch(/nothing has changed/);
    await harness.ticks(5);
    expect(guard.state.status).toBe('armed');
    // What still fires is worth a review, and holds the next step.
    expect(open(guard)).toEqual(['alert:queue-is-full']);
  });

  it('does nothing while its name is muted', async () => {
    const guard = await harness.started({ tickMs: 5 });
    await send(guard.alerts(OPTIONS), firing());
    await guard.mute('alert:queue-is-full', { forMs: 60_000, reason: 'known', by: 'ann' });
    await send(guard.alerts(OPTIONS), RESOLVED);
    await harness.until('closed', () => open(guard).length === 0);
    expect((await send(guard.alerts(OPTIONS), firing(CRITICAL))).message).toMatch(/is muted/);
    await harness.ticks(5);
    expect([guard.state.status, open(guard)]).toEqual(['armed', []]);
  });

  it('only records a stop in a dry run', async () => {
    const guard = await harness.started({ tickMs: 5, dryRun: true });
    expect((await send(guard.alerts(OPTIONS), firing(CRITICAL))).message).toMatch(/^Dry run/);
    expect(harness.reported('decided')).toMatchObject([{ decision: { dryRun: true } }]);
    expect([guard.state.status, harness.unleash.enabled]).toEqual(['armed', true]);
  });

  it('is to be sent again when the guard is not running', async () => {
    const guard = harness.guard();
    expect(await send(guard.alerts(OPTIONS), firing())).toEqual({
      status: 503,
      message: 'The guard of async-upload is not running.',
    });
  });

  it('goes to the guard of its flag among several', async () => {
    const flags = new SeveralFakeFlags(['one', 'two']);
    const guards = new FlagGuards({
      provider: flags,
      unleash: { url: 'http://unleash.test/api', token: '*:*.made-up', environment: 'production' },
      flags: { one: { rollback: [successRateBelow(0.9)] }, two: { rollback: [successRateBelow(0.9)] } },
      folder: harness.folder,
      logger: false,
      tickMs: 5,
      fetch: harness.unleash.fetch,
    });
    await guards.start();
    try {
      const handler = guards.alerts(OPTIONS);
      expect((await send(handler, firing({ flag: 'two' }))).status).toBe(200);
      await harness.until('open', () => open(guards.get('two')).length === 1);
      expect(open(guards.get('one'))).toEqual([]);
      expect(await send(handler, firing({ flag: 'three' }))).toEqual({
        status: 404,
        message: 'No flag "three" is guarded here.',
      });
    } finally {
      await guards.close();
    }
  });
});

describe('withAlert', () => {
  const alert = (given: Partial<Alert> = {}): Alert => ({
    type: 'alert',
    by: 'Alertmanager',
    trigger: 'alert:a',
    fingerprint: 'f',
    isFiring: true,
    since: 1_000,
    action: 'review',
    reason: 'a',
    ...given,
  });
  const changesOf = (...alerts: readonly Alert[]) => {
    let { state } = new ControlLedger();
    return alerts.map((each, at) => {
      const step = withAlert(state, each, at);
      state = step.state;
      return step.change;
    });
  };
  const resolved = (since = 1_000) => alert({ isFiring: false, since });

  it.each<[what: string, alerts: readonly Alert[], changes: readonly string[]]>([
    ['repeated', [alert(), alert()], ['fires', 'known']],
    ['resolved twice', [alert(), resolved(), resolved()], ['fires', 'resolved', 'known']],
    ['resolved, and repeated late', [alert(), resolved(), alert()], ['fires', 'resolved', 'known']],
    ['fires again', [alert(), resolved(), alert({ since: 2_000 })], ['fires', 'resolved', 'fires']],
    ['fires again, its end unheard', [alert(), alert({ since: 2_000 })], ['fires', 'fires']],
    ['an end of the time before', [alert({ since: 2_000 }), resolved()], ['fires', 'known']],
    ['resolved without having fired', [resolved()], ['known']],
    [
      'without times',
      [
        alert({ since: undefined }),
        alert({ since: undefined, isFiring: false }),
        alert({ since: undefined }),
      ],
      ['fires', 'resolved', 'fires'],
    ],
  ])('takes each change once: %s', (_, alerts, changes) => {
    expect(changesOf(...alerts)).toEqual(changes);
  });

  it('remembers a bounded number, forgets those first that are resolved, and none that fires', () => {
    const many = (count: number, isFiring: boolean) =>
      Array.from({ length: count }, (_, n) => alert({ fingerprint: `f${n}`, isFiring }));
    expect(changesOf(...many(64, true), alert({ fingerprint: 'x' })).at(-1)).toBe('full');
    const rest = [resolved(), alert({ fingerprint: 'x' })].map((each, n) =>
      n === 0 ? { ...each, fingerprint: 'f0' } : each,
    );
    expect(changesOf(...many(64, true), ...rest).slice(-2)).toEqual(['resolved', 'fires']);
  });
});
