import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { AlertRule } from '../../src/alerts/alert-options.js';
import { alertVerdicts, type FiringAlert } from '../../src/guard/evaluate/alert-verdicts.js';
import { stepReviews } from '../../src/guard/evaluate/reviews.js';
import { parseRules } from '../../src/guard/options/rules.js';
import type { RolloutGuard } from '../../src/guard/rollout-guard.js';
import type { Verdict } from '../../src/model/shapes.js';
import { ConfigError } from '../../src/support/config-error.js';
import { criticalErrors } from '../../src/triggers/critical-errors.js';
import { errorRateAbove } from '../../src/triggers/error-rate-above.js';
import {
  complaintRateRising,
  eventRegression,
  failureRegression,
  unreportedAbove,
} from '../../src/triggers/event-regression.js';
import { latencyAbove } from '../../src/triggers/latency-above.js';
import { latencyRegression } from '../../src/triggers/latency-regression.js';
import { memoryGrowth } from '../../src/triggers/memory-growth.js';
import { metric } from '../../src/triggers/metrics/metric.js';
import { sampleRatioMismatch, usersInBothArms } from '../../src/triggers/sample-ratio-mismatch.js';
import { prometheusAbove, prometheusBelow } from '../../src/triggers/signals/prometheus.js';
import { signal } from '../../src/triggers/signals/signal.js';
import { successRateBelow } from '../../src/triggers/success-rate-below.js';
import { successRateBetween } from '../../src/triggers/success-rate-between.js';
import type { Trigger } from '../../src/triggers/trigger.js';
import { GuardHarness } from '../helpers/guard-harness.js';

let harness: GuardHarness;

beforeEach(async () => {
  harness = await GuardHarness.create();
});

afterEach(() => harness.close());

const titles = () => harness.notified.map(({ title }) => title);
/** Breaches from `least` failures on. */
const failures = (least: number, name: string, dryRun = false) =>
  errorRateAbove(0.01, { minOutcomes: least, strict: true, name, dryRun });

const FACTORIES: Readonly<Record<string, (dryRun: boolean) => Trigger>> = {
  'successRateBelow, point': (dryRun) => successRateBelow(0.9, { dryRun }),
  'errorRateAbove, sequential': (dryRun) => errorRateAbove(0.1, { evidence: 'sequential', dryRun }),
  successRateBetween: (dryRun) => successRateBetween(0.9, 0.95, { dryRun }),
  criticalErrors: (dryRun) => criticalErrors({ dryRun }),
  memoryGrowth: (dryRun) => memoryGrowth(1.2, { dryRun }),
  latencyAbove: (dryRun) => latencyAbove(1.2, { dryRun }),
  latencyRegression: (dryRun) => latencyRegression({ dryRun }),
  failureRegression: (dryRun) => failureRegression({ dryRun }),
  eventRegression: (dryRun) => eventRegression('aborted', { dryRun }),
  complaintRateRising: (dryRun) => complaintRateRising({ dryRun }),
  unreportedAbove: (dryRun) => unreportedAbove({ dryRun }),
  sampleRatioMismatch: (dryRun) => sampleRatioMismatch({ dryRun }),
  usersInBothArms: (dryRun) => usersInBothArms({ dryRun }),
  metric: (dryRun) => metric('paid', { kind: 'conversion', direction: 'higher-is-better', dryRun }),
  signal: (dryRun) => signal('depth', () => 1, { above: 2, dryRun }),
  prometheusAbove: (dryRun) => prometheusAbove({ url: 'http://p.test', query: 'x', threshold: 1, dryRun }),
  prometheusBelow: (dryRun) => prometheusBelow({ url: 'http://p.test', query: 'x', threshold: 1, dryRun }),
};

describe.each(Object.entries(FACTORIES))('%s', (_, make) => {
  it('can run dry, and acts unless asked to', () => {
    expect(make(true).dryRun).toBe(true);
    expect(make(false).dryRun ?? false).toBe(false);
  });

  it('refuses a dryRun that is no boolean', () => {
    const made = () => make('yes' as unknown as boolean);
    expect(made).toThrow(ConfigError);
    expect(made).toThrow(/dryRun.*true or false/);
  });
});

