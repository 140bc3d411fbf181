import type { GuardEvent } from '../model/event.js';
import type { Clock } from '../support/clock.js';
import { type DeliveryPolicy, DeliveryQueue } from './delivery-queue.js';
import { type Notice, type NotificationSubject, noticeOf } from './notification.js';
import type { Notifier, NotifyFunction } from './notifier.js';

/** What {@link Notifications} works with. */
export interface NotificationsOptions {
  readonly notify: readonly (Notifier | NotifyFunction)[];
  readonly subject: NotificationSubject;
  readonly clock: Clock;
  /** Told once when a notifier begins to fail, and once when notifications are lost. What it throws is dropped. */
  readonly onFault: (what: string, error: unknown) => void;
  /** A repeating notification is told again after this, in milliseconds. @default 900_000 (15 minutes) */
  readonly dedupeMs?: number | undefined;
  /** Notifications that wait for one notifier; the oldest gives way. @default 100 */
  readonly maxQueued?: number | undefined;
  /** Time for one attempt, in milliseconds. @default 10_000 */
  readonly timeoutMs?: number | undefined;
  /** How often a failed attempt is repeated. @default 8, which lasts about two minutes */
  readonly retries?: number | undefined;
  /** The longest first pause, in milliseconds; it doubles from attempt to attempt. @default 1_000 */
  readonly retryDelayMs?: number | undefined;
  /** The longest pause, in milliseconds, unless the receiver asks for a longer one. @default 30_000 */
  readonly maxRetryDelayMs?: number | undefined;
}

/** Keys that are remembered against repetition. */
const MAX_KEYS = 1_000;

/**
 * Tells people what a guard does, through every notifier at once: each has its own queue, so that a slow one holds
 * back no other. Nothing here ever throws into the guard or makes it wait.
 */
export class Notifications {
  readonly #subject: NotificationSubject;
  readonly #clock: Clock;
  readonly #dedupeMs: number;
  readonly #queues: readonly DeliveryQueue[];
  readonly #onFault: NotificationsOptions['onFault'];
  /** When each key was told last, the most recent at the end. */
  readonly #reportedAt = new Map<string, number>();

  constructor(options: NotificationsOptions) {
    this.#subject = options.subject;
    this.#clock = options.clock;
    this.#dedupeMs = options.dedupeMs ?? 900_000;
    this.#onFault = (what, error) => {
      try {
        options.onFault(what, error);
      } catch {
        // There is nobody left to tell.
      }
    };
    const policy: DeliveryPolicy = {
      maxQueued: options.maxQueued ?? 100,
      timeoutMs: options.timeoutMs ?? 10_000,
      retries: options.retries ?? 8,
      initialDelayMs: options.retryDelayMs ?? 1_000,
      maxDelayMs: options.maxRetryDelayMs ?? 30_000,
    };
    this.#queues = options.notify.map(
      (notifier, index) => new DeliveryQueue(asNotifier(notifier, index), policy, this.#onFault),
    );
  }

  /** Hand this every event of the guard; those that a person should know are queued. Touches memory only. */
  readonly listener = (event: GuardEvent): void => {
    if (this.#queues.length === 0) return;
    try {
      const notice = noticeOf(event, this.#subject);
      if (notice === undefined || this.#isRepetition(notice)) return;
      const notification = Object.freeze(notice.notification);
      for (const queue of this.#queues) queue.add(notification);
    } catch (error) {
      this.#onFault('preparing a notification', error);
    }
  };

  /** Resolves when everything queued so far is delivered or given up, at the latest after `timeoutMs`. */
  async flush(timeoutMs = 5_000): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const requestOptions = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, timeoutMs);
    });
    await Promise.race([Promise.all(this.#queues.map((queue) => queue.idle())), requestOptions]);
    clearTimeout(timer);
  }

  /** Takes no more events, waits for what is queued, at most `timeoutMs`, and ends the rest. */
  async close(timeoutMs = 5_000): Promise<void> {
    for (const queue of this.#queues) queue.takeNoMore();
    await this.flush(timeoutMs);
    for (const queue of this.#queues) queue.abort();
  }

  #isRepetition({ key, repeats }: Notice): boolean {
    const now = this.#clock.now();
    const reportedAt = this.#reportedAt.get(key);
    // A clock that was set back must not silence anything for long.
    if (reportedAt !== undefined && (!repeats || Math.abs(now - reportedAt) < this.#dedupeMs)) return true;
    this.#reportedAt.delete(key);
    this.#reportedAt.set(key, now);
    if (this.#reportedAt.size > MAX_KEYS) this.#reportedAt.delete(this.#reportedAt.keys().next().value!);
    return false;
  }
}

function asNotifier(given: Notifier | NotifyFunction, index: number): Notifier {
  if (typeof given !== 'function') return given;
  return {
    name: given.name || `notify[${index}]`,
    notify: async (notification, context) => given(notification, context),
  };
}
