import type { Snapshot } from '../../model/shapes.js';
import type { Stage, StageProgress } from '../../model/stage.js';
import { countOf, formatDuration, formatRate, inLast } from '../../support/wording.js';

/**
 * Evaluates the stage at `index` of the plan by the treatment's outcomes of the epoch. Pure. No data is neither good nor
 * bad: a stage without outcomes is `collecting`. But where outcomes should have come and did not, waiting may never end:
 * such a stage is `blocked`, once the longest window shows it.
 *
 * @param openReviews - What blocks it: the messages of open reviews, each a sentence.
 */
export function evaluateStage(
  stages: readonly Stage[],
  index: number,
  snapshot: Snapshot,
  openReviews: readonly string[],
): StageProgress {
  const stage = stages[index]!;
  const { successes, failures } = snapshot.total.treatment;
  const outcomes = successes + failures;
  const successRate = outcomes === 0 ? undefined : successes / outcomes;
  const elapsedMs = Math.max(0, snapshot.at - snapshot.epochStartedAt);
  const progress = { stage, index, outcomes, successRate, elapsedMs };

  if (openReviews.length > 0) {
    const message = `${title(stage)} waits for an operator: ${openReviews.join(' ')}`;
    return { ...progress, status: 'blocked', message };
  }
  const missing = missingOf(stage, outcomes, elapsedMs);
  if (missing.length > 0 || successRate === undefined) {
    const needs = `needs ${missing.join(' and ')}`;
    const silence = silenceOf(snapshot, outcomes < stage.minOutcomes);
    if (silence !== undefined) {
      const message = `${title(stage)} has no data: ${silence}. It still ${needs}. Check that the new path runs and reports.`;
      return { ...progress, status: 'blocked', message };
    }
    return { ...progress, status: 'collecting', message: `${title(stage)} ${needs}.` };
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

/** Why the treatment's outcomes seem to get lost; undefined while they arrive, or while no outcome is due. */
function silenceOf(snapshot: Snapshot, isShort: boolean): string | undefined {
  const longest = snapshot.windows.at(-1);
  if (longest === undefined) return undefined;
  const { windowMs, exposures, treatment } = longest;
  const { due, unreported } = exposures.treatment;
  const { successes, failures, expected, aborted } = treatment;
  if (due > 0 && unreported === due && successes + failures + expected + aborted === 0) {
    return `none of the treatment's ${countOf(due, 'exposure')} ${inLast(windowMs)} has an outcome`;
  }
  const { lastOutcomeAt } = snapshot.total.treatment;
  if (isShort && lastOutcomeAt !== undefined && snapshot.at - lastOutcomeAt > windowMs) {
    return `no outcome of the treatment has come for more than ${formatDuration(windowMs)}`;
  }
  return undefined;
}

function adviceAfter(stages: readonly Stage[], index: number): string {
  const next = stages[index + 1];
  return next === undefined
    ? 'It was the last stage: the rollout is complete.'
    : `Set the rollout to ${next.percentage} % in Unleash to continue.`;
}

function title(stage: Stage): string {
  return `The stage at ${stage.percentage} %`;
}
