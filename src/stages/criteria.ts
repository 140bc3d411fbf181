import type { Snapshot } from '../flow.js';
import { countOf, formatRate } from '../triggers/wording.js';
import type { Stage, StageProgress } from './stage.js';

/**
 * Judges the stage at `index` of the plan by the treatment's outcomes of the epoch. Pure. No data is neither good nor
 * bad: a stage without outcomes is `collecting`.
 *
 * @param openReviews - Names of the reviews that a person has not answered yet.
 */
export function judgeStage(
  stages: readonly Stage[],
  index: number,
  snapshot: Snapshot,
  now: number,
  openReviews: readonly string[],
): StageProgress {
  const stage = stages[index]!;
  const { successes, failures } = snapshot.total.treatment;
  const outcomes = successes + failures;
  const successRate = outcomes === 0 ? undefined : successes / outcomes;
  const elapsedMs = Math.max(0, now - snapshot.epochStartedAt);
  const progress = { stage, index, outcomes, successRate, elapsedMs };

  if (openReviews.length > 0) {
    const message = `${title(stage)} waits for a person: ${openReviews.join(', ')}.`;
    return { ...progress, status: 'blocked', message };
  }
  const missing = missingOf(stage, outcomes, elapsedMs);
  if (missing.length > 0 || successRate === undefined) {
    return { ...progress, status: 'collecting', message: `${title(stage)} needs ${missing.join(' and ')}.` };
  }
  const found = `${formatRate(successRate, stage.minSuccessRate)} of ${outcomes} outcomes succeeded`;
  const wanted = formatRate(stage.minSuccessRate, stage.minSuccessRate);
  if (successRate < stage.minSuccessRate) {
    const message = `${title(stage)} is missed: ${found}, ${wanted} needed. Stay here, or go back in Unleash.`;
    return { ...progress, status: 'missed', message };
  }
  const message = `${title(stage)} is met: ${found}. ${adviceAfter(stages, index)}`;
  return { ...progress, status: 'met', message };
}

function missingOf(stage: Stage, outcomes: number, elapsedMs: number): string[] {
  const missing: string[] = [];
  const outcomesLeft = Math.max(stage.minOutcomes, 1) - outcomes;
  const timeLeftMs = (stage.minDurationMs ?? 0) - elapsedMs;
  if (outcomesLeft > 0) missing.push(countOf(outcomesLeft, 'more outcome'));
  if (timeLeftMs > 0) missing.push(countOf(Math.ceil(timeLeftMs / 60_000), 'more minute'));
  return missing;
}

function adviceAfter(stages: readonly Stage[], index: number): string {
  const next = stages[index + 1];
  return next === undefined
    ? 'It was the last stage: the rollout is complete.'
    : `Set the rollout to ${next.percentage} % in Unleash to go on.`;
}

function title(stage: Stage): string {
  return `The stage at ${stage.percentage} %`;
}