it('refuses a dryRun of a trigger of your own that is no boolean', () => {
  const own = { name: 'own', windowMs: 0, evaluate: () => ({}), dryRun: 1 };
  expect(() => parseRules({ rollback: [own] }, 'rules')).toThrow(/rollback\[0\]\.dryRun.*true or false/);
});

describe('a rollback trigger in dry run', () => {
  it('says once in an epoch what it would have done, while the others act', async () => {
    const guard = await harness.started({
      tickMs: 5,
      notify: harness.notify,
      rollback: [failures(5, 'tried', true), failures(20, 'in-force')],
    });
    await harness.fail(guard, 10);
    await harness.until('decided', () => harness.reported('decided').length === 1);
    await harness.ticks(3);
    const [{ decision }] = harness.reported('decided') as [ReturnType<typeof harness.reported<'decided'>>[0]];
    expect(decision).toMatchObject({
      dryRun: true,
      action: 'stop',
      verdicts: [{ trigger: 'tried', dryRun: true }],
    });
    expect(guard.state.status).toBe('armed');
    expect(guard.status().verdicts[0]).toMatchObject({ trigger: 'tried', status: 'breach', dryRun: true });
    expect([harness.flags.isOverridden(), harness.unleash.changes]).toEqual([false, []]);
    await harness.fail(guard, 10);
    await harness.until('stopped', () => guard.state.status === 'stopped');
    const decisions = harness.reported('decided').map((event) => event.decision);
    expect(decisions.map(({ dryRun, verdicts }) => [dryRun, verdicts.map(({ trigger }) => trigger)])).toEqual(
      [
        [true, ['tried']],
        [false, ['in-force']],
      ],
    );
    await guard.close();
    expect(titles().slice(0, 2)).toEqual([
      'async-upload would be turned off (dry run)',
      'async-upload is being turned off',
    ]);
    expect(harness.notified[0]!.severity).toBe('warning');
    expect(harness.notified[0]!.message).toContain('Dry run of tried: nothing was changed.');
  });

  it('says it again in another epoch, and not again after a restart', async () => {
    const options = { tickMs: 5, rollback: [failures(5, 'tried', true), failures(500, 'in-force')] };
    const guard = await harness.started(options);
    await harness.fail(guard, 10);
    await harness.until('decided', () => harness.reported('decided').length === 1);
    await guard.close();
    const later = await harness.started(options);
    await harness.fail(later, 10);
    await harness.ticks(3);
    expect(harness.reported('decided')).toHaveLength(1);
    harness.flags.change({ rolloutPercentage: 50 });
    await harness.until('decided again', () => harness.reported('decided').length === 2);
  });

  it('leaves the evaluation of the others running in a dry run of the guard, too', async () => {
    const guard = await harness.started({
      tickMs: 5,
      dryRun: true,
      rollback: [failures(5, 'tried', true), failures(20, 'in-force')],
    });
    await harness.fail(guard, 20);
    await harness.until('both', () => harness.reported('decided').length === 2);
    expect(guard.state).toMatchObject({
      status: 'armed',
      wouldHaveStopped: { verdicts: [{ trigger: 'in-force' }] },
    });
  });

  it.each([
    ['warns', { rollback: [failures(5, 'tried', true)] }, 1],
    ['does not warn', { rollback: [failures(5, 'tried', true), failures(5, 'in-force')] }, 0],
    ['does not warn', { rollback: [failures(5, 'tried', true)], dryRun: true }, 0],
  ] as const)('%s about a guard that nothing stops a flag of', async (_, options, warnings) => {
    const warn = vi.fn();
    const logger = { debug: () => {}, info: () => {}, warn, error: () => {} };
    await harness.started({ ...options, logger });
    const lines = warn.mock.calls.filter(([, line]) => String(line).includes('nothing stops the flag'));
    expect(lines).toHaveLength(warnings);
  });

  it('says nothing while it is muted', async () => {
    const guard = await harness.started({ tickMs: 5, rollback: [failures(5, 'tried', true)] });
    const reply = await guard.control({
      type: 'mute',
      by: 'ann',
      trigger: 'tried',
      forMs: 60_000,
      reason: 'known',
    });
    expect(reply.message).toContain('nothing stops the flag');
    await harness.fail(guard, 10);
    await harness.ticks(3);
    expect(harness.reported('decided')).toEqual([]);
  });

  it('is one by its own word alone: no verdict makes it run dry, or act', async () => {
    const own = (name: string, dryRun: boolean, said: unknown): Trigger => ({
      name,
      windowMs: 0,
      dryRun,
      evaluate: () =>
        ({
          ...{ trigger: name, status: 'breach', threshold: 1, windowMs: 0, message: 'it is so' },
          ...{ sampleSize: { treatment: 1, control: 1 }, dryRun: said },
        }) as Verdict,
    });
    const guard = await harness.started({
      tickMs: 5,
      rollback: [own('tried', true, false), own('in-force', false, true)],
    });
    await harness.until('stopped', () => guard.state.status === 'stopped');
    const decisions = harness.reported('decided').map(({ decision }) => decision);
    expect(decisions.map(({ dryRun, verdicts }) => [dryRun, verdicts[0]?.trigger])).toEqual([
      [true, 'tried'],
      [false, 'in-force'],
    ]);
  });

  it.each([true, false])(
    'leaves the object that its trigger returned as it was, in dry run: %s',
    async (dryRun) => {
      const kept = {
        ...({ trigger: 'own', status: 'ok', threshold: 1, unit: 'none', windowMs: 0 } as const),
        ...{ sampleSize: { treatment: 1, control: 1 }, message: 'it is so' },
      };
      const own: Trigger = { name: 'own', windowMs: 0, dryRun, evaluate: () => kept };
      const guard = await harness.started({ tickMs: 5, rollback: [own, failures(500, 'in-force')] });
      await harness.ticks(3);
      expect(kept).not.toHaveProperty('dryRun');
      const [shown] = (await guard.rolloutSource.view())!.triggers;
      expect(shown).toMatchObject({ verdict: kept, ...(dryRun && { dryRun }) });
      expect(shown?.verdict?.dryRun).toBe(dryRun ? true : undefined);
    },
  );

  it('is shown as such, with the figures of its verdict', async () => {
    const own: Trigger = {
      name: 'own',
      windowMs: 0,
      dryRun: true,
      evaluate: () =>
        Object.freeze({
          ...{ trigger: 'own', status: 'breach', threshold: 1, windowMs: 0, message: 'it is so' },
          sampleSize: { treatment: 1, control: 1 },
        } as const),
    };
    const guard = await harness.started({ tickMs: 5, rollback: [own, failures(500, 'in-force')] });
    await harness.until('decided', () => harness.reported('decided').length === 1);
    const [tried, inForce] = (await guard.rolloutSource.view())!.triggers;
    expect(tried).toMatchObject({ dryRun: true, verdict: { dryRun: true, unit: 'none', status: 'breach' } });
    expect(inForce?.dryRun).toBeUndefined();
    expect(guard.prometheus()).toContain(
      'rollout_guard_trigger_breached{flag="async-upload",environment="production",project="default",trigger="own",severity="rollback",dry_run="true"} 1',
    );
    expect(guard.prometheus()).toContain(
      'rollout_guard_prevented_incidents_total{flag="async-upload",environment="production",project="default"} 0',
    );
  });
});

