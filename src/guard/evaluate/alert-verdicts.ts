import type { ControlState } from '../../model/control.js';
import type { Verdict } from '../../model/shapes.js';
import type { OpenReview } from '../../model/state.js';
import { ALERT_PREFIX } from '../../model/words/control-events.js';
import { countOf, formatAgo } from '../../support/wording.js';

/** An alert of a monitoring system that fires. */
export type FiringAlert = ControlState['alerts'][number];

/**
 * A verdict for each name of an alert: a breach while any alert of the name fires, and ok when a review is open and none does. None
 * blames an arm: an alert does not know of arms. Pure.
 */
export function alertVerdicts(
  alerts: readonly FiringAlert[],
  open: readonly Pick<OpenReview, 'trigger' | 'verdict'>[],
  now: number,
): Verdict[] {
  // In a dry run, a stop is recorded when the alert begins to fire, and that is all.
  const firing = byName(alerts.filter(({ action, dryRun }) => dryRun !== true || action === 'review'));
  const breaches = [...firing].map(([trigger, ofName]): Verdict => {
    const breach = verdict(trigger, 'breach', ofName.length, messageOf(ofName, now));
    return ofName.every(({ dryRun }) => dryRun === true) ? { ...breach, dryRun: true } : breach;
  });
  const resolved = open.filter(({ trigger }) => trigger.startsWith(ALERT_PREFIX) && !firing.has(trigger));
  return [
    ...breaches,
    ...resolved.map(({ trigger, verdict: opened }): Verdict => {
      const ok = verdict(trigger, 'ok', 0, `The alert ${trigger.slice(ALERT_PREFIX.length)} is resolved.`);
      return opened.dryRun === true ? { ...ok, dryRun: true } : ok;
    }),
  ];
}

function byName(alerts: readonly FiringAlert[]): Map<string, FiringAlert[]> {
  const found = new Map<string, FiringAlert[]>();
  for (const alert of alerts) found.set(alert.trigger, [...(found.get(alert.trigger) ?? []), alert]);
  return found;
}

function messageOf(alerts: readonly FiringAlert[], now: number): string {
  const { from, reason, since, at } = alerts[0]!;
  const others = alerts.length === 1 ? '' : ` (and ${countOf(alerts.length - 1, 'more alert')} of this name)`;
  return `An alert from ${from} fires (${formatAgo(Math.max(0, now - (since ?? at)))}): ${reason}${others}`;
}

function verdict(trigger: string, status: Verdict['status'], observed: number, message: string): Verdict {
  const sampleSize = { treatment: 0, control: 0 };
  return { trigger, status, observed, threshold: 0, unit: 'count', sampleSize, windowMs: 0, message };
}
