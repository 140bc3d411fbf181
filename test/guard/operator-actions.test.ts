import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { eventually } from '../helpers/eventually.js';
import { GuardHarness } from '../helpers/guard-harness.js';

const off = (request: string) => request.endsWith('/off');
const down = () => new Response('', { status: 503 });

let harness: GuardHarness;

beforeEach(async () => {
  harness = await GuardHarness.create();
});

afterEach(async () => {
  vi.useRealTimers();
  await harness.close();
});

describe('a guard beside an operator', () => {
  it('leaves a flag on that an operator turned on while its own request was failing', async () => {
    const { unleash } = harness;
    unleash.failure = (request) => (off(request) ? down() : undefined);
    const guard = await harness.started();
    await harness.fail(guard);
    await harness.until('failed', () => harness.reported('stop-failed').length === 1);
    unleash.toggle(false, 'ann');
    unleash.toggle(true, 'ann');
    unleash.failure = undefined;
    await harness.until('re-armed', () => guard.state.status === 'armed');
    expect(unleash.enabled).toBe(true);
    expect(harness.flags.isOverridden()).toBe(false);
  });

  it('re-arms soon when an operator turns the flag on before any poll has shown it off', async () => {
    const { unleash } = harness;
    // Not the injected time: the recheck is to come long before `recheckMs`, which is 30 s.
    const guard = await harness.started({ tickMs: 20 });
    await harness.fail(guard);
    await harness.until('stopped', () => guard.state.status === 'stopped');
    unleash.toggle(true, 'ann');
    await harness.until('re-armed', () => guard.state.status === 'armed');
    expect(harness.flags.isOverridden()).toBe(false);
  });

  it('sends no further "off" once an operator has turned the flag off', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const { unleash } = harness;
    unleash.failure = (request) => (off(request) ? down() : undefined);
    const guard = await harness.started();
    await harness.fail(guard);
    await harness.until('failed', () => harness.reported('stop-failed').length === 1);
    harness.flags.change({ enabled: false });
    expect(guard.state).toMatchObject({ status: 'stopped', confirmedBy: 'definition' });
    const sent = unleash.requests.filter(off).length;
    await vi.advanceTimersByTimeAsync(60_000);
    expect(unleash.requests.filter(off)).toHaveLength(sent);
  });

  it('finishes the stop of an earlier run although the history, and it alone, does not answer', async () => {
    const { unleash } = harness;
    unleash.failure = () => Response.json({}, { status: 401 });
    const first = await harness.started();
    await harness.fail(first);
    await harness.until('pending', () => harness.reported('action-required').length === 1);
    await first.close();
    unleash.failure = (request) => (request.includes('/events/') ? down() : undefined);
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    try {
      const second = await harness.started();
      await eventually(async () => {
        await vi.advanceTimersByTimeAsync(1_000);
        expect(second.state.status).toBe('stopped');
      });
    } finally {
      vi.useRealTimers();
    }
  });
});
