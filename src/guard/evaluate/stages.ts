import type { ArmTotals, Snapshot } from '../../model/snapshot.js';
import type { Stage, StageProgress } from '../../model/stage.js';
import { fisherTail, rateConfidenceInterval } from '../../statistics/confidence.js';
import { countOf, formatCount, formatDuration, formatRate, inLast } from '../../support/wording.js';

/** The chance that a stage whose rate is on target is ever called missed. */
const MISSED_ALPHA = 0.05;
/** The chance below which a difference of unfinished calls is no accident. */
const LOST_ALPHA = 0.01;
const MIN_CONTROL = 20;
/** More outcomes than these are not foretold. */
const MAX_FORETOLD = 1_000_000;

/**
 * Evaluates the stage at `index` of the plan by the treatment's outcomes of the epoch. Pure. No data is neither good nor
 * bad: a stage without outcomes is `collecting`. But where outcomes should have come and did not, waiting may never end:
 * such a stage is `blocked`, once the longest window shows it, and so is one whose outcomes are those of survivors. It is `missed`
 * only when an interval that is valid at any time excludes the target; between, it collects.
 *
 * @param openReviews - What blocks it: the open reviews, each in a sentence.
 * @param wasMissed - It was reported as missed at this percentage, which stays.
 * @param blind - Why the guard is blind now: codes. It then advises no further step.
 */
export function evaluateStage(
  stages: readonly Stage[],
  index: number,
  snapshot: Snapshot,
  openReviews: readonly string[],
  wasMissed = false,
  blind: () => readonly string[] = () => [],
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
  const lost = lostOf(stage, snapshot);
  if (lost !== undefined) {
    const message = `${title(stage)} counts survivors only: ${lost}. Check what happens to these calls.`;
    return { ...progress, status: 'blocked', message };
  }
  const found = `${formatRate(successRate, stage.minSuccessRate)} of ${formatCount(outcomes)} outcomes succeeded`;
  const wanted = formatRate(stage.minSuccessRate, stage.minSuccessRate);
  const { lower } = rateConfidenceInterval({ trials: outcomes, failures }, MISSED_ALPHA);
  if (wasMissed || lower > 1 - stage.minSuccessRate) {
    const message = `${found}, ${wanted} needed. Stay here, or go back in Unleash.`;
    return { ...progress, status: 'missed', message };
  }
  if (successRate < stage.minSuccessRate) {
    const message = `${title(stage)} is not decided: ${found}, ${wanted} needed. ${foretold(stage, outcomes, failures)}`;
    return { ...progress, status: 'collecting', message };
  }
  const codes = blind();
  if (codes.length > 0) {
    const message = `${found}, and the guard is blind (${codes.join(', ')}): leave the percentage as it is until that is over.`;
    return { ...progress, status: 'met', blind: codes, message };
  }
  return { ...progress, status: 'met', message: `${found}. ${adviceAfter(stages, index)}` };
}

function missingOf(stage: Stage, outcomes: number, elapsedMs: number): string[] {
  const missing: string[] = [];
  const outcomesLeft = Math.max(stage.minOutcomes, 1) - outcomes;
  const timeLeftMs = (stage.minDurationMs ?? 0) - elapsedMs;
  if (outcomesLeft > 0) missing.push(countOf(outcomesLeft, 'more outcome'));
  if (timeLeftMs > 0) missing.push(countOf(Math.ceil(timeLeftMs / 60_000), 'more minute'));
  return missing;
}

/** How many more outcomes it is likely to take, if they go on as they are. */
function foretold(stage: Stage, outcomes: number, failures: number): string {
  const tolerated = 1 - stage.minSuccessRate;
  const toMeet = tolerated > 0 ? Math.ceil(failures / tolerated) - outcomes : Number.POSITIVE_INFINITY;
  const parts = [
    ...(toMeet <= MAX_FORETOLD ? [`${countOf(toMeet, 'more outcome')} without a failure meet it`] : []),
    ...foretoldMiss(tolerated, outcomes, failures),
  ];
  return parts.length === 0 ? 'It needs more outcomes.' : `About ${parts.join(', about ')}.`;
}

function foretoldMiss(tolerated: number, outcomes: number, failures: number): string[] {
  const rate = failures / outcomes;
  for (let trials = outcomes * 2; trials <= outcomes + MAX_FORETOLD; trials *= 2) {
    const { lower } = rateConfidenceInterval({ trials, failures: rate * trials }, MISSED_ALPHA);
    if (lower > tolerated)
      return [`${formatCount(trials - outcomes)} more as they are show that it is missed`];
  }
  return [];
}

/** Whether more of the treatment's calls than of the control's ended without a result that counts; undefined when not. */
function lostOf({ minSuccessRate }: Stage, { total: { treatment, control } }: Snapshot): string | undefined {
  const [ofTreatment, ofControl] = [lostTrials(treatment), lostTrials(control)];
  if (ofControl.trials < MIN_CONTROL || ofTreatment.failures === 0) return undefined;
  const [share, other] = [ofTreatment.failures / ofTreatment.trials, ofControl.failures / ofControl.trials];
  if (share - other <= 1 - minSuccessRate || fisherTail(ofTreatment, ofControl) >= LOST_ALPHA)
    return undefined;
  return `${formatRate(share, other)} of the treatment's calls were given up by their callers or ended with expected errors, ${formatRate(other, share)} of the control's`;
}

function lostTrials({ successes, failures, expected, aborted }: ArmTotals) {
  return { trials: successes + failures + expected + aborted, failures: expected + aborted };
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
