import type { Control } from '../model/control.js';
import type { GuardEvent } from '../model/event.js';
import { entryOf } from '../model/event-table.js';
import type { Annotation } from './rollup.js';

/** How an event is marked on a chart of the rollout; undefined for one that is not. Pure. */
export function annotationOf(event: GuardEvent): Annotation | undefined {
  const mark = markOf(event);
  return mark && { at: event.at, text: entryOf(event).log(event).line, ...mark };
}

function titled(title: string, { dryRun }: { readonly dryRun?: boolean | undefined }): string {
  return dryRun === true ? `${title} (dry run)` : title;
}

function markOfControl(control: Control): Omit<Annotation, 'at' | 'text'> {
  const { type, by } = control;
  const title = 'trigger' in control ? `${type}: ${control.trigger}` : type;
  return { type: 'control', title, by };
}

function markOf(event: GuardEvent): Omit<Annotation, 'at' | 'text'> | undefined {
  switch (event.type) {
    case 'rollout-changed': {
      const { enabled, rolloutPercentage: percentage } = event;
      if (!enabled) return { type: 'percentage', title: 'off', percentage: 0 };
      if (percentage === undefined) return { type: 'percentage', title: 'on' };
      return { type: 'percentage', title: `${percentage} %`, percentage };
    }
    case 'toggled':
      return { type: 'percentage', title: `turned ${event.change}`, by: event.by };
    case 'stage': {
      const { stage, status } = event.progress;
      return { type: 'stage', title: `stage ${stage.percentage} %: ${status}` };
    }
    case 'advanced':
      return { type: 'stage', title: `advanced to ${event.to} %` };
    case 'review-opened':
      return { type: 'review', title: titled(`review: ${event.verdict.trigger}`, event.verdict) };
    case 'review-closed':
      return { type: 'review', title: titled(`review closed: ${event.verdict.trigger}`, event.verdict) };
    case 'decided': {
      const { id, action, toPercentage } = event.decision;
      const title = action === 'stop' ? 'stop' : `step back to ${toPercentage} %`;
      return { type: 'decision', title: titled(title, event.decision), decisionId: id };
    }
    case 'stop-failed': {
      // What only an operator can finish is an event of its own.
      const { decisionId, failure } = event;
      return failure.requiresAction ? undefined : { type: 'health', title: 'stop failed', decisionId };
    }
    case 'action-required':
      return { type: 'health', title: 'action required', decisionId: event.decisionId };
    case 'stopped':
      return { type: 'decision', title: 'stopped', decisionId: event.decisionId };
    case 'stepped-back':
      return { type: 'decision', title: 'stepped back', decisionId: event.decisionId };
    case 're-armed':
      return { type: 'decision', title: 'armed again' };
    case 'control':
      return event.refused === undefined ? markOfControl(event.control) : undefined;
    case 'mute-expired':
      return { type: 'control', title: `mute over: ${event.trigger}` };
    case 'stage-overdue':
      return { type: 'stage', title: `stage ${event.progress.stage.percentage} %: overdue` };
    case 'completed':
      return { type: 'stage', title: 'complete' };
    case 'health':
      return { type: 'health', title: event.status === 'ok' ? 'no longer blind' : 'blind' };
    default:
      return undefined;
  }
}
