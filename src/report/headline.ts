import type { Decision } from '../model/shapes.js';
import { formatCount, formatPercentage, formatTime } from './format.js';
import type { RolloutReport } from './rollout-report.js';

/** The state of a rollout, in one or two sentences. */
export function headlineOf({
  decisions,
  rollout,
  stages,
  reviews,
}: Pick<RolloutReport, 'decisions' | 'rollout' | 'stages' | 'reviews'>): string {
  const stop = decisions.findLast(({ decision }) => !decision.dryRun);
  if (stop !== undefined && stop.reArmedAt === undefined) {
    const { at, rolloutPercentage, reason } = stop.decision;
    const where = rolloutPercentage === undefined ? '' : ` at ${rolloutPercentage} %`;
    if (stop.steppedBackAt !== undefined) return steppedBack(stop.decision);
    const left = stop.stoppedInUnleashAt === undefined ? ' The flag is not off in Unleash yet.' : '';
    return `The guard stopped the flag${where} on ${formatTime(at)}: ${reason}${left}`;
  }
  const sentences = [whereItStands(rollout.at(-1)), stageWords(stages, rollout.at(-1)?.epoch)];
  const open = reviews.filter(({ closedAt }) => closedAt === undefined).length;
  if (open > 0) sentences.push(open === 1 ? 'A review is open.' : `${open} reviews are open.`);
  if (stop?.steppedBackAt !== undefined) {
    sentences.push(steppedBack(stop.decision));
  } else if (stop?.reArmedAt !== undefined) {
    const who = stop.turnedOnBy ?? 'an operator';
    sentences.push(`The flag was stopped on ${formatTime(stop.decision.at)} and turned on again by ${who}.`);
  } else if (decisions.length > 0) {
    sentences.push(`In a dry run, the flag would have been stopped ${times(decisions.length)}.`);
  } else {
    sentences.push('Nothing was stopped.');
  }
  return sentences.filter((sentence) => sentence !== undefined).join(' ');
}

function steppedBack({ at, rolloutPercentage, toPercentage, reason }: Decision): string {
  const steps = `from ${rolloutPercentage} % to ${toPercentage} %`;
  return `The guard took the rollout back ${steps} on ${formatTime(at)}: ${reason}`;
}

function whereItStands(last: RolloutReport['rollout'][number] | undefined): string | undefined {
  if (last === undefined) return undefined;
  if (!last.enabled) return 'The flag is off.';
  return last.percentage === undefined
    ? 'The flag is on.'
    : `The rollout is at ${formatPercentage(last.percentage)}.`;
}

function stageWords(stages: RolloutReport['stages'], epoch: number | undefined): string | undefined {
  const last = stages.findLast((stage) => stage.epoch === epoch);
  return last && stageSentence(last);
}

/** While a stage collects, the guard's last message on it is as old as the stage. */
export function stageSentence({ progress, outcomes }: RolloutReport['stages'][number]): string {
  const { stage, status, message } = progress;
  if (status !== 'collecting' || outcomes >= stage.minOutcomes) return message;
  const found = `${formatCount(outcomes)} of ${formatCount(stage.minOutcomes)} outcomes`;
  return `The stage at ${formatPercentage(stage.percentage)} has ${found}.`;
}

function times(count: number): string {
  return count === 1 ? 'once' : `${count} times`;
}
