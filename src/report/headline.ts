import type { RolloutChange } from '../model/event-entry.js';
import { briefReason, formatCount, NEXT_STEP, NOT_OFF_YET } from '../support/wording.js';
import { formatPercentage, formatTime, rolloutWord } from './format.js';
import type { DecisionReport, RolloutReport, RolloutStory } from './rollout-report.js';

/** What is known of a guard that is running. */
interface GuardFacts {
  /** Why it is blind: codes. */
  readonly blind?: readonly string[];
  readonly isFlagMissing?: boolean;
}

/** The state of a rollout, in a few sentences. */
export function headlineOf(
  { decisions, rollout, stages, reviews }: RolloutStory,
  { blind = [], isFlagMissing = false }: GuardFacts = {},
): string {
  const stop = decisions.findLast(isInForce);
  if (stop !== undefined && stop.reArmedAt === undefined) return `${stopSentence(stop)}${nextStep(stop)}`;
  const now = rollout.at(-1);
  const stage = stages.findLast(({ epoch }) => epoch === now?.epoch);
  const open = reviews.filter(({ closedAt }) => closedAt === undefined).length;
  const sentences = [
    isFlagMissing ? 'Unleash has no such flag: all users get the control.' : now && whereItStands(now),
    blind.length > 0 && `The guard is blind (${blind.join(', ')}): a failure may go unnoticed.`,
    // What to do next is not to raise the percentage then.
    !isFlagMissing && blind.length === 0 && stage && stageSentence(stage),
    ...(open === 0 ? [] : [open === 1 ? 'A review is open.' : `${open} reviews are open.`]),
    whatHappened(decisions, stop),
  ];
  return sentences.filter((sentence) => typeof sentence === 'string').join(' ');
}

/** Whether it was made, and has not been replaced by another one. */
export function isInForce({ decision, supersededAt }: DecisionReport): boolean {
  return !decision.dryRun && supersededAt === undefined;
}

function stopSentence({ decision, steppedBackAt, stoppedInUnleashAt }: DecisionReport): string {
  const { at, rolloutPercentage, toPercentage, requestedBy } = decision;
  const reason = briefReason(decision);
  if (steppedBackAt !== undefined) {
    const steps = `from ${rolloutPercentage} % to ${toPercentage} %`;
    return `The guard took the rollout back ${steps} on ${formatTime(at)}: ${reason}`;
  }
  const where = rolloutPercentage === undefined ? '' : ` at ${rolloutPercentage} %`;
  const left = stoppedInUnleashAt === undefined ? ` ${NOT_OFF_YET}` : '';
  const who = requestedBy === undefined ? 'The guard stopped the flag' : 'The flag was stopped';
  return `${who}${where} on ${formatTime(at)}: ${reason}${left}`;
}

function nextStep({ stoppedInUnleashAt, steppedBackAt, confirmedBy }: DecisionReport): string {
  if (steppedBackAt !== undefined) return ` ${NEXT_STEP.steppedBack}`;
  if (stoppedInUnleashAt === undefined) return '';
  return ` ${confirmedBy === 'removed' ? NEXT_STEP.gone : NEXT_STEP.stopped}`;
}

function whereItStands(now: RolloutChange): string {
  const word = rolloutWord(now);
  return now.enabled && now.percentage !== undefined ? `The rollout is at ${word}.` : `The flag is ${word}.`;
}

/** @param stop - The latest decision that was no dry run; the guard has been armed again since. */
function whatHappened(decisions: RolloutReport['decisions'], stop: DecisionReport | undefined): string {
  if (stop?.steppedBackAt !== undefined) return stopSentence(stop);
  if (stop !== undefined) {
    const who = stop.turnedOnBy ?? 'an operator';
    return `The flag was stopped on ${formatTime(stop.decision.at)} and turned on again by ${who}.`;
  }
  if (decisions.length === 0) return 'Nothing was stopped.';
  const times = decisions.length === 1 ? 'once' : `${decisions.length} times`;
  return `In a dry run, the flag would have been stopped ${times}.`;
}

/** While a stage collects, the guard's last message on it is as old as the stage. */
export function stageSentence({ progress, outcomes }: RolloutReport['stages'][number]): string {
  const { stage, status, message } = progress;
  if (status !== 'collecting' || outcomes >= stage.minOutcomes) return message;
  const found = `${formatCount(outcomes)} of ${formatCount(stage.minOutcomes)} outcomes`;
  return `The stage at ${formatPercentage(stage.percentage)} has ${found}.`;
}
