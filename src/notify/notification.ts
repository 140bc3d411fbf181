import type { GuardEvent } from '../model/event.js';
import type { Decision } from '../model/shapes.js';

/** How urgent: `critical` needs a person now, `warning` needs a look, `info` is good to know. */
export type NotificationSeverity = 'critical' | 'warning' | 'info';

/** Which rollout a notification is about. */
export interface NotificationSubject {
  readonly flagKey: string;
  readonly project: string;
  readonly environment: string;
  /** The flag's page in Unleash. */
  readonly flagUrl: string;
}

/** One thing that a person should know: plain data, ready to be sent as JSON. */
export interface GuardNotification extends NotificationSubject {
  /** The same for every attempt to deliver this notification, so that a receiver can drop repetitions. */
  readonly id: string;
  readonly type: GuardEvent['type'];
  readonly severity: NotificationSeverity;
  /** A few words, for example `async-upload is being turned off`. */
  readonly title: string;
  /** One or a few sentences: what happened, and what to do. */
  readonly message: string;
  /** When it happened, ISO 8601. */
  readonly time: string;
  /** The evidence, for `decided`. */
  readonly decision: Decision | undefined;
}

/** A notification, and what decides whether it is a repetition. */
export interface Notice {
  /** Notices of the same key say the same. */
  readonly key: string;
  /** Whether the same is worth saying again after a while. */
  readonly repeats: boolean;
  readonly notification: GuardNotification;
}

/**
 * What a person is told of an event; undefined when it is not worth a message. Pure: the whole policy, and all the
 * words, of notifications.
 */
export function noticeOf(event: GuardEvent, subject: NotificationSubject): Notice | undefined {
  const notice = (
    key: string,
    words: Pick<GuardNotification, 'severity' | 'title' | 'message'> & { decision?: Decision },
    repeats = false,
  ): Notice => ({
    key: `${event.type}:${key}`,
    repeats,
    notification: {
      id: `${subject.flagKey}:${event.type}:${key}:${event.at}`,
      type: event.type,
      severity: words.severity,
      title: words.title,
      message: words.message,
      flagKey: subject.flagKey,
      project: subject.project,
      environment: subject.environment,
      flagUrl: subject.flagUrl,
      time: new Date(event.at).toISOString(),
      decision: words.decision,
    },
  });
  const { flagKey } = subject;

  const stageNotice = ({ epoch, progress }: GuardEvent & { type: 'stage' }): Notice | undefined => {
    const { status, stage, message } = progress;
    if (status === 'collecting') return undefined;
    const severity = status === 'met' ? 'info' : 'warning';
    const title = `${flagKey}: the stage at ${stage.percentage} % is ${status}`;
    // A rate that swings around its threshold meets and misses a stage again and again.
    return notice(`${epoch} ${stage.percentage} ${status}`, { severity, title, message }, true);
  };

  switch (event.type) {
    case 'decided': {
      const { decision } = event;
      const what =
        decision.action === 'step-back' ? `taken back to ${decision.toPercentage} %` : 'turned off';
      const words = decision.dryRun
        ? { severity: 'warning' as const, title: `${flagKey} would be ${what} (dry run)` }
        : { severity: 'critical' as const, title: `${flagKey} is being ${what}` };
      return notice(decision.id, { ...words, message: decision.reason, decision });
    }
    case 'stop-failed':
      // What only a person can finish is told as `action-required`.
      if (event.failure.requiresAction) return undefined;
      return notice(
        event.decisionId,
        {
          severity: 'warning',
          title: `${flagKey} is not off in Unleash yet`,
          message: `The service that decided already answers "off", and keeps trying to reach the rest through Unleash. ${event.failure.message}`,
        },
        true,
      );
    case 'action-required':
      return notice(event.decisionId, {
        severity: 'critical',
        title: `${flagKey}: only a person can turn it off`,
        message: event.message,
      });
    case 'stopped':
      return notice(event.decisionId, {
        severity: 'info',
        title: `${flagKey} is off in Unleash`,
        message: 'The flag is off for everybody. Turning it on again in Unleash starts the watch anew.',
      });
    case 'stepped-back':
      return notice(event.decisionId, {
        severity: 'info',
        title: `${flagKey} is back at ${event.to} % in Unleash`,
        message: `The stage at ${event.from} % was left. Only a person goes there again.`,
      });
    case 're-armed':
      return notice(String(event.epoch), {
        severity: 'info',
        title: `${flagKey} is on again`,
        message:
          'A person turned the flag on, or a step back has arrived: the guard watches anew, with empty windows.',
      });
    case 'advanced':
      return notice(`${event.epoch} ${event.to}`, {
        severity: 'info',
        title: `${flagKey} goes on to ${event.to} %`,
        message: `The stage at ${event.from} % is met: the guard moved the percentage in Unleash.`,
      });
    case 'stage':
      return stageNotice(event);
    case 'review-opened':
      return notice(`${event.verdict.trigger} ${event.at}`, {
        severity: 'warning',
        title: `${flagKey}: a person should look (${event.verdict.trigger})`,
        message: `${event.verdict.message} Nothing has been stopped.`,
      });
    case 'review-closed':
      return notice(`${event.verdict.trigger} ${event.at}`, {
        severity: 'info',
        title: `${flagKey}: the reason to look is gone (${event.verdict.trigger})`,
        message: event.verdict.message,
      });
    default:
      return undefined;
  }
}
