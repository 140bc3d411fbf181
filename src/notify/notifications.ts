import type { GuardEvent } from '../model/event.js';
import type { EventIncident, EventNotification } from '../model/event-entry.js';
import { entryOf } from '../model/event-table.js';
import type { Clock } from '../support/clock.js';
import { decisionUrl, flagUrl } from '../support/dashboard-url.js';
import { withDeadline } from '../support/deadline.js';
import { type DeliveryPolicy, type DeliveryQueue, deliveryQueues } from './delivery-queue.js';
import type { GuardNotification, NotificationSubject, Notifier, NotifyFunction } from './notifier.js';

/** What {@link Notifications} works with. */
export interface NotificationsOptions {
  readonly notify: readonly (Notifier | NotifyFunction)[];
  /** Queues of these notifiers that guards of other flags use too, and that are not ended here. @default its own */
  readonly queues?: readonly DeliveryQueue[] | undefined;
  readonly subject: NotificationSubject;
  /** This process, in a fleet. */
  readonly process?: string | undefined;
  readonly clock: Clock;
  /** The guard's connection. @default each notifier's own */
  readonly fetch?: typeof fetch | undefined;
  /** Receives the incidents of this process that are open, whenever that changes: its next run resolves them if it is killed. */
  readonly onOpen?: ((open: readonly OpenIncident[]) => void) | undefined;
  /** Called once when a notifier begins to fail, and once when notifications are lost. What it throws is dropped. */
  readonly onFault: (what: string, error: unknown) => void;
}

/** An incident that is open, and what opened it. */
export interface OpenIncident {
  readonly key: string;
  readonly title: string;
}

/** A repeating notification is sent again after this. */
const DEDUPE_MS = 15 * 60_000;

/** Keys that are remembered against repetition. */
const MAX_KEYS = 1_000;

/** PagerDuty takes no longer ones. */
const MAX_INCIDENT_KEY = 255;

/**
 * Notifies operators of what a guard does, through every notifier at once: each has its own queue, so that a slow one delays
 * no other. Nothing here ever throws into the guard or makes it wait.
 */
export class Notifications {
  readonly #subject: NotificationSubject;
  readonly #process: string | undefined;
  readonly #clock: Clock;
  readonly #queues: readonly DeliveryQueue[];
  readonly #isShared: boolean;
  readonly #onFault: NotificationsOptions['onFault'];
  readonly #onOpen: NonNullable<NotificationsOptions['onOpen']>;
  /** When each key was sent last, by the monotonic clock; the most recent at the end. */
  readonly #sentAt = new Map<string, number>();
  /** What opened the incidents that end with the guard, by their keys. */
  readonly #endWithGuard = new Map<string, Notice>();
  #isOpen = true;

