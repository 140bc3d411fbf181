import type { GuardEvent } from '../../src/model/event.js';
import type { Decision } from '../../src/model/shapes.js';
import { noticeOf } from '../../src/notify/notifications.js';
import type { GuardNotification, NotificationSubject } from '../../src/notify/notifier.js';
import { armCounts } from '../triggers/snapshots.js';

export const AT = Date.UTC(2026, 2, 1, 12);

export const subject: NotificationSubject = {
  flagKey: 'async-upload',
  project: 'default',
  environment: 'production',
  flagUrl: 'https://unleash.example.com/projects/default/features/async-upload',
};

const counts = armCounts({ successes: 90, failures: 10, fallbacks: 10 });

export const decision = (overrides: Partial<Decision> = {}): Decision => ({
  id: 'd-1',
  flagKey: 'async-upload',
  action: 'stop',
  dryRun: false,
  at: AT,
  epoch: 2,
  rolloutPercentage: 10,
  verdicts: [],
  counts: { treatment: counts, control: counts },
  reason: 'The success rate is 90 %, below 95 % (90 of 100).',
  ...overrides,
});

export const decided = (overrides: Partial<Decision> = {}): GuardEvent => ({
  type: 'decided',
  at: AT,
  decision: decision(overrides),
});

export const stopFailed = (at = AT): GuardEvent => ({
  type: 'stop-failed',
  at,
  decisionId: 'd-1',
  failure: { code: 'ADMIN_UNAVAILABLE', message: 'Unleash does not answer.', requiresAction: false },
});

export const notificationFor = (event: GuardEvent): GuardNotification =>
  noticeOf(event, subject)!.notification;