describe('a review trigger in dry run', () => {
  it('notifies once, holds nothing and waits for nobody', async () => {
    const guard = await harness.started({
      tickMs: 5,
      notify: harness.notify,
      rollback: [failures(500, 'in-force')],
      review: [failures(5, 'tried', true)],
      stages: [{ percentage: 10, minOutcomes: 10, minSuccessRate: 0 }],
    });
    await harness.fail(guard, 10);
    await harness.until('opened', () => harness.reported('review-opened').length === 1);
    await harness.until('met', () => guard.status().stage?.status === 'met');
    await harness.ticks(3);
    expect(harness.reported('review-opened')).toHaveLength(1);
    expect(guard.status().openReviews).toEqual([]);
    expect((await guard.rolloutSource.view())!.openReviews).toEqual([]);
    const request = { type: 'acknowledge', by: 'ann', trigger: 'tried' } as const;
    await expect(guard.control(request)).rejects.toMatchObject({ code: 'NO_REVIEW' });
    await guard.close();
    expect(harness.notified.find(({ type }) => type === 'review-opened')).toMatchObject({
      severity: 'info',
      title: 'async-upload: a review would be opened (tried, dry run)',
    });
  });

  const verdict = (status: Verdict['status'], more: Partial<Verdict> = {}): Verdict => ({
    ...{ trigger: 'tried', status, threshold: 1, unit: 'none', windowMs: 0, message: 'so it is.' },
    sampleSize: { treatment: 0, control: 0 },
    ...more,
  });
  const opened = (more: Partial<Verdict>) => stepReviews([], [verdict('breach', more)], undefined, 1, 0).open;

  it('opens its review in earnest when it no longer runs dry', () => {
    const step = stepReviews(opened({ dryRun: true }), [verdict('breach')], undefined, 2, 0);
    expect([step.opened.length, step.closed.length, step.open[0]?.openedAt]).toEqual([1, 0, 2]);
  });

  it('closes its review when it runs dry from now on', () => {
    const step = stepReviews(opened({}), [verdict('breach', { dryRun: true })], undefined, 2, 0);
    expect(step.closed).toMatchObject([{ message: 'The rule is in dry run now. so it is.' }]);
    expect(step.closed[0]).not.toHaveProperty('dryRun');
    expect(step.open).toMatchObject([{ verdict: { dryRun: true } }]);
  });
});

