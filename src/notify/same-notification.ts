import { formatFlags, formatNames } from '../support/wording.js';
import type { GuardNotification } from './notifier.js';

/** A message has room for the names of so many flags; the others are counted. */
const MOST_NAMED = 20;

/**
 * Whether the same is to be said of two flags: that their admin token expires, or that Unleash does not answer. What a guard does to
 * its flag is said of each by itself. Pure.
 */
export function saysTheSame(one: GuardNotification, other: GuardNotification): boolean {
  return (
    one.flagKey !== other.flagKey &&
    mayBeOfSeveral(one) &&
    mayBeOfSeveral(other) &&
    one.type === other.type &&
    one.severity === other.severity &&
    one.project === other.project &&
    one.environment === other.environment &&
    one.message === other.message &&
    JSON.stringify(one.facts) === JSON.stringify(other.facts) &&
    restOfTitle(one) === restOfTitle(other)
  );
}

/** Whether the same may be said of other flags, too. Pure. */
export function mayBeOfSeveral(notification: GuardNotification): boolean {
  return notification.decision === undefined && restOfTitle(notification) !== undefined;
}

/** The notification of one flag as that of several; the first of them is its own. Pure. */
export function forFlags(notification: GuardNotification, flagKeys: readonly string[]): GuardNotification {
  const [first] = flagKeys;
  const others = flagKeys.length - 1;
  if (others === 0) return notification;
  return Object.freeze({
    ...notification,
    title: `${formatFlags(first!, others)}${restOfTitle(notification)}`,
    facts: [{ name: 'Flags', value: formatNames(flagKeys, MOST_NAMED) }, ...notification.facts],
  });
}

/** What follows the flag in `<flag>: the rest`. */
function restOfTitle({ title, flagKey }: GuardNotification): string | undefined {
  return title.startsWith(`${flagKey}:`) ? title.slice(flagKey.length) : undefined;
}
