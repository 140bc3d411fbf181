import type { GuardNotification } from './notifier.js';

/** So many are remembered, several of each of a thousand flags; one that is forgotten is resolved under its own key. */
const MAX_OPEN = 10_000;

/**
 * Which incidents a receiver has open, and under which key: of several flags of which the same is said, it has one, under the key of the
 * first. That one is resolved with the last of them.
 */
export class OpenIncidents {
  /** The keys under which they were opened, by their own. */
  readonly #keys = new Map<string, string>();
  /** How many are open under each of these keys. */
  readonly #counts = new Map<string, number>();

  /** A notification with the key that the receiver knows; without one when others are still open under it. */
  follow(notification: GuardNotification): GuardNotification {
    const { incident } = notification;
    if (incident === undefined) return notification;
    const key = this.#keys.get(incident.key) ?? incident.key;
    if (incident.status === 'open') return withKey(notification, key);
    this.#forget(incident.key);
    return withKey(notification, this.#counts.has(key) ? undefined : key);
  }

  /** Whether the second, which says the same of another flag, may be said with the first. */
  fit({ incident: one }: GuardNotification, { incident: other }: GuardNotification): boolean {
    if (one === undefined || other === undefined || one.key === other.key) return true;
    return one.status === 'open' && other.status === 'open' && !this.#keys.has(other.key);
  }

  /** A notification is said under this key of the first of its flags. */
  opened({ incident }: GuardNotification, under = incident?.key): void {
    if (incident?.status !== 'open' || under === undefined) return;
    this.#forget(incident.key);
    this.#keys.set(incident.key, under);
    this.#counts.set(under, (this.#counts.get(under) ?? 0) + 1);
    if (this.#keys.size > MAX_OPEN) this.#forget(this.#keys.keys().next().value!);
  }

  #forget(own: string): void {
    const key = this.#keys.get(own);
    if (key === undefined) return;
    this.#keys.delete(own);
    const left = this.#counts.get(key)! - 1;
    if (left === 0) this.#counts.delete(key);
    else this.#counts.set(key, left);
  }
}

function withKey(notification: GuardNotification, key: string | undefined): GuardNotification {
  const { incident } = notification;
  if (incident === undefined || incident.key === key) return notification;
  return Object.freeze({ ...notification, incident: key === undefined ? undefined : { ...incident, key } });
}
