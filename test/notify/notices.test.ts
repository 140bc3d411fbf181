import { describe, expect, it } from 'vitest';
import type { GuardEvent, GuardEventOf } from '../../src/model/event.js';
import type { StageStatus } from '../../src/model/stage.js';
import type { TokenLevel } from '../../src/model/state.js';
import { noticeOf } from '../../src/notify/notifications.js';
import { AT, decided, decision, notificationFor, stopFailed, subject } from './events.js';

const refused: GuardEvent = {
  type: 'stop-failed',
  at: AT,
  decisionId: 'd-1',
  failure: { code: 'ADMIN_PERMISSION', message: 'No.', requiresAction: true },
};

const expiring = (level: TokenLevel): GuardEvent & { type: 'token-expiring' } => ({
  type: 'token-expiring',
  at: AT,
  level,
  expiresAt: AT + 1,
  user: 'guard',
  candidates: 1,
  isRepeated: false,
});

const stage = (status: StageStatus, at = AT): GuardEvent => ({
  type: 'stage',
  at,
  epoch: 2,
  progress: {
    stage: { percentage: 10, minOutcomes: 500, minSuccessRate: 0.99 },
    index: 1,
    status,
    outcomes: 500,
    successRate: 0.99,
    elapsedMs: 1,
    message: 'Set the rollout to 50 % in Unleash to go on.',
  },
});

const review = (type: 'review-opened' | 'review-closed', at = AT): GuardEvent => ({
  type,
  at,
  epoch: 2,
  verdict: {
    trigger: 'latency-above',
    status: type === 'review-opened' ? 'breach' : 'ok',
    observed: 1.3,
    threshold: 1.2,
    unit: 'ratio',
    sampleSize: { treatment: 100, control: 100 },
    windowMs: 1,
    freshnessMs: 0,
    message: 'The p95 is too high.',
  },
});

const reason = (code: string) => ({ code, message: `Why ${code}.`, since: AT - 90_000 });

const blind = (codes: string[], began: string[], ended: string[] = []): GuardEvent => ({
  type: 'health',
  at: AT,
  status: codes.length > 0 ? 'blind' : 'ok',
  since: AT - 90_000,
  reasons: codes.map(reason),
  began,
  ended: ended.map(reason),
});

describe('the address in the dashboard', () => {
  const dashboardUrl = 'https://app.example.com/rollouts';

  it.each([
    ['a decision', decided(), '/decisions/d-1'],
    ['what becomes of a decision', stopFailed(), '/decisions/d-1'],
    ['the flag', stage('met'), ''],
  ])('is that of %s', (_, event, path) => {
    const found = noticeOf(event, { ...subject, dashboardUrl })?.notification.dashboardUrl;
    expect(found).toBe(`${dashboardUrl}/#/flags/async-upload${path}`);
  });

  it('is missing without the option', () => {
    expect(noticeOf(decided(), subject)?.notification.dashboardUrl).toBeUndefined();
  });
});

