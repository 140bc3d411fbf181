import { setImmediate } from 'node:timers/promises';
import { messageOf, type OnFault } from '../support/async/callbacks.js';
import { withDeadline } from '../support/deadline.js';
import { retry } from '../support/retry.js';
import { type GuardNotification, isNotifyError, type Notifier, type NotifyFunction } from './notifier.js';
import { OpenIncidents } from './open-incidents.js';
import { forFlags, sharedTextOf } from './same-notification.js';

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
  /** The same where it was said of others a moment ago: a thousand guards need a while to find out. */
  gatherLaterMs: 10_000,
};

/** For so long what was said of some flags counts as said a moment ago, in milliseconds. */
const MOMENT_MS = 30_000;
/** So many texts are remembered as said. */
const MOST_SAID = 100;

/** What a queue may do differently. */
export type DeliveryPolicy = Partial<typeof POLICY>;

/** What waits, of which flags, and who learns that it could not be delivered. */
interface Waiting {
  notification: GuardNotification;
  /** What may be said of further flags; undefined for what is of one. */
  readonly text: string | undefined;
  readonly flagKeys: Set<string>;
  /** Its place among all of them. */
  readonly place: number;
  readonly onFault: OnFault;
  /** Until when it waits for further flags. */
  timer?: NodeJS.Timeout;
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
  /** Waits for the same of other flags, what came first at the beginning. */
  readonly #gathering = new Set<Waiting>();
  /** When each text was said last, the most recent at the end. */
  readonly #saidAt = new Map<string, number>();
  /** What gathers or waits, by what may be said of further flags. */
  readonly #byText = new Map<string, Set<Waiting>>();
  /** What was added last of each flag, decisions aside. */
  readonly #lastOf = new Map<string, Waiting>();
  #places = 0;
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
    const { flagKey } = notification;
    const text = sharedTextOf(notification);
    const sayTheSame = text === undefined ? undefined : this.#byText.get(text);
    const same = [...(sayTheSame ?? [])].find(
      (waiting) =>
        this.#comesAfterLast(waiting, flagKey) && this.#incidents.fit(waiting.notification, notification),
    );
    this.#incidents.opened(given, (same?.notification ?? notification).incident?.key);
    if (same !== undefined) {
      same.flagKeys.add(flagKey);
      this.#lastOf.set(flagKey, same);
      const { incident = notification.incident } = same.notification;
      same.notification = Object.freeze({ ...same.notification, incident });
      return;
    }
    const added: Waiting = {
      notification,
      text,
      flagKeys: new Set([flagKey]),
      place: ++this.#places,
      onFault,
    };
    if (text !== undefined) {
      this.#byText.set(text, (sayTheSame ?? new Set()).add(added));
      this.#lastOf.set(flagKey, added);
    }
    this.#gathering.add(added);
    if (text === undefined || this.#policy.gatherMs === 0) this.#endGathering(added);
    else added.timer = setTimeout(() => this.#endGathering(added), this.#gatherMs(text)).unref();
  }

  /** Otherwise a flag that was turned off, on and off again would be on at the end. */
  #comesAfterLast(waiting: Waiting, flagKey: string): boolean {
    const last = this.#lastOf.get(flagKey);
    if (last === undefined) return true;
    // What still gathers comes after all that waits.
    return waiting.place > last.place && (this.#gathering.has(waiting) || !this.#gathering.has(last));
  }

  #gatherMs(text: string): number {
    const now = performance.now();
    const saidAt = this.#saidAt.get(text) ?? Number.NEGATIVE_INFINITY;
    this.#saidAt.delete(text);
    this.#saidAt.set(text, now);
    if (this.#saidAt.size > MOST_SAID) this.#saidAt.delete(this.#saidAt.keys().next().value!);
    return now - saidAt < MOMENT_MS ? this.#policy.gatherLaterMs : this.#policy.gatherMs;
  }

  #endGathering(ending: Waiting): void {
    // What was said of its flags before comes before it: what resolves an incident must not come ahead of what opens it.
    for (const earlier of this.#gathering) {
      if (earlier === ending) break;
      if (haveCommon(earlier.flagKeys, ending.flagKeys)) this.#endGathering(earlier);
    }
    clearTimeout(ending.timer);
    if (this.#gathering.delete(ending)) this.#queue(ending);
  }

  #queue(added: Waiting): void {
    this.#waiting.push(added);
    if (this.#waiting.length > this.#policy.maxQueued) {
      const lost = this.#next()!;
      this.#lose(1, 'more came than could be delivered', lost.onFault);
    }
    this.#working ??= this.#work();
  }

  /** Resolves when nothing waits. */
  async idle(): Promise<void> {
    for (const waiting of this.#gathering) this.#endGathering(waiting);
    await this.#working;
  }

  /** Ends the attempt in progress, and drops what waits. */
  abort(): void {
    if (this.#working === undefined) return;
    const undelivered = this.#waiting.length + 1;
    this.#waiting = [];
    this.#byText.clear();
    this.#lose(undelivered, 'the guard closed first', this.#onFault);
    this.#closing.abort();
  }

  async #work(): Promise<void> {
    // Events of one turn of the event loop are queued before the first leaves.
    await setImmediate();
    for (let next = this.#next(); next !== undefined; next = this.#next()) await this.#deliver(next);
    this.#working = undefined;
  }

  /** Takes out what waits longest. */
  #next(): Waiting | undefined {
    const next = this.#waiting.shift();
    if (next?.text === undefined) return next;
    const sayTheSame = this.#byText.get(next.text);
    sayTheSame?.delete(next);
    if (sayTheSame?.size === 0) this.#byText.delete(next.text);
    return next;
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

function haveCommon(some: ReadonlySet<string>, others: ReadonlySet<string>): boolean {
  const [fewer, more] = some.size < others.size ? [some, others] : [others, some];
  for (const each of fewer) if (more.has(each)) return true;
  return false;
}
