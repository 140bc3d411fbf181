import { z } from 'zod';
import type { GuardNotification } from './notification.js';

/** What a notifier gets beside the notification. */
export interface NotifyContext {
  /** Aborted when the attempt takes too long or the guard ends. */
  readonly signal: AbortSignal;
}

/** Tells people: one channel, such as Slack or a webhook. */
export interface Notifier {
  /** What faults call it, for example `slack`. */
  readonly name: string;
  /**
   * Delivers one notification. A rejection is tried again, unless it is a `NotifyError` that says that this cannot help.
   * The same notification may come more than once: an attempt may have arrived although it failed here.
   */
  notify(notification: GuardNotification, context: NotifyContext): Promise<void>;
}

/** A plain function as a notifier. */
export type NotifyFunction = (
  notification: GuardNotification,
  context: NotifyContext,
) => void | Promise<void>;

/** A notification could not be delivered. Neither the message nor any field holds an address or a secret. */
export class NotifyError extends Error {
  override readonly name = 'NotifyError';
  readonly code = 'NOTIFY_FAILED';
  /** Whether the same may succeed later without anybody's help. */
  readonly retryable: boolean;
  /** How long the receiver asked to wait, in milliseconds; undefined when it did not say. */
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
