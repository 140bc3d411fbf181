import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parseRules } from '../../../src/guard/options/rules.js';
import { metric } from '../../../src/triggers/metrics/metric.js';
import { successRateBelow } from '../../../src/triggers/success-rate-below.js';
import { replayLog } from '../../../src/what-if/replay/replay-log.js';
import { GuardHarness } from '../../helpers/guard-harness.js';

const RULES = parseRules(
  {
    rollback: [
      metric('checkout', { kind: 'conversion', direction: 'higher-is-better', withinMs: 50 }),
      successRateBelow(0.5),
    ],
    review: [],
    stages: [],
  },
  'rules',
);
const USERS = 400;

let harness: GuardHarness;
let place: string;

beforeEach(async () => {
  harness = await GuardHarness.create();
  place = await mkdtemp(join(tmpdir(), 'tracked-events-'));
});
afterEach(async () => {
  await harness.close();
  await rm(place, { recursive: true, force: true });
});

/** A guard that knows of no metric, and whose log hides its users. @returns when each user was served. */
async function logged(): Promise<Map<string, number>> {
  let now = Date.now();
  // All users are served within 10 ms, however long a busy machine takes.
  const clock = { now: () => now, monotonic: () => performance.now() };
  const guard = await harness.started({ tickMs: 20, clock });
  const times = new Map<string, number>();
  for (let user = 0; user < USERS; user++) {
    if (user % 40 === 0) now++;
    const flagMetadata = { chance: 0.5, contextId: `user-${user}` };
    guard.exposed({ value: user % 2 === 0, reason: 'SPLIT', flagMetadata }, `user-${user}`);
    guard.track('async-upload', { targetingKey: `user-${user}` }, { success: true });
    times.set(`user-${user}`, now);
  }
  // Time goes on after the last user.
  for (let tick = 0; tick < 10; tick++) {
    now += 20;
    await harness.ticks(1);
  }
  guard.exposed({ value: false, reason: 'SPLIT', flagMetadata: { chance: 0.5, contextId: 'late' } }, 'late');
  guard.track('async-upload', { targetingKey: 'late' }, { success: true });
  await guard.close();
  expect(await readFile(join(harness.folder, 'metrics.jsonl'), 'utf8')).not.toContain('user-1');
  return times;
}

const replay = async (lines: readonly string[]) => {
  const events = join(place, 'events.jsonl');
  await writeFile(events, lines.join('\n'));
  return replayLog(harness.folder, { rules: RULES, events, tickMs: 10 });
};

describe('replaying tracked events', () => {
  it('stops a rollout whose treatment loses conversions, by the users of a log that hides them', async () => {
    const times = await logged();
    const event = (user: string, timestamp: number | string) =>
      JSON.stringify({ timestamp, event: 'checkout', user });
    const all = [...times].map(([user, at]) => event(user, at + 1));
    const ofControl = [...times]
      .filter(([user]) => Number(user.slice(5)) % 2 === 1)
      .map(([user, at]) => event(user, new Date(at + 1).toISOString()));
    const healthy = await replay(all);
    expect(healthy).toMatchObject({ trackedEvents: USERS, leftOut: 0, firings: { total: 0 } });
    const harmful = await replay(ofControl);
    expect(harmful).toMatchObject({
      trackedEvents: USERS / 2,
      firings: { list: [{ trigger: 'checkout', verdict: { status: 'breach' } }] },
    });
    expect(harmful.decisions.list[0]?.decision.reason).toMatch(/treatment's units have checkout within/);
  });

  it('evaluates nothing of what was tracked after the flag went off, before the next outcome', async () => {
    const times = await logged();
    const last = Math.max(...times.values());
    const event = (timestamp: number, name: string, user: string) =>
      JSON.stringify({ timestamp, event: name, user });
    const ofControl = [...times]
      .filter(([user]) => Number(user.slice(5)) % 2 === 1)
      .map(([user]) => event(last + 1, 'checkout', user));
    const lines = [...ofControl, event(last + 150, 'another', 'user-1')];
    expect((await replay(lines)).firings.total).toBe(1);
    const off = { type: 'rollout-changed', at: last + 2, epoch: 2, enabled: false };
    const time = new Date(off.at).toISOString();
    const audit = join(harness.folder, 'audit.jsonl');
    const before = (await readFile(audit, 'utf8')).split('\n').filter((line) => !line.includes('"closed"'));
    const line = JSON.stringify({ time, flagKey: 'async-upload', pid: 1, ...off });
    await writeFile(audit, [...before.filter(Boolean), line, ''].join('\n'));
    const found = await replay(lines);
    expect(found).toMatchObject({ trackedEvents: lines.length, firings: { total: 0 } });
  });

  it('has no data without them, and leaves out lines that are none, with what was expected', async () => {
    await logged();
    expect((await replayLog(harness.folder, { rules: RULES })).silentTriggers).toContain('checkout');
    const found = await replay([
      'no JSON',
      '{"timestamp":"yesterday","event":"checkout","user":"user-1"}',
      '{"timestamp":1,"event":"checkout"}',
      '{"timestamp":1,"event":"another","user":"user-1","value":3}',
    ]);
    expect(found).toMatchObject({ trackedEvents: 1, leftOut: 3 });
    expect(found.problems[0]).toMatchObject({
      line: 1,
      reason: expect.stringMatching(/a tracked event has \{ "timestamp"/),
    });
  });

  it('uses an event that comes late, and says so', async () => {
    const times = await logged();
    const [first, last] = [Math.min(...times.values()), Math.max(...times.values())];
    const event = (timestamp: number) => JSON.stringify({ timestamp, event: 'checkout', user: 'user-1' });
    const found = await replay([event(last), event(first)]);
    expect(found).toMatchObject({ trackedEvents: 2, leftOut: 0 });
    expect(found.problems).toMatchObject([
      { line: 2, reason: 'its time is before that of a line above', used: true },
    ]);
  });

  it('refuses a salt that was cut off: no event would be of a user in the log', async () => {
    await logged();
    const salt = join(harness.folder, 'salt');
    await writeFile(salt, (await readFile(salt, 'utf8')).slice(0, 20));
    await expect(replay([])).rejects.toThrow(`${salt}: not what a guard writes`);
  });

  it('refuses a file that is not there', async () => {
    await logged();
    await expect(replayLog(harness.folder, { rules: RULES, events: join(place, 'none') })).rejects.toThrow(
      'ENOENT',
    );
  });
});
