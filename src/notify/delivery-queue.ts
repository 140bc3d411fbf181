import { messageOf } from '../support/async/callbacks.js';
import { withDeadline } from '../support/deadline.js';
import { retry } from '../support/retry.js';
import { type GuardNotification, isNotifyError, type Notifier } from './notifier.js';

/** How notifications are delivered and retried. */
const POLICY = {
  /** Notifications that may wait; beyond, the oldest is dropped. */
  maxQueued: 100,
  /** Time for one attempt. */
  timeoutMs: 10_000,
  /** They last about two minutes. */
  retries: 8,
  initialDelayMs: 1_000,
  maxDelayMs: 30_000,
};

/** What a queue may do differently. */
export type DeliveryPolicy = Partial<typeof POLICY>;

/** Delivers to one notifier, in order, one at a time. */
export class DeliveryQueue {
  readonly #notifier: Notifier;
  readonly #policy: typeof POLICY;
  readonly #fetch: typeof globalThis.fetch | undefined;
  readonly #onFault: (what: string, error: unknown) => void;
  readonly #closing = new AbortController();
  #waiting: GuardNotification[] = [];
  #working: Promise<void> | undefined;
  #isFailing = false;
  #lost = 0;

  constructor(
    notifier: Notifier,
    policy: DeliveryPolicy,
    onFault: (what: string, error: unknown) => void,
    fetch?: typeof globalThis.fetch | undefined,
  ) {
    this.#fetch = fetch;
    this.#notifier = notifier;
    this.#policy = { ...POLICY, ...policy };
    this.#onFault = onFault;
  }

  /** Queues one notification. */
  add(notification: GuardNotification): void {
    this.#waiting.push(notification);
    if (this.#waiting.length > this.#policy.maxQueued) {
      this.#waiting.shift();
      this.#lose(1, 'more came than could be delivered');
    }
    this.#working ??= this.#work();
  }

  /** Resolves when nothing waits. */
  async idle(): Promise<void> {
    await this.#working;
  }

  /** Ends the attempt in progress, and drops what waits. */
  abort(): void {
    if (this.#working === undefined) return;
    const undelivered = this.#waiting.length + 1;
    this.#waiting = [];
    this.#lose(undelivered, 'the guard closed first');
    this.#closing.abort();
  }

  async #work(): Promise<void> {
    // Events of one turn of the event loop are queued before the first leaves.
    await Promise.resolve();
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
      await this.#deliver(next);
    }
    this.#working = undefined;
  }

  async #deliver(notification: GuardNotification): Promise<void> {
    const { signal } = this.#closing;
    const attempt = () =>
      withDeadline(this.#policy.timeoutMs, signal, (signal) =>
        this.#notifier.notify(notification, { signal, fetch: this.#fetch }),
      );
    const shouldRetry = (error: unknown) => {
      if (!isNotifyError(error)) return 0;
      return error.retryable ? (error.retryAfterMs ?? 0) : false;
    };
    try {
      // The pause before a retry does not keep the process alive; flush() and close() do.
      await retry(attempt, { ...this.#policy, signal, shouldRetry, keepsProcessAlive: false });
      this.#isFailing = false;
    } catch (error) {
      if (signal.aborted || this.#isFailing) return;
      this.#isFailing = true;
      const fault = error instanceof Error ? error : new Error(messageOf(error));
      this.#onFault(`the notifier ${this.#notifier.name}`, fault);
    }
  }

  #lose(count: number, why: string): void {
    this.#lost += count;
    if (this.#lost > count) return;
    const error = new Error(
      `${count === 1 ? 'a notification was' : `${count} notifications were`} lost: ${why}.`,
    );
    this.#onFault(`the queue of the notifier ${this.#notifier.name}`, error);
  }
}
