import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { RolloutGuard } from '../../src/guard/rollout-guard.js';
import { GuardHarness } from '../helpers/guard-harness.js';

const MINUTE = 60_000;
const START = Date.UTC(2026, 2, 2);

let harness: GuardHarness;
let now: number;
const clock = { now: () => now, monotonic: () => now };
const reads = () =>
  harness.unleash.requests.filter((request) => request.endsWith('/features/async-upload')).length;
const missing = () => harness.reported('flag-missing').map(({ reason }) => reason);
const codes = (guard: RolloutGuard) => guard.status().problems.map(({ code }) => code);

beforeEach(async () => {
  harness = await GuardHarness.create();
  now = START;
});

afterEach(async () => {
  await harness.close();
});

async function pass(ms: number, step = 30_000): Promise<void> {
  for (const end = now + ms; now < end; ) {
    now = Math.min(end, now + step);
    await harness.ticks(3);
  }
}

/** Unleash has the flag no longer; the last event of its history says why. */
function remove(type: string, project = 'default', message = 'no such feature'): void {
  harness.unleash.history.push({
    id: 90 + harness.unleash.history.length,
    type,
    environment: null as unknown as string,
    createdBy: 'ann',
    createdAt: new Date(now).toISOString(),
    project,
  });
  harness.unleash.failure = (request) =>
    request.includes('/features/')
      ? Response.json({ name: 'NotFoundError', message }, { status: 404 })
      : undefined;
}

describe('a flag that is missing', () => {
  it('is reported at the start when it was never there, and when it appears', async () => {
    harness.flags.facts = undefined;
    harness.unleash.failure = (request) =>
      request.includes('/features/')
        ? Response.json({ name: 'NotFoundError', message: 'no such feature' }, { status: 404 })
        : undefined;
    const guard = await harness.started({ clock, tickMs: 5 });
    await harness.until('reported', () => missing().length === 1);
    expect(missing()).toEqual(['not-found']);
    expect(guard.status().problems).toMatchObject([{ code: 'FLAG_MISSING', since: START }]);
    expect(guard.status().problems[0]?.message).toContain('Correct the key or the project');
    await pass(10 * MINUTE);
    expect(missing()).toHaveLength(1);
    harness.unleash.failure = undefined;
    harness.flags.facts = { ...FACTS };
    await harness.until('found', () => harness.reported('flag-found').length === 1);
    expect(codes(guard)).toEqual([]);
  });

  it.each([
    ['archived', 'feature-archived'],
    ['deleted', 'feature-deleted'],
  ])('is reported when it was %s, once, and when it is back', async (reason, type) => {
    const guard = await harness.started({ clock, tickMs: 5 });
    await harness.until('checked', () => reads() === 1);
    remove(type);
    harness.flags.facts = undefined;
    await harness.until('reported', () => missing().length === 1);
    expect(missing()).toEqual([reason]);
    // What an operator has removed was not misspelled.
    const { message } = harness.reported('flag-missing')[0]!;
    expect(message).toMatch(
      /^All users get the control\. To roll it out further, .+ in Unleash; otherwise remove/,
    );
    await pass(10 * MINUTE);
    expect(missing()).toHaveLength(1);
    harness.unleash.failure = undefined;
    await pass(10 * MINUTE);
    expect(codes(guard)).toEqual(['FLAG_MISSING']);
    harness.flags.facts = { ...FACTS };
    await harness.until('found', () => harness.reported('flag-found').length === 1);
    expect(codes(guard)).toEqual([]);
    remove(type);
    harness.flags.facts = undefined;
    await harness.until('reported again', () => missing().length === 2);
  });

  it.each([
    ['archived', 'feature-archived', false],
    ['deleted, and the guard restarted', 'feature-deleted', true],
  ])('ends the incident of its stop when it was %s', async (_, type, isRestarted) => {
    const options = { clock, tickMs: 5, notify: harness.notify };
    const first = await harness.started(options);
    await harness.fail(first);
    await harness.until('stopped', () => harness.reported('stopped').length === 1);
    if (isRestarted) await first.close();
    remove(type);
    harness.flags.facts = undefined;
    if (isRestarted) await harness.started(options);
    await harness.until('reported', () => harness.notified.at(-1)?.type === 'flag-missing');
    const incidents = harness.notified.flatMap(({ incident }) => incident ?? []);
    expect(incidents.map(({ status }) => status)).toEqual(['open', 'resolved']);
    expect(new Set(incidents.map(({ key }) => key)).size).toBe(1);
    expect(harness.notified.at(-1)?.message).toMatch(/The stop that was in force here is over with it\.$/);
  });

  it('is reported when it was moved, although the token of the service still sees it', async () => {
    await harness.started({ clock, tickMs: 5 });
    await harness.until('checked', () => reads() === 1);
    remove('feature-project-change', 'web', 'but there\'s a feature with that name in project "web"');
    harness.flags.facts = { ...FACTS, project: 'web' };
    await harness.until('reported', () => missing().length === 1);
    expect(missing()).toEqual(['moved']);
    expect(harness.reported('flag-missing')[0]?.message).toContain('"web"');
  });

  it('is found hourly, when the definitions have not changed', async () => {
    await harness.started({ clock, tickMs: 5 });
    await harness.until('checked', () => reads() === 1);
    await harness.ticks(5);
    remove('feature-archived');
    await pass(61 * MINUTE, 5 * MINUTE);
    await harness.until('reported', () => missing().length === 1);
    expect(missing()).toEqual(['archived']);
    // With pauses of five minutes at most from then on.
    const before = reads();
    await pass(60 * MINUTE, MINUTE);
    expect(reads() - before).toBeLessThan(20);
  });

  it('is reported when Unleash has it and does not send it, after the time that a new flag needs', async () => {
    harness.flags.facts = undefined;
    await harness.started({ clock, tickMs: 5 });
    await pass(50_000, 10_000);
    expect(missing()).toEqual([]);
    await pass(20_000, 10_000);
    expect(missing()).toEqual(['not-received']);
  });

  it('is not concluded from an Unleash that does not answer', async () => {
    harness.flags.facts = undefined;
    harness.unleash.failure = () => new Response('', { status: 503 });
    await harness.started({ clock, tickMs: 5 });
    await pass(10 * MINUTE);
    expect(missing()).toEqual([]);
  });
});

const FACTS = {
  key: 'async-upload',
  enabled: true,
  rolloutPercentage: 10,
  strategy: 'flexibleRollout',
  project: 'default',
  type: 'release',
  revision: 'on 10',
};
