import { formatFlags, formatNames } from '../support/wording.js';
import type { GuardNotification } from './notifier.js';

/** A message has room for the names of so many flags; the others are counted. */
const MOST_NAMED = 20;

/**
 * What is the same in two notifications of different flags that may be one: that their admin token expires, or that an operator turned
 * them off. Undefined for what a guard does to its flag, which is said of each by itself. Pure.
 */
export function sharedTextOf(notification: GuardNotification): string | undefined {
  const { type, severity, project, environment, flagKey, message, facts, decisionId } = notification;
  const rest = restOfTitle(notification);
  if (decisionId !== undefined || rest === undefined) return undefined;
  const text = ofAnyFlag(message, flagKey);
  // For how long a guard has been blind differs by a second or two.
  const said = type === 'health' ? [withoutNumbers(text)] : [text, facts];
  return JSON.stringify([type, severity, project, environment, rest, ...said]);
}

/** The notification of one flag as that of several; the first of them is its own. Pure. */
export function forFlags(notification: GuardNotification, flagKeys: ReadonlySet<string>): GuardNotification {
  const others = flagKeys.size - 1;
  if (others === 0) return notification;
  const { flagKey, facts } = notification;
  const rest = restOfTitle(notification) ?? '';
  return Object.freeze({
    ...notification,
    title: `${formatFlags(flagKey, others)}${rest.replace(/^ is /, ' are ').replace(/^ was /, ' were ')}`,
    facts: [{ name: 'Flags', value: formatNames([...flagKeys], MOST_NAMED) }, ...facts],
  });
}

/** What follows the flag in `<flag>: the rest`, or in `<flag> was the rest`. */
function restOfTitle({ title, flagKey }: GuardNotification): string | undefined {
  return /^[: ]/.test(title.slice(flagKey.length)) && title.startsWith(flagKey)
    ? title.slice(flagKey.length)
    : undefined;
}

/** A text that names its flag, as one about any: what is said of several flags differs in nothing else. */
export function ofAnyFlag(text: string, flagKey: string): string {
  return text.replace(/[\w~-]+(?:\.[\w~-]+)*/g, (word) => (word === flagKey ? '<flag>' : word));
}

/** What differs in numbers only is the same. */
export function withoutNumbers(text: string): string {
  return text.replace(/\d+(?:[.,]\d+)*/g, '#');
}
