import { NEXT_STEP, notOffYet, whySuperseded } from '../../../support/wording.js';
import type { DecisionView } from '../../api.js';
import { percentageText } from './numbers.js';
import type { Mood } from './standing.js';

/** What became of a decision. */
export function outcomeOf(view: DecisionView): { mood: Mood; word: string; sentence: string } {
  const { decision, stoppedInUnleashAt, steppedBackAt, actionRequired, reArmedAt } = view;
  const { supersededAt, replacedBy } = view;
  const { dryRun, action, toPercentage } = decision;
  if (dryRun) return { mood: 'warn', word: 'dry run', sentence: 'Nothing was changed.' };
  if (supersededAt !== undefined) {
    return { mood: 'off', word: 'over', sentence: whySuperseded(replacedBy) };
  }
  if (steppedBackAt !== undefined) {
    return {
      mood: reArmedAt === undefined ? 'warn' : 'off',
      word: 'stepped back',
      sentence: `The rollout went back to ${percentageText(toPercentage)}.`,
    };
  }
  if (stoppedInUnleashAt !== undefined) {
    return reArmedAt === undefined
      ? { mood: 'bad', word: 'stopped', sentence: 'The flag is off in Unleash.' }
      : { mood: 'off', word: 'stopped', sentence: 'A new rollout has begun since.' };
  }
  if (reArmedAt !== undefined) {
    return { mood: 'off', word: 'over', sentence: 'A new rollout has begun since.' };
  }
  if (action === 'stop' && actionRequired === undefined) {
    const last = view.failures.at(-1);
    const failure = last && { message: last.message, requiresAction: false };
    return { mood: 'bad', word: 'stopping', sentence: notOffYet(failure) };
  }
  const what = action === 'step-back' ? 'stepping back' : 'stopping';
  if (actionRequired !== undefined) return { mood: 'bad', word: what, sentence: actionRequired };
  return { mood: 'bad', word: what, sentence: 'Unleash has not confirmed it yet.' };
}

/** What an operator does next, while a decision is in force and done. */
export function nextStepOf(view: DecisionView): string | undefined {
  const { decision, stoppedInUnleashAt, steppedBackAt, confirmedBy, reArmedAt, supersededAt } = view;
  if (decision.dryRun || supersededAt !== undefined) return undefined;
  // The guard is armed again at the lower percentage.
  if (steppedBackAt !== undefined) return NEXT_STEP.steppedBack;
  if (stoppedInUnleashAt === undefined || reArmedAt !== undefined) return undefined;
  return confirmedBy === 'removed' ? NEXT_STEP.gone : NEXT_STEP.stopped;
}
