import { describe, expect, it } from 'vitest';
import { concernsOneProcess, notRunning } from '../../../src/guard/health/checks.js';
import { type Conditions, reasonsOf, stepConditions } from '../../../src/guard/health/conditions.js';
import type { FleetProgress, HealthFacts } from '../../../src/guard/health/health-facts.js';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const observed: HealthFacts['observed'] = {
  unanswered: 0,
  expectedOutcomes: undefined,
  failedEvaluations: 0,
  evaluationError: undefined,
  unattributed: 0,
  hasObserved: true,
  unrecorded: 0,
};
const fine: HealthFacts = {
  flagKey: 'async-upload',
  lifecycle: 'running',
  startFailure: undefined,
  tickMs: SECOND,
  tickLateMs: 0,
  tickFailure: undefined,
  unevaluatedMs: undefined,
  outcomeTimeoutMs: MINUTE,
  fleet: undefined,
  source: { status: 'ok' },
  isFlagKnown: true,
  replacedBy: undefined,
  isWatching: true,
  admin: [],
  brokenTriggers: [],
  unreadableSignals: [],
  hasRuleData: true,
  outcomeAgeMs: 0,
  observed,
};
const connected: FleetProgress = {
  flushMs: SECOND,
  evaluateMs: 500,
  problem: undefined,
  isLeaderless: false,
  mayLead: true,
  observes: true,
  unreadMs: 500,
  undeliveredMs: 1_200,
};
const facts = (parts: Partial<HealthFacts>): HealthFacts => ({ ...fine, ...parts });
const seen = (parts: Partial<HealthFacts['observed']>) => ({ ...observed, ...parts });

/** The codes after the facts have lasted for so long, with a tick each second. */
function codesAfter(given: HealthFacts, durationMs: number, before: Conditions = new Map()): string[] {
  return reasonsOf(lasting(given, durationMs, before)).map(({ code }) => code);
}

function lasting(given: HealthFacts, durationMs: number, before: Conditions = new Map()): Conditions {
  let conditions = stepConditions(before, given, SECOND, 0);
  for (let ms = SECOND; ms <= durationMs; ms += SECOND) {
    conditions = stepConditions(conditions, given, SECOND, ms);
  }
  return conditions;
}

describe('the health checks', () => {
  it.each<[code: string, Partial<HealthFacts>, afterMs: number]>([
    ['event-loop-blocked', { tickLateMs: 6 * SECOND }, 0],
    ['evaluation-failed', { tickFailure: 'broken' }, 10 * SECOND],
    ['not-evaluated', { unevaluatedMs: 11 * SECOND }, 0],
    ['not-recorded', { observed: seen({ unrecorded: 20 }) }, 10 * SECOND],
    ['trigger-failed', { brokenTriggers: ['mine'] }, 10 * SECOND],
    ['leader-stuck', { fleet: { ...connected, unreadMs: 11 * SECOND } }, 0],
    ['not-delivered', { fleet: { ...connected, undeliveredMs: 31 * SECOND } }, 0],
    ['no-leader', { fleet: { ...connected, isLeaderless: true, mayLead: false } }, 10 * SECOND],
    ['fleet-unreachable', { fleet: { ...connected, problem: 'down', observes: false } }, 10 * SECOND],
    ['fleet-unreachable', { fleet: { ...connected, problem: 'down', mayLead: false } }, 10 * SECOND],
    ['provider-replaced', { replacedBy: 'other', source: { status: 'error' } }, 0],
    ['stale-flags', { source: { status: 'stale' } }, 10 * SECOND],
    ['stale-flags', { source: { status: 'error', message: '401' }, isWatching: false }, 10 * SECOND],
    ['flag-missing', { isFlagKnown: false, isWatching: false }, 30 * SECOND],
    ['admin-token', { admin: [{ code: 'ADMIN_TOKEN', message: 'deleted' }] }, 30 * SECOND],
    ['evaluations-failed', { observed: seen({ failedEvaluations: 20 }) }, 30 * SECOND],
    ['hook-missing', { observed: seen({ unattributed: 20 }) }, 30 * SECOND],
    ['no-outcomes', { observed: seen({ unanswered: 100 }) }, 10 * MINUTE],
    ['no-outcomes', { observed: seen({ unanswered: 60, expectedOutcomes: 30 }) }, MINUTE],
    ['no-rule-has-data', { hasRuleData: false }, 60 * MINUTE],
    ['signal-unreadable', { unreadableSignals: [{ trigger: 'p95', problem: 'down' }] }, 5 * MINUTE],
  ])('call it %s (%j) after %i ms, and not before', (code, parts, afterMs) => {
    if (afterMs > 0) expect(codesAfter(facts(parts), afterMs - SECOND)).toEqual([]);
    expect(codesAfter(facts(parts), afterMs)).toEqual([code]);
  });

  it.each<[string, Partial<HealthFacts>]>([
    ['no traffic', { outcomeAgeMs: undefined, hasRuleData: false }],
    ['a quiet night: the last outcome is hours old', { outcomeAgeMs: 5 * 60 * MINUTE, hasRuleData: false }],
    ['a flag that is off, or stopped', { isWatching: false, observed: seen({ unanswered: 500 }) }],
    [
      'users of a broken default while the flag is off',
      { isWatching: false, observed: seen({ failedEvaluations: 99 }) },
    ],
    ['few evaluations without an outcome', { observed: seen({ unanswered: 99 }) }],
    [
      'many evaluations of which few ever lead to an operation',
      { observed: seen({ unanswered: 5_000, expectedOutcomes: 20 }) },
    ],
    ['a loop that is busy for some seconds', { tickLateMs: 4 * SECOND }],
    ['a long tick interval', { tickMs: MINUTE, tickLateMs: 30 * SECOND, unevaluatedMs: 40 * SECOND }],
    ['a fleet at work', { fleet: connected }],
    [
      'a fleet without its store, where this process sees outcomes and may stop',
      { fleet: { ...connected, problem: 'down' } },
    ],
    ['a fleet whose only process has just lost its leader', { fleet: { ...connected, isLeaderless: true } }],
    ['a token that expires soon', { admin: [{ code: 'TOKEN_EXPIRES', message: 'in 7 days' }] }],
    ['rules on nothing but critical errors', { hasRuleData: undefined }],
  ])('do not call it blind: %s', (_what, parts) => {
    expect(codesAfter(facts(parts), 2 * 60 * MINUTE)).toEqual([]);
  });

  it('do not report the flag as missing when nothing has arrived at all', () => {
    const nothing = facts({ isFlagKnown: false, source: { status: 'error' } });
    expect(codesAfter(nothing, MINUTE)).toEqual(['stale-flags']);
  });

  it('report each code once', () => {
    const admin = [
      { code: 'FLAG_MISSING', message: 'archived' },
      { code: 'FLAG_MISSING', message: 'again' },
    ];
    expect(codesAfter(facts({ isFlagKnown: false, admin }), MINUTE)).toEqual(['flag-missing']);
  });
});

