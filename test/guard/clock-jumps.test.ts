import { signal, successRateBelow } from 'unleash-rollout-guard';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { RolloutGuardOptions } from '../../src/guard/options/options.js';
import type { RolloutGuard } from '../../src/guard/rollout-guard.js';
import { GuardHarness } from '../helpers/guard-harness.js';

const HOUR = 3_600_000;

/** The machine's clocks, whose wall clock can be set. */
class SettableClock {
  #offsetMs = 0;
  now = () => Date.now() + this.#offsetMs;
  monotonic = () => performance.now();

  set(byMs: number): void {
    this.#offsetMs += byMs;
  }
}

let harness: GuardHarness;
let clock: SettableClock;
let options: Partial<RolloutGuardOptions>;

beforeEach(async () => {
  harness = await GuardHarness.create();
  clock = new SettableClock();
  options = { clock, tickMs: 5, recheckMs: 20 };
});

afterEach(() => harness.close());

const refused = () => Response.json({ message: 'no permission' }, { status: 403 });

describe.each([
  ['back', -HOUR],
  ['forward', HOUR],
])('a guard whose wall clock is set %s by an hour', (_, byMs) => {
  it('retries a refused stop as soon as before, and no sooner', async () => {
    harness.unleash.failure = refused;
    const guard = await harness.started({ ...options, recheckMs: 500 });
    const failedAt = performance.now();
    await harness.fail(guard);
    await harness.until('refused', () => harness.reported('action-required').length === 1);
    const requests = harness.unleash.requests.length;
    clock.set(byMs);
    harness.unleash.failure = undefined;
    await harness.ticks(5);
    // On a machine that is busy, the next request may be due.
    if (performance.now() - failedAt < 400) expect(harness.unleash.requests).toHaveLength(requests);
    await harness.until('stopped', () => guard.state.status === 'stopped');
    expect(harness.unleash.enabled).toBe(false);
  });

  it('checks a stopped flag as before', async () => {
    const guard = await harness.started(options);
    await harness.fail(guard);
    await harness.until('stopped', () => guard.state.status === 'stopped');
    const reads = () =>
      harness.unleash.requests.filter((request) => request.endsWith('/async-upload')).length;
    clock.set(byMs);
    const before = reads();
    await harness.until('checked', () => reads() > before);
  });

  it('retries a refused advance as before', async () => {
    const guard = await harness.started({
      ...options,
      stages: [
        { percentage: 10, minOutcomes: 5, minSuccessRate: 0.9 },
        { percentage: 50, minOutcomes: 5, minSuccessRate: 0.9 },
      ],
      advance: 'automatic',
    });
    harness.unleash.failure = refused;
    await succeed(guard);
    const isAdvance = ({ what }: { what: string }) => what.startsWith('advancing');
    await harness.until('refused', () => harness.reported('fault').some(isAdvance));
    clock.set(byMs);
    harness.unleash.failure = undefined;
    await harness.until('advanced', () => harness.unleash.rollout === 50);
  });

  it('still evaluates a signal', async () => {
    let depth = 5;
    const review = [signal('depth', () => depth, { above: 1_000, everyMs: 5 })];
    const guard = await harness.started({ ...options, review });
    const verdict = () => guard.status().verdicts.find(({ trigger }) => trigger === 'depth');
    await harness.until('evaluated', () => verdict()?.status === 'ok');
    clock.set(byMs);
    depth = 2_000;
    await harness.until('breached', () => verdict()?.status === 'breach');
    await harness.until('reviewed', () => harness.reported('review-opened').length === 1);
  });

  it('closes a review when its trigger has been ok for long enough', async () => {
    let depth = 2_000;
    const review = [signal('depth', () => depth, { above: 1_000, everyMs: 5 })];
    await harness.started({
      ...options,
      review,
      reviewCloseAfterMs: 300,
      rollback: [successRateBelow(0.95)],
    });
    await harness.until('reviewed', () => harness.reported('review-opened').length === 1);
    depth = 5;
    await harness.ticks(10);
    clock.set(byMs);
    await harness.until('closed', () => harness.reported('review-closed').length === 1);
  });

  it('lets an operation have the time that it had', async () => {
    const guard = await harness.started(options);
    const upload = guard.operation({
      treatment: () => {
        clock.set(byMs);
        return new Promise<string>((resolve) => setTimeout(() => resolve('new'), 50));
      },
      control: () => 'old',
      timeoutMs: 5_000,
    });
    expect(await upload({ targetingKey: 'user-1' }, undefined)).toBe('new');
    const { treatment } = guard.status().snapshot.total;
    expect(treatment).toMatchObject({ successes: 1, failures: 0 });
  });
});

async function succeed(guard: RolloutGuard): Promise<void> {
  const upload = guard.operation({ treatment: () => 'new', control: () => 'old' });
  for (let user = 0; user < 5; user++) await upload({ targetingKey: `user-${user}` }, undefined);
}
