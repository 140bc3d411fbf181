import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { GuardHarness } from '../helpers/guard-harness.js';
import { timeLimit } from '../helpers/machine-time.js';

const off = (request: string) => request.endsWith('/off');
const history = (request: string) => request.includes('/events/');
const down = () => new Response('', { status: 503 });
const unauthorised = () => new Response('', { status: 401 });
/** The service's clock is a minute behind Unleash's, or ahead of it. */
const skewed = (ms: number) => ({ now: () => Date.now() + ms, monotonic: () => performance.now() });

let harness: GuardHarness;

beforeEach(async () => {
  harness = await GuardHarness.create();
});

afterEach(async () => {
  await harness.close();
});

/** Unleash refuses to turn the flag off, until the returned function is called. */
function refuseOff(): () => void {
  harness.unleash.failure = (request) => (off(request) ? down() : undefined);
  return () => {
    harness.unleash.failure = undefined;
  };
}

describe.each([
  ['behind', -60_000],
  ['ahead of', 60_000],
])("a guard whose clock is %s Unleash's", (_, skewMs) => {
  const clock = skewed(skewMs);

  it('turns the untouched flag off, although the first request fails', async () => {
    harness.unleash.toggle(false, 'ann');
    harness.unleash.toggle(true, 'ann');
    const accept = refuseOff();
    const guard = await harness.started({ clock });
    await harness.until('read', () => harness.unleash.requests.some(history));
    await harness.fail(guard);
    await harness.until('failed', () => harness.reported('stop-failed').length === 1);
    accept();
    await harness.until('stopped', () => guard.state.status === 'stopped');
    expect(harness.unleash.enabled).toBe(false);
    expect(harness.reported('re-armed')).toEqual([]);
  });

  it('turns it off when it decides before the history was read, and after a restart then', async () => {
    harness.unleash.toggle(false, 'ann');
    harness.unleash.toggle(true, 'ann');
    const accept = refuseOff();
    const first = await harness.started({ clock });
    await harness.fail(first);
    await harness.until('failed', () => harness.reported('stop-failed').length === 1);
    await harness.until(
      'read',
      () => first.state.status === 'stopping' && first.state.decision.lastToggleId === 2,
    );
    await first.close();
    accept();
    const second = await harness.started({ clock });
    await harness.until('stopped', () => second.state.status === 'stopped');
    expect(harness.unleash.enabled).toBe(false);
  });

  it('turns it off after a restart as well', async () => {
    harness.unleash.toggle(false, 'ann');
    harness.unleash.toggle(true, 'ann');
    const accept = refuseOff();
    const first = await harness.started({ clock });
    await harness.until('read', () => harness.unleash.requests.some(history));
    await harness.fail(first);
    await harness.until('failed', () => harness.reported('stop-failed').length === 1);
    await first.close();
    accept();
    const second = await harness.started({ clock });
    await harness.until('stopped', () => second.state.status === 'stopped');
    expect(harness.unleash.enabled).toBe(false);
  });

  it('leaves a flag on that an operator turned off and on after the decision, after a restart as well', async () => {
    const accept = refuseOff();
    const first = await harness.started({ clock });
    await harness.until('read', () => harness.unleash.requests.some(history));
    await harness.fail(first);
    await harness.until('failed', () => harness.reported('stop-failed').length === 1);
    await first.close();
    harness.unleash.toggle(false, 'ann');
    harness.unleash.toggle(true, 'ann');
    accept();
    const second = await harness.started({ clock });
    await harness.until('re-armed', () => second.state.status === 'armed');
    expect(harness.unleash.enabled).toBe(true);
    await harness.until('reported', () => harness.reported('toggled').length === 1);
    const { id: decisionId } = harness.reported('decided')[0]!.decision;
    expect(harness.reported('toggled')[0]).toMatchObject({ change: 'on', by: 'ann', decisionId });
  });

  it('drops a decision on what is old: the flag was turned off and on since, and the provider has not seen it', async () => {
    const guard = await harness.started({ clock });
    await harness.until('read', () => harness.unleash.requests.some(history));
    harness.unleash.toggle(false, 'another guard');
    harness.unleash.toggle(true, 'ann');
    await harness.fail(guard);
    await harness.until('re-armed', () => harness.reported('re-armed').length === 1);
    expect(guard.state.status).toBe('armed');
    expect(harness.flags.isOverridden()).toBe(false);
    expect(harness.unleash.changes.filter(off)).toEqual([]);
    // The rollout that the operator began is guarded like any other.
    await harness.until('read again', () => harness.unleash.requests.filter(history).length >= 3);
    await harness.fail(guard);
    await harness.until('stopped', () => guard.state.status === 'stopped');
    expect(harness.unleash.enabled).toBe(false);
  });

  it('takes an "on" without an "off" since the decision for no other rollout', async () => {
    const accept = refuseOff();
    const guard = await harness.started({ clock });
    await harness.until('read', () => harness.unleash.requests.some(history));
    await harness.fail(guard);
    await harness.until('failed', () => harness.reported('stop-failed').length === 1);
    harness.unleash.toggle(true, 'ann');
    accept();
    await harness.until('stopped', () => guard.state.status === 'stopped');
    expect(harness.unleash.enabled).toBe(false);
  });

  it('refers to the latest "on" that the provider has shown', async () => {
    const guard = await harness.started({ clock });
    harness.unleash.toggle(false, 'ann');
    harness.flags.change({ enabled: false });
    harness.unleash.toggle(true, 'ann');
    harness.flags.change({ enabled: true });
    // At the start, and after each change: for decisions to refer to, and for who made it.
    await harness.until('read', () => harness.unleash.requests.filter(history).length === 5);
    await new Promise(setImmediate);
    await harness.fail(guard);
    await harness.until('stopped', () => guard.state.status === 'stopped');
    expect(guard.state).toMatchObject({ decision: { lastToggleId: 2 } });
    expect(harness.reported('re-armed')).toEqual([]);
  });
});

