import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { AuditLog } from '../../src/journal/audit-log.js';
import { type AuditProblem, parseAuditLine, readAuditLog } from '../../src/journal/audit-reader.js';
import type { GuardEvent } from '../../src/model/event.js';
import type { Decision, Verdict } from '../../src/model/shapes.js';

const verdict: Verdict = {
  trigger: 'success-rate-below',
  status: 'breach',
  observed: 0.9,
  threshold: 0.95,
  unit: 'fraction',
  sampleSize: { treatment: 100, control: 900 },
  windowMs: 300_000,
  freshnessMs: 12,
  message: 'too low',
};
const counts = {
  successes: 90,
  failures: 10,
  expected: 1,
  aborted: 2,
  critical: 0,
  fallbacks: 3,
  retried: 4,
  complaints: 5,
};
const decision: Decision = {
  id: 'a',
  flagKey: 'async-upload',
  action: 'stop',
  dryRun: false,
  at: 5,
  epoch: 2,
  rolloutPercentage: 10,
  verdicts: [verdict],
  counts: { treatment: counts, control: counts },
  reason: 'too low',
};
const failure = { code: 'ADMIN_UNAVAILABLE', message: 'down', requiresAction: false };
const progress = {
  stage: { percentage: 10, minOutcomes: 500, minSuccessRate: 0.99 },
  index: 1,
  status: 'met',
  outcomes: 500,
  successRate: 0.992,
  elapsedMs: 9,
  message: 'go on',
} as const;

/** One of each: a new kind of event does not compile until it is here. */
const EVENTS: { readonly [Type in GuardEvent['type']]: GuardEvent & { readonly type: Type } } = {
  started: { type: 'started', at: 1, epoch: 1, status: 'armed' },
  'rollout-changed': { type: 'rollout-changed', at: 1, epoch: 1, enabled: true, rolloutPercentage: 1 },
  decided: { type: 'decided', at: 5, decision, by: 'fleet' },
  'fleet-connection': { type: 'fleet-connection', at: 5, problem: 'Redis does not answer.' },
  'stopped-here': { type: 'stopped-here', at: 5, decisionId: 'a' },
  'stop-failed': { type: 'stop-failed', at: 6, decisionId: 'a', failure },
  'action-required': { type: 'action-required', at: 6, decisionId: 'a', message: 'do it' },
  stopped: { type: 'stopped', at: 7, decisionId: 'a', confirmedBy: 'read-back' },
  'stepped-back': { type: 'stepped-back', at: 7, decisionId: 'a', from: 50, to: 10 },
  'admin-unavailable': { type: 'admin-unavailable', at: 8, code: 'ADMIN_TOKEN', message: 'refused' },
  'admin-available': { type: 'admin-available', at: 8 },
  'token-expiring': {
    type: 'token-expiring',
    at: 8,
    level: '7-days',
    expiresAt: 9,
    user: 'guard',
    candidates: 1,
    isRepeated: false,
  },
  'flag-missing': { type: 'flag-missing', at: 8, reason: 'archived', message: 'revive it' },
  'flag-found': { type: 'flag-found', at: 8 },
  toggled: {
    type: 'toggled',
    at: 8,
    change: 'off',
    by: 'ann',
    changedAt: 7,
    rolloutPercentage: 10,
    decisionId: 'a',
  },
  're-armed': { type: 're-armed', at: 9, epoch: 3, decisionId: 'a' },
  stage: { type: 'stage', at: 9, epoch: 3, progress },
  advanced: { type: 'advanced', at: 9, epoch: 3, from: 1, to: 10 },
  'advance-waiting': { type: 'advance-waiting', at: 9, epoch: 3, from: 1, to: 10, reason: 'held' },
  'stage-overdue': {
    type: 'stage-overdue',
    at: 9,
    epoch: 3,
    progress: { ...progress, status: 'collecting' },
  },
  completed: { type: 'completed', at: 9, epoch: 3, percentage: 100 },
  control: { type: 'control', at: 9, control: { type: 'hold', by: 'ada', reason: 'incident' } },
  alert: {
    type: 'alert',
    at: 9,
    alert: {
      type: 'alert',
      by: 'Alertmanager',
      trigger: 'alert:QueueIsFull',
      fingerprint: 'Alertmanager:1f',
      isFiring: true,
      since: 8,
      action: 'review',
      reason: 'QueueIsFull: nothing moves',
    },
  },
  'mute-expired': { type: 'mute-expired', at: 9, trigger: 'latency-above' },
  'review-opened': { type: 'review-opened', at: 9, epoch: 3, verdict },
  'review-closed': { type: 'review-closed', at: 9, epoch: 3, verdict: { ...verdict, status: 'ok' } },
  complaint: { type: 'complaint', at: 9, epoch: 3, arm: 'treatment', attributes: { subject: 'slow' } },
  health: {
    type: 'health',
    at: 9,
    status: 'blind',
    since: 9,
    reasons: [{ code: 'stale-flags', message: 'old', since: 8 }],
    began: ['stale-flags'],
    ended: [{ code: 'flag-missing', message: 'gone', since: 7 }],
  },
  fault: { type: 'fault', at: 9, what: 'a listener', message: 'threw' },
  recovered: { type: 'recovered', at: 10, what: 'a listener', faults: 3 },
  'folder-changed': { type: 'folder-changed', at: 10, folder: 'logs/a/guard-2', reason: 'in use' },
  superseded: { type: 'superseded', at: 10, decisionId: 'a', replacedBy: 'b' },
  'stop-taken-over': { type: 'stop-taken-over', at: 10, decisionId: 'a', folder: 'logs/a/guard-2' },
  closed: { type: 'closed', at: 10 },
};

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'audit-'));
});

afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

async function read(): Promise<{ events: GuardEvent[]; problems: AuditProblem[] }> {
  const events: GuardEvent[] = [];
  const problems: AuditProblem[] = [];
  const path = join(folder, 'audit.jsonl');
  for await (const event of readAuditLog(path, (problem) => problems.push(problem))) events.push(event);
  return { events, problems };
}

describe('readAuditLog', () => {
  it('gives back every kind of event as the audit log wrote it', async () => {
    const log = new AuditLog(folder, 'async-upload', {
      onFault: (error) => {
        throw error;
      },
    });
    for (const event of Object.values(EVENTS)) log.append(event);
    await log.flushed();
    const { events, problems } = await read();
    expect(problems).toEqual([]);
    expect(events).toEqual(Object.values(EVENTS).map((event) => ({ flagKey: 'async-upload', ...event })));
  });

  it('reads no event without a file', async () => {
    expect(await read()).toEqual({ events: [], problems: [] });
  });

  it('leaves out and reports a line that is not an event, and continues', async () => {
    const good = JSON.stringify(EVENTS.closed);
    const lines = [
      '{"type":"finis',
      good,
      'null',
      '[]',
      '{"type":"other","at":1}',
      '',
      `${good.slice(0, -4)}`,
    ];
    await writeFile(join(folder, 'audit.jsonl'), lines.join('\n'));
    const { events, problems } = await read();
    expect(events).toEqual([EVENTS.closed]);
    expect(problems.map(({ line }) => line)).toEqual([1, 3, 4, 5, 7]);
  });
});

describe('parseAuditLine', () => {
  it.each([
    [
      'a decision without verdicts',
      { type: 'decided', at: 1, decision: { ...decision, verdicts: undefined } },
    ],
    ['a time that is text', { ...EVENTS.started, at: 'now' }],
    ['another status', { ...EVENTS.started, status: 'asleep' }],
    ['an unknown kind', { type: 'danced', at: 1 }],
  ])('says what is wrong with %s', (_what, value) => {
    expect(parseAuditLine(JSON.stringify(value))).toEqual(expect.any(String));
  });
});