  constructor(options: NotificationsOptions, policy: DeliveryPolicy = {}) {
    this.#subject = options.subject;
    this.#process = options.process;
    this.#clock = options.clock;
    this.#onFault = (what, error) => {
      try {
        options.onFault(what, error);
      } catch {
        // Nothing is left to report it to.
      }
    };
    this.#onOpen = options.onOpen ?? (() => {});
    this.#queues = options.queues ?? deliveryQueues(options.notify, options.fetch, policy);
    this.#isShared = options.queues !== undefined;
  }

  /**
   * Call it with every event of the guard: those that operators should know are queued. Touches memory only.
   *
   * @param isReporter - Whether this process notifies of it. Another one still resolves what it has opened as its own.
   */
  listener(event: GuardEvent, isReporter = true): void {
    if (!this.#isOpen || this.#queues.length === 0) return;
    if (!isReporter && this.#endWithGuard.size === 0) return;
    try {
      const notice = noticeOf(event, this.#subject, this.#process);
      if (notice === undefined || !(isReporter || this.#resolvesOwn(notice))) return;
      if (this.#isRepetition(notice)) return;
      this.#queue(notice.notification);
      const { incident } = notice.notification;
      if (incident === undefined) return;
      const isNew = notice.endsWithGuard && !this.#endWithGuard.has(incident.key);
      const isOver = !notice.endsWithGuard && this.#endWithGuard.delete(incident.key);
      if (notice.endsWithGuard) this.#endWithGuard.set(incident.key, notice);
      if (notice.isOfProcess && (isNew || isOver)) this.#onOpen(this.#openOfProcess());
    } catch (error) {
      this.#onFault('preparing a notification', error);
    }
  }

  #resolvesOwn({ isOfProcess, notification: { incident } }: Notice): boolean {
    return isOfProcess && incident?.status === 'resolved' && this.#endWithGuard.has(incident.key);
  }

  #openOfProcess(): OpenIncident[] {
    return [...this.#endWithGuard.values()].flatMap(({ isOfProcess, notification: { title, incident } }) =>
      isOfProcess && incident !== undefined ? [{ key: incident.key, title }] : [],
    );
  }

  /** Resolves what an earlier run of this process left open: it was killed before it could. */
  resolve(left: readonly OpenIncident[]): void {
    if (this.#queues.length === 0 || left.length === 0) return;
    const at = this.#clock.now();
    for (const incident of left) this.#queue(leftOpen(incident, this.#subject, at));
    this.#onOpen([]);
  }

  /** Resolves when everything queued so far is delivered or has failed for good, at the latest after `timeoutMs`. */
  async flush(timeoutMs = 5_000): Promise<void> {
    const idle = () => Promise.all(this.#queues.map((queue) => queue.idle()));
    await withDeadline(timeoutMs, undefined, idle).catch(() => {});
  }

  /**
   * Resolves what ends with the guard, ignores further events, waits for what is queued, at most `timeoutMs`, and ends the rest.
   *
   * @param isReporter - Whether this process notified for its fleet. What another one may have opened since is that one's to resolve.
   */
  async close(timeoutMs = 5_000, isReporter = true): Promise<void> {
    this.#isOpen = false;
    for (const { isOfProcess, notification } of this.#endWithGuard.values()) {
      if (isOfProcess || isReporter) this.#queue(endOf(notification, this.#clock.now()));
    }
    if (this.#openOfProcess().length > 0) this.#onOpen([]);
    this.#endWithGuard.clear();
    await this.flush(timeoutMs);
    if (!this.#isShared) for (const queue of this.#queues) queue.abort();
  }

  #queue(notification: GuardNotification): void {
    Object.freeze(notification);
    for (const queue of this.#queues) queue.add(notification, this.#onFault);
  }

  #isRepetition({ key, repeats }: Notice): boolean {
    const now = this.#clock.monotonic();
    const sentAt = this.#sentAt.get(key);
    if (sentAt !== undefined && (!repeats || now - sentAt < DEDUPE_MS)) return true;
    this.#sentAt.delete(key);
    this.#sentAt.set(key, now);
    if (this.#sentAt.size > MAX_KEYS) this.#sentAt.delete(this.#sentAt.keys().next().value!);
    return false;
  }
}

/** A notification, and what decides whether it is a repetition. */
interface Notice extends Required<Pick<EventNotification, 'key' | 'repeats'>> {
  readonly notification: GuardNotification;
  /** It opens an incident that does. */
  readonly endsWithGuard: boolean;
  /** Its incident is that of this process alone. */
  readonly isOfProcess: boolean;
}

/** The notification of an event, as the event table has it; undefined when the event has none. */
export function noticeOf(
  event: GuardEvent,
  subject: NotificationSubject,
  process?: string | undefined,
): Notice | undefined {
  const entry = entryOf(event).notification?.(event, subject.flagKey);
  if (entry === undefined) return undefined;
  const decisionId = decisionIdOf(event);
  const { key, repeats = false, severity, title, message, facts = [], incident } = entry;
  return {
    key: `${event.type}:${key}`,
    repeats,
    endsWithGuard: incident?.endsWithGuard === true,
    isOfProcess: incident?.isOfProcess === true,
    notification: {
      id: [subject.flagKey, event.type, key, String(event.at)].map(idPart).join(':'),
      type: event.type,
      severity,
      title,
      message,
      facts,
      ...subject,
      dashboardUrl: dashboardPageOf(subject, decisionId),
      decisionId,
      time: new Date(event.at).toISOString(),
      decision: event.type === 'decided' ? event.decision : undefined,
      incident: incident && {
        key: incidentKey(incident, subject, process),
        status: incident.status,
      },
    },
  };
}

/** What distinguishes it comes first: what is too long is cut. */
function incidentKey(
  { key, isOfProcess = false }: EventIncident,
  { project, environment, flagKey }: NotificationSubject,
  process: string | undefined,
): string {
  const own = isOfProcess && process !== undefined ? [key, process] : [key];
  return [...own, `${project}/${environment}/${flagKey}`].join(':').slice(0, MAX_INCIDENT_KEY);
}

/** The guard is closed, and what was open is over with it. */
function endOf(opened: GuardNotification, at: number): GuardNotification {
  const { id, flagKey, title, incident } = opened;
  return {
    ...opened,
    id: `${id}:closed`,
    type: 'closed',
    severity: 'info',
    title: `${flagKey}: the guard is closed`,
    message: `This was open until now: ${title.replace(`${flagKey}: `, '')}. The guard that runs next reports it again if it persists.`,
    facts: [],
    time: new Date(at).toISOString(),
    incident: incident && { ...incident, status: 'resolved' },
  };
}

/** The guard of an earlier run ended without closing, and what was open then is over with it. */
function leftOpen({ key, title }: OpenIncident, subject: NotificationSubject, at: number): GuardNotification {
  const { flagKey } = subject;
  return {
    ...subject,
    id: [flagKey, 'started', key, String(at)].map(idPart).join(':'),
    type: 'started',
    severity: 'info',
    title: `${flagKey}: the guard has started again`,
    message: `It ended without closing. This was open until then: ${title.replace(`${flagKey}: `, '')}. It is reported again if it persists.`,
    facts: [],
    dashboardUrl: dashboardPageOf(subject, undefined),
    decisionId: undefined,
    time: new Date(at).toISOString(),
    decision: undefined,
    incident: { key, status: 'resolved' },
  };
}

function decisionIdOf(event: GuardEvent): string | undefined {
  if (event.type === 'decided') return event.decision.id;
  return 'decisionId' in event ? event.decisionId : undefined;
}

function dashboardPageOf(
  { dashboardUrl, flagKey }: NotificationSubject,
  decisionId: string | undefined,
): string | undefined {
  if (dashboardUrl === undefined) return undefined;
  return decisionId === undefined
    ? flagUrl(dashboardUrl, flagKey)
    : decisionUrl(dashboardUrl, flagKey, decisionId);
}

/** An id travels in an HTTP header, and Standard Webhooks ends it with a full stop when it signs. */
function idPart(text: string): string {
  return encodeURIComponent(text).replaceAll('.', '%2E');
}