describe('a guard that could never read the history before it decided', () => {
  it('leaves a flag on that was turned off and on after the decision', async () => {
    harness.unleash.failure = unauthorised;
    const first = await harness.started();
    await harness.fail(first);
    await harness.until('pending', () => harness.reported('action-required').length === 1);
    await first.close();
    await new Promise((resolve) => setTimeout(resolve, 2));
    harness.unleash.toggle(false, 'ann');
    harness.unleash.toggle(true, 'ann');
    harness.unleash.failure = undefined;
    const second = await harness.started();
    await harness.until('re-armed', () => second.state.status === 'armed');
    expect(harness.unleash.enabled).toBe(true);
  });
});

describe('a history that does not answer', () => {
  it('delays the first request to turn the flag off by a second at most', async () => {
    const hanging: typeof fetch = (input, init) =>
      history(String(input)) && harness.unleash.requests.some(history)
        ? new Promise((_, reject) =>
            init?.signal?.addEventListener('abort', () => reject(init.signal?.reason)),
          )
        : harness.unleash.fetch(input, init);
    const guard = await harness.started({ fetch: hanging });
    await harness.until('read', () => harness.unleash.requests.some(history));
    await new Promise(setImmediate);
    const limit = timeLimit(4_000);
    const startedAt = performance.now();
    await harness.fail(guard);
    await harness.until('stopped', () => guard.state.status === 'stopped');
    expect(performance.now() - startedAt).toBeLessThan(limit());
  });
});

describe('the stop of a flag that was archived', () => {
  it.each([
    ['archived', () => Response.json({ name: 'ArchivedFeatureError', message: 'archived' }, { status: 400 })],
    ['deleted', () => Response.json({ name: 'NotFoundError', message: 'no such feature' }, { status: 404 })],
  ])('is confirmed when it was %s, and requests nothing of an operator', async (how, refusal) => {
    const { unleash } = harness;
    const guard = await harness.started({ recheckMs: 10, tickMs: 5 });
    unleash.history.push({
      id: 7,
      type: `feature-${how}`,
      environment: null as unknown as string,
      createdBy: 'ann',
      createdAt: new Date().toISOString(),
    });
    unleash.failure = (request) => (request.includes('/features/') ? refusal() : undefined);
    await harness.fail(guard);
    await harness.until('stopped', () => guard.state.status === 'stopped');
    await harness.ticks(8);
    expect(guard.state).toMatchObject({ confirmedBy: 'removed' });
    expect(harness.reported('action-required')).toEqual([]);
    expect(harness.reported('stop-failed')).toEqual([]);
    expect(harness.reported('fault')).toEqual([]);
  });
});
