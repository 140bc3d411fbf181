import { z } from 'zod';
import type { GuardEvent } from '../model/event.js';
import type { NotificationFact, NotificationSeverity } from '../model/event-entry.js';
import type { Decision } from '../model/shapes.js';
import { recognizeCopies } from '../support/data/kind.js';

/** Which rollout a notification is about. */
export interface NotificationSubject {
  /** The flag, as it is named in Unleash. */
  readonly flagKey: string;
  /** Its project in Unleash. */
  readonly project: string;
  /** The Unleash environment, for example `production`. */
  readonly environment: string;
  /** The flag's page in Unleash. */
  readonly flagUrl: string;
  /** In a notification, the page of the flag or of the decision in the dashboard. Undefined without the option `dashboardUrl`. */
  readonly dashboardUrl?: string | undefined;
}

/** What is critical, from its beginning to its end. */
export interface NotificationIncident {
  /** The same in the notifications that open it and in the one that resolves it; at most 255 characters. */
  readonly key: string;
  /** `resolved` once its cause is over. */
  readonly status: 'open' | 'resolved';
}

/** One thing that operators should know: plain data, ready to be sent as JSON. */
export interface GuardNotification extends NotificationSubject {
  /** The same for every attempt to deliver this notification, so that a receiver can drop repetitions. */
  readonly id: string;
  /** The event that it is about. */
  readonly type: GuardEvent['type'];
  /** How urgent it is. */
  readonly severity: NotificationSeverity;
  /** A few words, for example `async-upload is being turned off`. */
  readonly title: string;
  /** One or a few sentences: what happened, and what to do. */
  readonly message: string;
  /** Figures with their units, for example each trigger that breached with its observed value and threshold. */
  readonly facts: readonly NotificationFact[];
  /** When it happened, ISO 8601. */
  readonly time: string;
  /** The decision that it is about, from `decided` to `re-armed`: the same for each of them. Undefined for all others. */
  readonly decisionId: string | undefined;
  /** The evidence, for `decided`. */
  readonly decision: Decision | undefined;
  /** What a receiver such as PagerDuty keeps open until it is resolved. Each critical notification opens one; undefined for others. */
  readonly incident: NotificationIncident | undefined;
}

/** What a notifier gets beside the notification. */
export interface NotifyContext {
  /** Aborted when the attempt takes too long or the guard closes. */
  readonly signal: AbortSignal;
  /** A `fetch` over the guard's connection, with its proxy and certificates; a guard always gives it. */
  readonly fetch?: typeof fetch | undefined;
}

/** Notifies operators through one channel, such as Slack or a webhook. */
export interface Notifier {
  /** Its name in faults, for example `slack`. */
  readonly name: string;
  /**
   * Delivers one notification. A rejection is retried, unless it is a `NotifyError` that is not `retryable`.
   * The same notification may be delivered more than once: an attempt may have arrived although it failed here.
   */
  notify(notification: GuardNotification, context: NotifyContext): Promise<void>;
}

/** A plain function as a notifier. */
export type NotifyFunction = (
  notification: GuardNotification,
  context: NotifyContext,
) => void | Promise<void>;

/** A notification could not be delivered. Neither the message nor any field contains an address or a secret. */
export class NotifyError extends Error {
  override readonly name = 'NotifyError';
  /** Always the same; {@link isNotifyError} recognises the error. */
  readonly code = 'NOTIFY_FAILED';
  /** Whether a retry may succeed. */
  readonly retryable: boolean;
  /** How long the receiver wants the sender to wait, in milliseconds (`Retry-After`); undefined when it named no time. */
  readonly retryAfterMs: number | undefined;

  constructor(
    message: string,
    { retryable, retryAfterMs }: { retryable: boolean; retryAfterMs?: number | undefined },
  ) {
    super(message);
    this.retryable = retryable;
    this.retryAfterMs = retryAfterMs;
  }
}

/** Whether an error is a {@link NotifyError}; works across copies of this package. */
export function isNotifyError(error: unknown): error is NotifyError {
  return error instanceof Error && 'code' in error && error.code === 'NOTIFY_FAILED' && 'retryable' in error;
}

recognizeCopies(NotifyError, isNotifyError);

/** Checks the guard's option `notify`. */
export const notifySchema = z.array(
  z.custom<Notifier | NotifyFunction>(
    (value) =>
      typeof value === 'function' ||
      (typeof value === 'object' &&
        value !== null &&
        'name' in value &&
        typeof value.name === 'string' &&
        'notify' in value &&
        typeof value.notify === 'function'),
    { error: 'a notifier, for example slack({ webhookUrl }), or a function (notification) => …' },
  ),
  { error: 'a list of notifiers, for example [slack({ webhookUrl })]' },
);
