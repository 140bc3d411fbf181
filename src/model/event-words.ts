import { certaintyOf, formatDuration, verdictFigures } from '../support/wording.js';
import type { GuardEventOf } from './event.js';
import type {
  DecisionFailure,
  DecisionProgress,
  EventIncident,
  NotificationFact,
  ReportPlace,
} from './event-entry.js';
import type { HealthReason } from './health.js';
import { type Decision, isOfDryRunRules, type Verdict } from './shapes.js';

/** The line of an event in the log, and its level. */
export const info = (line: string) => ({ level: 'info', line }) as const;
export const warn = (line: string) => ({ level: 'warn', line }) as const;
export const error = (line: string) => ({ level: 'error', line }) as const;

/** `Until now: stale-flags for 90 s.` */
export function endedOf({ at, ended }: Pick<GuardEventOf<'health'>, 'at' | 'ended'>): string {
  return `Until now: ${ended.map(({ code, since }) => `${code} for ${span(at - since)}`).join(', ')}.`;
}

/** Whether operators learn of a reason for blindness from nothing but the event `health`: the others have events of their own. */
export function hasNoEvent({ code }: HealthReason): boolean {
  return code !== 'flag-missing' && !code.startsWith('admin-');
}

export function span(durationMs: number): string {
  return formatDuration(Math.max(0, Math.round(durationMs / 1_000)) * 1_000);
}

/** Of a decision, until the flag is on again or gone. */
export function decisionIncident(decisionId: string, status: EventIncident['status']): EventIncident {
  return { key: `decision-${decisionId}`, status };
}

export const REMOVED = 'Unleash has the flag no longer: it was archived or deleted.';

export function ofDecision(id: string, progress: DecisionProgress, failure?: DecisionFailure): ReportPlace {
  return { in: 'decision', id, progress, failure };
}

/** `Ann turned the flag off in Unleash.` Of the guard's own stop, the name is that of its token's user, or of an operator who was faster. */
export function toggleText(event: GuardEventOf<'toggled'>): string {
  const { change, by = 'An operator', rolloutPercentage, decisionId, isGuards } = event;
  if (change === 'off' && decisionId !== undefined)
    return `Unleash's history names ${event.by ?? 'nobody'} for this stop: the guard's token has that name, or an operator was faster.`;
  if (change === 'off' && isGuards)
    return `${by} turned the flag off in Unleash: a guard of another process or run, or an operator of that name.`;
  const where =
    change === 'off' || rolloutPercentage === undefined ? '' : `, at ${percent(rolloutPercentage)}`;
  return `${by} turned the flag ${change} in Unleash${where}.`;
}

export function actionOf({ action, toPercentage }: Decision): string {
  return action === 'step-back' ? `taken back to ${percent(toPercentage)}` : 'turned off';
}

/** `Dry run`, or `Dry run of memory-growth` where it is the rule that is in dry run. */
export function dryRunOf(decision: Decision): string {
  if (!isOfDryRunRules(decision)) return 'Dry run';
  return `Dry run of ${decision.verdicts.map(({ trigger }) => trigger).join(' and ')}`;
}

export function percent(percentage: number | undefined): string {
  return percentage === undefined ? 'an unknown percentage' : `${percentage} %`;
}

/** `success-rate-below: 94.0 % (threshold 95 %)` */
export function factOf(verdict: Verdict): NotificationFact {
  const { observed, threshold } = verdictFigures(verdict);
  const limit = `threshold ${threshold}`;
  const chance = certaintyOf(verdict);
  const value = observed === undefined ? limit : `${observed} (${limit})`;
  return { name: verdict.trigger, value: chance === undefined ? value : `${value}; ${chance}` };
}
