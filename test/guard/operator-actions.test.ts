import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { GuardHarness } from '../helpers/guard-harness.js';

const off = (request: string) => request.endsWith('/off');
const down = () => new Response('', { status: 503 });

let harness: GuardHarness;

beforeEach(async () => {
  harness = await GuardHarness.create();
});

afterEach(async () => {
  await harness.close();
});

describe('a guard beside a person', () => {
  it('leaves on what a person turned on while its own request was failing', async () => {
    const { unleash } = harness;
    unleash.failure = (request) => (off(request) ? down() : undefined);
    const guard = await harness.started();
    await harness.fail(guard);
    await harness.until('failed', () => harness.told('stop-failed').length === 1);
    unleash.toggle(false, 'ann');
    unleash.toggle(true, 'ann');
    unleash.failure = undefined;
    await harness.until('re-armed', () => guard.state.status === 'armed');
    expect(unleash.enabled).toBe(true);
    expect(harness.flags.isOverridden()).toBe(false);
  });

  it('sends no further "off" once a person has turned the flag off by hand', async () => {
    const { unleash } = harness;
    unleash.failure = (request) => (off(request) ? down() : undefined);
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    try {
      const guard = await harness.started();
      await harness.fail(guard);
      await harness.until('failed', () => harness.told('stop-failed').length === 1);
      harness.flags.change({ enabled: false });
      expect(guard.state).toMatchObject({ status: 'stopped', confirmedBy: 'definition' });
      const sent = unleash.requests.filter(off).length;
      for (let second = 0; second < 60; second++) {
        await vi.advanceTimersByTimeAsync(1_000);
        await new Promise(setImmediate);
      }
      expect(unleash.requests.filter(off)).toHaveLength(sent);
    } finally {
      vi.useRealTimers();
    }
  });

  it('finishes the stop of an earlier run although the history, and it alone, does not answer', async () => {
    const { unleash } = harness;
    unleash.failure = () => Response.json({}, { status: 401 });
    const first = await harness.started();
    await harness.fail(first);
    await harness.until('pending', () => harness.told('action-required').length === 1);
    await first.close();
    unleash.failure = (request) => (request.includes('/events/') ? down() : undefined);
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    try {
      const second = await harness.started();
      for (let turn = 0; turn < 60 && second.state.status !== 'stopped'; turn++) {
        await vi.advanceTimersByTimeAsync(1_000);
        await new Promise(setImmediate);
      }
      expect(second.state.status).toBe('stopped');
    } finally {
      vi.useRealTimers();
    }
  });
});