describe('noticeOf', () => {
  it('has no message when one of several reasons for blindness ends', () => {
    expect(noticeOf(blind(['stale-flags'], [], ['hook-missing']), subject)).toBeUndefined();
  });

  it.each(['flag-missing', 'admin-token', 'admin-permission'])(
    'does not repeat in a message about health what another event says: %s',
    (code) => {
      expect(noticeOf(blind([code], [code]), subject)).toBeUndefined();
      expect(noticeOf(blind(['stale-flags', code], [code]), subject)).toBeUndefined();
      expect(noticeOf(blind(['stale-flags'], [], [code]), subject)).toBeUndefined();
      expect(noticeOf(blind([], [], [code]), subject)).toBeUndefined();
      expect(
        noticeOf(blind([code, 'stale-flags'], [code, 'stale-flags']), subject)?.notification,
      ).toMatchObject({
        message: 'Why stale-flags.',
        facts: [{ name: 'stale-flags' }],
      });
    },
  );

  it.each<[string, GuardEvent, object]>([
    ['a decision', decided(), { severity: 'critical', title: 'async-upload is being turned off' }],
    [
      'a decision of a dry run',
      decided({ dryRun: true }),
      { severity: 'warning', title: 'async-upload would be turned off (dry run)' },
    ],
    ['an Unleash that does not answer', stopFailed(), { severity: 'warning' }],
    [
      'what an operator must do',
      { type: 'action-required', at: AT, decisionId: 'd-1', message: 'Turn it off by hand.' },
      {
        severity: 'critical',
        title: 'async-upload: action required to turn it off',
        message: 'Turn it off by hand.',
      },
    ],
    [
      'the end of a stop',
      { type: 'stopped', at: AT, decisionId: 'd-1', confirmedBy: 'read-back' },
      { severity: 'info', title: 'async-upload is off in Unleash' },
    ],
    [
      'a stage that is met',
      stage('met'),
      {
        severity: 'info',
        title: 'async-upload: the stage at 10 % is met',
        message: 'Set the rollout to 50 % in Unleash to go on.',
      },
    ],
    ['a stage that is missed', stage('missed'), { severity: 'warning' }],
    ['a stage that waits for an operator', stage('blocked'), { severity: 'warning' }],
    [
      'a review',
      review('review-opened'),
      {
        severity: 'warning',
        title: 'async-upload: review needed (latency-above)',
        message:
          'The p95 is too high. Nothing has been stopped. Check it; then acknowledge the review, or turn the flag off.',
      },
    ],
    [
      'the end of a review',
      review('review-closed'),
      {
        severity: 'info',
        title: 'async-upload: review closed (latency-above)',
        message: 'The p95 is too high.',
      },
    ],
    [
      'a decision to step back',
      decided({ action: 'step-back', toPercentage: 1 }),
      { severity: 'critical', title: 'async-upload is being taken back to 1 %' },
    ],
    [
      'the end of a step back',
      { type: 'stepped-back', at: AT, decisionId: 'd-1', from: 10, to: 1 },
      { severity: 'info', title: 'async-upload is back at 1 % in Unleash' },
    ],
    [
      'a guard that becomes blind',
      blind(['stale-flags', 'hook-missing'], ['hook-missing']),
      {
        severity: 'critical',
        title: 'async-upload: the guard is blind',
        message: 'Why stale-flags. Why hook-missing.',
        facts: [
          { name: 'stale-flags', value: 'for 90 s' },
          { name: 'hook-missing', value: 'for 90 s' },
        ],
      },
    ],
    [
      'a guard that sees again',
      blind([], [], ['stale-flags']),
      {
        severity: 'info',
        title: 'async-upload: the guard is no longer blind',
        message: 'Until now: stale-flags for 90 s.',
      },
    ],
    [
      'the end of blindness but for what another event said',
      blind(['flag-missing'], [], ['stale-flags']),
      {
        severity: 'info',
        title: 'async-upload: the guard is still blind',
        message: 'Until now: stale-flags for 90 s. Still: flag-missing.',
      },
    ],
    [
      'an advance',
      { type: 'advanced', at: AT, epoch: 3, from: 1, to: 10 },
      { severity: 'info', title: 'async-upload advanced to 10 %' },
    ],
    [
      'an admin API that cannot be used',
      { type: 'admin-unavailable', at: AT, code: 'ADMIN_TOKEN', message: 'Refused.' },
      { severity: 'critical', message: 'The flag is as it was; a stop would fail. Refused.' },
    ],
    ['an admin API that can be used again', { type: 'admin-available', at: AT }, { severity: 'info' }],
    [
      'a token that expires',
      expiring('1-day'),
      { severity: 'warning', title: "async-upload: the guard's admin token expires soon" },
    ],
    ['a token that has expired', expiring('expired'), { severity: 'critical' }],
    [
      'a flag that is missing',
      { type: 'flag-missing', at: AT, reason: 'moved', message: 'It is in "web".' },
      { severity: 'warning', message: 'The flag is in another project. It is in "web".' },
    ],
    ['a flag that is there again', { type: 'flag-found', at: AT }, { severity: 'info' }],
    [
      'an operator who turned the flag off',
      { type: 'toggled', at: AT, change: 'off', by: 'ann' },
      { severity: 'info', title: 'async-upload was turned off in Unleash' },
    ],
    [
      'an operator who turned the flag on again, whose name is not known',
      { type: 'toggled', at: AT, change: 'on', rolloutPercentage: 10 },
      {
        title: 'async-upload was turned on in Unleash',
        message:
          'An operator turned the flag on in Unleash, at 10 %. A new rollout begins, with empty windows.',
      },
    ],
    [
      'a decision in place of which another one applies',
      { type: 'superseded', at: AT, decisionId: 'd-1', replacedBy: 'd-2' },
      {
        severity: 'info',
        decisionId: 'd-1',
        message: expect.stringMatching(/^Another decision applies in its place\./),
        incident: { key: notificationFor(decided()).incident!.key, status: 'resolved' },
      },
    ],
    [
      'a decision that the fleet refused',
      { type: 'superseded', at: AT, decisionId: 'd-1' },
      {
        severity: 'info',
        message: expect.stringMatching(/^It came too late/),
        incident: { status: 'resolved' },
      },
    ],
    [
      'a guard that is armed again',
      { type: 're-armed', at: AT, epoch: 3, decisionId: 'd-1' },
      {
        severity: 'info',
        decisionId: 'd-1',
        message: expect.stringMatching(/^An operator turned the flag on again\./),
      },
    ],
    [
      'a guard that is armed at a lower percentage',
      { type: 're-armed', at: AT, epoch: 3, decisionId: 'd-1', steppedBack: true },
      { severity: 'info', message: expect.stringMatching(/^The step back has arrived\./) },
    ],
  ])('notifies operators of %s', (_, event, expected) => {
    const { notification } = noticeOf(event, subject)!;
    expect(notification).toMatchObject({ ...subject, ...expected, type: event.type });
    expect(notification.time).toBe('2026-03-01T12:00:00.000Z');
    expect(notification.incident?.status === 'open').toBe(notification.severity === 'critical');
  });

  it.each<[string, GuardEvent]>([
    ['an expiry that an earlier run has notified of', { ...expiring('1-day'), isRepeated: true }],
    ['the start', { type: 'started', at: AT, epoch: 1, status: 'armed' }],
    [
      'a change of the rollout in Unleash',
      { type: 'rollout-changed', at: AT, epoch: 1, enabled: true, rolloutPercentage: 10 },
    ],
    ['a stage that has only begun', stage('collecting')],
    ['a complaint', { type: 'complaint', at: AT, epoch: 1, arm: 'control', attributes: undefined }],
    ['the stop in one process', { type: 'stopped-here', at: AT, decisionId: 'd-1' }],
    ['a refusal, which action-required reports', refused],
    [
      'who turned the flag off in a stop by the guard',
      { type: 'toggled', at: AT, change: 'off', by: 'ada', changedAt: AT, decisionId: 'd-1' },
    ],
    ['a fault beside the stop', { type: 'fault', at: AT, what: 'a listener', message: 'x' }],
    ['the close', { type: 'closed', at: AT }],
  ])('sends no notification of %s', (_, event) => {
    expect(noticeOf(event, subject)).toBeUndefined();
  });

  it('shows no length of what has just begun', () => {
    const blind = (since: number) => {
      const reasons = [{ code: 'event-loop-blocked', message: 'It was frozen for 80 s.', since }];
      const event = {
        type: 'health',
        at: AT,
        status: 'blind',
        since,
        reasons,
        began: ['event-loop-blocked'],
        ended: [],
      } as const;
      return noticeOf(event, subject)!.notification.facts;
    };
    expect(blind(AT)).toEqual([]);
    expect(blind(AT - 30_000)).toEqual([{ name: 'event-loop-blocked', value: 'for 30 s' }]);
  });

  it('carries the evidence of a decision', () => {
    const { notification } = noticeOf(decided(), subject)!;
    expect(notification.decision).toEqual(decision());
    expect(notification.message).toBe(decision().reason);
  });

  it('says in plain words why, and beside it by how much and how sure the test is', () => {
    const { verdict } = review('review-opened') as GuardEventOf<'review-opened'>;
    const message =
      'The treatment fails 15 %: worse by 13.8 points; the evidence E is 132, the limit is 71.4.';
    const figures = { e: 132, threshold: 71.4, alpha: 0.035, basis: 'units', events: 9 };
    const breach = {
      ...verdict,
      message,
      unit: 'fraction',
      observed: 0.138,
      threshold: 0.02,
      evidence: figures,
    };
    const given = {
      verdicts: [breach as never],
      reason: `${message} 9 of 9 failing users fail with TypeError.`,
    };
    const { notification } = noticeOf(decided(given), subject)!;
    expect(notification.message).toBe(
      'The treatment fails 15 %: worse by 13.8 points. 9 of 9 failing users fail with TypeError.',
    );
    expect(notification.facts.at(-1)?.value).toBe(
      '13.8 points (threshold 2 points); at most 3.5 % of healthy rollouts ever get here',
    );
  });

  it.each([
    ['fraction', 0.942, 0.95, 'uploads-healthy: 94.2 % (threshold 95 %)'],
    ['fraction', 0.94996, 0.95, 'uploads-healthy: 94.996 % (threshold 95 %)'],
    ['ratio', 2.1, 1.5, 'uploads-healthy: 2.1× (threshold 1.5×)'],
    ['ratio', 1.20004, 1.2, 'uploads-healthy: 1.20004× (threshold 1.2×)'],
    ['count', 3, 1, 'uploads-healthy: 3 (threshold 1)'],
    ['ms', 12_440, 5_000, 'uploads-healthy: 12.4 s (threshold 5000 ms)'],
    ['bytes', 2 ** 28, 2 ** 27, 'uploads-healthy: 256.0 MiB (threshold 128.0 MiB)'],
    ['none', 1_234.5, 900, 'uploads-healthy: 1235 (threshold 900)'],
  ] as const)('shows a %s of %d in its unit', (unit, observed, threshold, expected) => {
    const { verdict } = review('review-opened') as GuardEventOf<'review-opened'>;
    const breach = { ...verdict, trigger: 'uploads-healthy', unit, observed, threshold };
    const { facts } = noticeOf(decided({ verdicts: [breach] }), subject)!.notification;
    expect(facts.map(({ name, value }) => `${name}: ${value}`)).toEqual(['Rollout: 10 %', expected]);
  });

  it('treats the same status of a stage as a repetition, and every review as new', () => {
    const key = (event: GuardEvent) => noticeOf(event, subject)!.key;
    expect(key(stage('met', AT + 1))).toBe(key(stage('met')));
    expect(noticeOf(stage('met'), subject)!.repeats).toBe(true);
    expect(key(stage('missed'))).not.toBe(key(stage('met')));
    expect(key(review('review-opened', AT + 1))).not.toBe(key(review('review-opened')));
  });

  it('gives different events different identifiers, and one event always the same', () => {
    const id = (event: GuardEvent) => noticeOf(event, subject)!.notification.id;
    expect(id(decided())).toBe(id(decided()));
    expect(id(decided())).not.toBe(id(decided({ id: 'd-2' })));
    expect(id(stopFailed(AT))).not.toBe(id(stopFailed(AT + 1)));
  });

  it('makes identifiers that a header can carry and that have no full stop', () => {
    const given = { ...subject, flagKey: 'upload.v2 für alle' };
    expect(noticeOf(decided(), given)!.notification.id).toMatch(
      /^upload%2Ev2%20f%C3%BCr%20alle:decided:d-1:\d+$/,
    );
  });
});