const TOKEN = 'a-token-of-the-alerts';

async function send(guard: RolloutGuard, rules: readonly AlertRule[], body: object) {
  const server = createServer(guard.alerts({ token: TOKEN, rules })).listen(0, '127.0.0.1');
  await once(server, 'listening');
  try {
    const response = await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${TOKEN}` },
      body: JSON.stringify(body),
    });
    const { results } = (await response.json()) as { results: { message: string }[] };
    return results[0]?.message;
  } finally {
    server.close();
  }
}

describe('alerts whose rule runs dry', () => {
  const alert = (action: 'review' | 'stop', dryRun: boolean): FiringAlert => ({
    ...{ trigger: 'alert:full', fingerprint: `${action} ${dryRun}`, isFiring: true, action, reason: 'full' },
    ...{ from: 'Alertmanager', at: 1, ...(dryRun && { dryRun }) },
  });

  it.each([
    ['only a dry review', [alert('review', true)], [true]],
    ['a dry review and one in earnest', [alert('review', true), alert('review', false)], [undefined]],
    ['a dry stop, which was recorded', [alert('stop', true)], []],
  ])('have the verdict of %s', (_, alerts, dryRuns) => {
    expect(alertVerdicts(alerts, [], 2).map(({ dryRun }) => dryRun)).toEqual(dryRuns);
  });

  it.each(['review', 'stop'] as const)('say what they would have done: %s', async (action) => {
    const guard = await harness.started({ tickMs: 5 });
    const rules = [{ match: { alertname: 'full' }, action, dryRun: true }];
    const message = await send(guard, rules, {
      alert: 'full',
      status: 'firing',
      labels: { alertname: 'full' },
    });
    expect(message?.toLowerCase()).toContain('dry run');
    if (action === 'review') {
      await harness.until('reported', () => harness.reported('review-opened').length === 1);
    } else {
      expect(harness.reported('decided')).toMatchObject([{ decision: { dryRun: true } }]);
    }
    await harness.ticks(2);
    expect([guard.state.status, guard.status().openReviews]).toEqual(['armed', []]);
    expect(harness.reported('review-opened')).toHaveLength(action === 'review' ? 1 : 0);
  });

  it('refuse a dryRun that is no boolean', async () => {
    const guard = harness.guard();
    const rules = [{ match: { a: 'b' }, action: 'stop', dryRun: 'no' as unknown as boolean } as const];
    expect(() => guard.alerts({ token: TOKEN, rules })).toThrow(/rules\[0\]\.dryRun/);
  });
});
