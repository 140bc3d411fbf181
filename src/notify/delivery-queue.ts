import { setImmediate } from 'node:timers/promises';
import { messageOf, type OnFault } from '../support/async/callbacks.js';
import { withDeadline } from '../support/deadline.js';
import { retry } from '../support/retry.js';
import { type GuardNotification, isNotifyError, type Notifier, type NotifyFunction } from './notifier.js';
import { OpenIncidents } from './open-incidents.js';
import { forFlags, mayBeOfSeveral, saysTheSame } from './same-notification.js';

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
  /** How long what may be said of further flags too waits for them. A decision never waits. */
  gatherMs: 0,
};

/** What a queue may do differently. */
export type DeliveryPolicy = Partial<typeof POLICY>;

/** What waits, of which flags, and who learns that it could not be delivered. */
interface Waiting {
  notification: GuardNotification;
  readonly flagKeys: string[];
  readonly onFault: OnFault;
}

/** A queue for each notifier. */
export function deliveryQueues(
  notify: readonly (Notifier | NotifyFunction)[],
  fetch?: typeof globalThis.fetch | undefined,
  policy: DeliveryPolicy = {},
): readonly DeliveryQueue[] {
  return notify.map((notifier, index) => new DeliveryQueue(asNotifier(notifier, index), fetch, policy));
}

function asNotifier(given: Notifier | NotifyFunction, index: number): Notifier {
  if (typeof given !== 'function') return given;
  return {
    name: given.name || `notify[${index}]`,
    notify: async (notification, context) => given(notification, context),
  };
}

/**
 * Delivers to one notifier, in order, one at a time. What waits of several flags and says the same, such as that their token
 * expires, becomes one notification that names them all.
 */
export class DeliveryQueue {
  readonly #notifier: Notifier;
  readonly #policy: typeof POLICY;
  readonly #fetch: typeof globalThis.fetch | undefined;
  readonly #closing = new AbortController();
  readonly #incidents = new OpenIncidents();
  #waiting: Waiting[] = [];
  /** Waits for the same of other flags. */
  #gathering: Waiting[] = [];
  #gathered: NodeJS.Timeout | undefined;
  /** Of what is being delivered. */
  #onFault: OnFault = () => {};
  #working: Promise<void> | undefined;
  #isFailing = false;
  #lost = 0;

  constructor(notifier: Notifier, fetch: typeof globalThis.fetch | undefined, policy: DeliveryPolicy) {
    this.#fetch = fetch;
    this.#notifier = notifier;
    this.#policy = { ...POLICY, ...policy };
  }

  /** Queues one notification. @param onFault - Called when the notifier begins to fail, or notifications are lost. Must not throw. */
  add(given: GuardNotification, onFault: OnFault): void {
    const notification = this.#incidents.follow(given);
    const same = [...this.#gathering, ...this.#waiting].find(
      (waiting) =>
        saysTheSame(waiting.notification, notification) &&
        this.#incidents.fit(waiting.notification, notification),
    );
    this.#incidents.opened(given, (same?.notification ?? notification).incident?.key);
    const { flagKey } = notification;
    if (same !== undefined) {
      if (!same.flagKeys.includes(flagKey)) same.flagKeys.push(flagKey);
      const { incident = notification.incident } = same.notification;
      same.notification = Object.freeze({ ...same.notification, incident });
      return;
    }
    const added = { notification, flagKeys: [flagKey], onFault };
    const { gatherMs } = this.#policy;
    if (gatherMs === 0 || !mayBeOfSeveral(notification)) {
      // What was said of this flag before comes before it: what resolves an incident must not come ahead of what opens it.
      if (this.#gathering.some(({ flagKeys }) => flagKeys.includes(flagKey))) this.#endGathering();
      this.#queue(added);
      return;
    }
    this.#gathering.push(added);
    this.#gathered ??= setTimeout(() => this.#endGathering(), gatherMs).unref();
  }

  #endGathering(): void {
    clearTimeout(this.#gathered);
    this.#gathered = undefined;
    for (const waiting of this.#gathering.splice(0)) this.#queue(waiting);
  }

  #queue(added: Waiting): void {
    this.#waiting.push(added);
    if (this.#waiting.length > this.#policy.maxQueued) {
      const lost = this.#waiting.shift()!;
      this.#lose(1, 'more came than could be delivered', lost.onFault);
    }
    this.#working ??= this.#work();
  }

  /** Resolves when nothing waits. */
  async idle(): Promise<void> {
    this.#endGathering();
    await this.#working;
  }

  /** Ends the attempt in progress, and drops what waits. */
  abort(): void {
    if (this.#working === undefined) return;
    const undelivered = this.#waiting.length + 1;
    this.#waiting = [];
    this.#lose(undelivered, 'the guard closed first', this.#onFault);
    this.#closing.abort();
  }

  async #work(): Promise<void> {
    // Events of one turn of the event loop are queued before the first leaves.
    await setImmediate();
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
      await this.#deliver(next);
    }
    this.#working = undefined;
  }

  async #deliver({ notification: first, flagKeys, onFault }: Waiting): Promise<void> {
    const notification = forFlags(first, flagKeys);
    this.#onFault = onFault;
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
      onFault(`the notifier ${this.#notifier.name}`, fault);
    }
  }

  #lose(count: number, why: string, onFault: OnFault): void {
    this.#lost += count;
    if (this.#lost > count) return;
    const error = new Error(
      `${count === 1 ? 'a notification was' : `${count} notifications were`} lost: ${why}.`,
    );
    onFault(`the queue of the notifier ${this.#notifier.name}`, error);
  }
}