describe('stepConditions', () => {
  const stale = facts({ source: { status: 'stale' } });

  it('begins the wait again after a break', () => {
    const interrupted = lasting(fine, 0, lasting(stale, 9 * SECOND));
    expect(codesAfter(stale, 9 * SECOND, interrupted)).toEqual([]);
    expect(codesAfter(stale, 10 * SECOND, interrupted)).toEqual(['stale-flags']);
  });

  it('ends a reason only after half a minute without it', () => {
    const blind = lasting(stale, MINUTE);
    expect(codesAfter(fine, 28 * SECOND, blind)).toEqual(['stale-flags']);
    expect(codesAfter(fine, 30 * SECOND, blind)).toEqual([]);
    const again = lasting(stale, 0, lasting(fine, 28 * SECOND, blind));
    expect(codesAfter(fine, 28 * SECOND, again)).toEqual(['stale-flags']);
  });

  it('counts only the time in which the process ran', () => {
    const first = stepConditions(new Map(), stale, SECOND, 0);
    expect(reasonsOf(stepConditions(first, stale, 10 * MINUTE, 0))).toEqual([]);
    const blind = lasting(stale, MINUTE);
    expect(reasonsOf(stepConditions(blind, fine, 10 * MINUTE, 0))).toHaveLength(1);
  });

  it('keeps the time at which a reason began, as the source knows it, and has the latest message', () => {
    const since = 42;
    const before = lasting(facts({ source: { status: 'stale', since, message: 'first' } }), MINUTE);
    const after = lasting(facts({ source: { status: 'error', since: 99, message: 'second' } }), 0, before);
    expect(reasonsOf(after)).toEqual([
      { code: 'stale-flags', since: 42, message: expect.stringContaining('second') },
    ]);
  });
});

describe('notRunning', () => {
  it.each<[Partial<HealthFacts>, code: string | undefined, text: string]>([
    [{ lifecycle: 'new' }, 'not-started', 'guard.start()'],
    [{ lifecycle: 'failed', startFailure: 'wrong password' }, 'not-started', 'wrong password'],
    [{ lifecycle: 'closed' }, 'closed', 'no longer protects'],
  ])('explains %j', (parts, code, text) => {
    expect(notRunning(facts(parts))).toMatchObject({ code, message: expect.stringContaining(text) });
  });

  it('has nothing to explain while the guard runs', () => {
    expect(notRunning(fine)).toBeUndefined();
  });
});

describe('concernsOneProcess', () => {
  it.each([
    [['stale-flags'], [], false],
    [['admin-token-expired', 'flag-missing'], [], false],
    [[], ['event-loop-blocked'], true],
    [['stale-flags', 'hook-missing'], [], true],
  ])('of %j that began and %j that ended', (began, ended, expected) => {
    const event = { began, ended: ended.map((code) => ({ code })) };
    expect(concernsOneProcess(event)).toBe(expected);
  });
});
