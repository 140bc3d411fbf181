import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { AUDIT_FILE, type AuditProblem, readAuditLog } from '../journal/audit-reader.js';

import { outcomeOfRow } from '../log/log-row-schema.js';
import { JSONL_FILE, type LogProblem, readOutcomeBatches } from '../log/read-log.js';
import { formatThreshold } from '../support/wording.js';
import { AuditStory } from './audit-story.js';
import { headlineOf } from './headline.js';
import { compareArms, OutcomeStory } from './outcome-story.js';
import type {
  KnownRule,
  KnownRules,
  RolloutChange,
  RolloutReport,
  StageReport,
  Threshold,
} from './rollout-report.js';

/** How many problems are listed; the rest is counted. */
const MAX_PROBLEMS = 20;

/** How many outcomes a point of the charts stands for at least, where the rollout lasts that long. */
const MIN_OUTCOMES_OF_A_POINT = 20;

export interface CollectOptions {
  /** Milliseconds since 1970. @default the present */
  readonly now?: number | undefined;
  /** The rollout's rules, where they are known; their thresholds are drawn. */
  readonly rules?: KnownRules | undefined;
}

/** A folder without anything to report. */
export class NothingToReportError extends Error {
  override readonly name = 'NothingToReportError';
  readonly code = 'NOTHING_TO_REPORT';
}

/**
 * Reads a guard's folder, one line after the other, in bounded memory. The guard may be running.
 *
 * @param folder - The guard's folder: `metrics.jsonl` with its rotated files, and `audit.jsonl`. Either may be missing.
 * @throws {@link NothingToReportError} when both are missing, or the folder is.
 */
export async function collectReport(folder: string, options: CollectOptions = {}): Promise<RolloutReport> {
  const events = await readEvents(folder);
  const outcomes = await readOutcomes(folder, events?.flagKey);
  if (events === undefined && outcomes === undefined) {
    throw new NothingToReportError(`${folder} holds neither ${JSONL_FILE} nor ${AUDIT_FILE}.`);
  }
  const audit = events?.story ?? new AuditStory();
  const story = outcomes?.story ?? new OutcomeStory();
  const arms = story.arms();
  const rollout = audit.rollout.length > 0 ? audit.rollout : rolloutOf(story);
  const stages = audit.stages.map((stage) => withOutcomes(stage, story));
  const period = story.count === 0 ? undefined : { from: story.from, to: story.to };
  const known = { decisions: audit.decisions, reviews: audit.reviews, stages, rollout };
  return {
    version: 1,
    flagKey: outcomes?.flagKey ?? audit.decisions[0]?.decision.flagKey ?? events?.flagKey,
    generatedAt: options.now ?? Date.now(),
    headline: headlineOf(known),
    period,
    arms,
    comparison: compareArms(arms),
    complaints: audit.complaints,
    executionTypes: story.executionTypes(),
    errorTypes: story.errorTypes(),
    series: story.series.toSeries(
      MIN_OUTCOMES_OF_A_POINT,
      rollout.map(({ at }) => at),
    ),
    ...known,
    thresholds: thresholdsOf(known, options.rules),
    notes: audit.notes,
    sources: {
      outcomes: story.count,
      outcomeLinesLeftOut: outcomes?.leftOut ?? 0,
      outcomesOfOtherFlags: outcomes?.otherFlags ?? 0,
      outcomeLinesOutOfOrder: outcomes?.outOfOrder ?? 0,
      outcomeProblems: outcomes?.problems ?? [],
      events: audit.events,
      eventLinesLeftOut: events?.leftOut ?? 0,
      eventProblems: events?.problems ?? [],
    },
  };
}

async function readEvents(folder: string) {
  const path = join(folder, AUDIT_FILE);
  if (!(await exists(path))) return undefined;
  const story = new AuditStory();
  const problems: AuditProblem[] = [];
  let leftOut = 0;
  let flagKey: string | undefined;
  const onProblem = (problem: AuditProblem) => {
    leftOut += 1;
    if (problems.length < MAX_PROBLEMS) problems.push(problem);
  };
  for await (const event of readAuditLog(path, onProblem)) {
    flagKey ??= event.flagKey;
    story.add(event);
  }
  return { story, problems, leftOut, flagKey };
}

async function readOutcomes(folder: string, guardsFlag: string | undefined) {
  if (!(await exists(join(folder, JSONL_FILE)))) return undefined;
  const story = new OutcomeStory();
  const problems: LogProblem[] = [];
  let leftOut = 0;
  let outOfOrder = 0;
  let otherFlags = 0;
  let flagKey = guardsFlag;
  const onProblem = (problem: LogProblem) => {
    if (problem.used) outOfOrder += 1;
    else leftOut += 1;
    if (problems.length < MAX_PROBLEMS) problems.push(problem);
  };
  for await (const rows of readOutcomeBatches(folder, { onProblem })) {
    for (const row of rows) {
      flagKey ??= row.flag_key;
      if (row.flag_key !== flagKey) {
        otherFlags += 1;
        continue;
      }
      story.add(outcomeOfRow(row), row.execution_type, row.percentage ?? undefined);
    }
  }
  return { story, problems, leftOut, otherFlags, outOfOrder, flagKey };
}

/** Without an audit log: the rollout as its outcomes show it. */
function rolloutOf({ epochs }: OutcomeStory): RolloutChange[] {
  return Array.from(epochs, ([epoch, { firstAt, percentage }]) => ({
    at: firstAt,
    epoch,
    enabled: true,
    percentage,
  })).sort((a, b) => a.at - b.at);
}

function withOutcomes(
  stage: Omit<StageReport, 'outcomes' | 'successRate'>,
  story: OutcomeStory,
): StageReport {
  const { successes, failures } = story.epochs.get(stage.epoch) ?? { successes: 0, failures: 0 };
  const logged = successes + failures;
  // The log of outcomes is optional: the guard's own figures of the stage are known without it.
  if (logged < stage.progress.outcomes) {
    return { ...stage, outcomes: stage.progress.outcomes, successRate: stage.progress.successRate };
  }
  return { ...stage, outcomes: logged, successRate: logged === 0 ? undefined : successes / logged };
}

/**
 * The success rates that a rollout must keep: those of the rules where they are given, otherwise those of the verdicts in
 * decisions and reviews; and each stage's for as long as it lasted.
 */
function thresholdsOf(
  {
    decisions,
    reviews,
    stages,
    rollout,
  }: Pick<RolloutReport, 'decisions' | 'reviews' | 'stages' | 'rollout'>,
  rules: KnownRules | undefined,
): readonly Threshold[] {
  const rollback = rules?.rollback ?? decisions.flatMap(({ decision }) => decision.verdicts);
  const review = rules?.review ?? reviews.map(({ verdict }) => verdict);
  const ruleLines = [
    ...rollback.flatMap((rule) => horizontal(rule, 'rollback')),
    ...review.flatMap((rule) => horizontal(rule, 'review')),
  ];
  const stageLines = stages.map(({ progress, startedAt }) => ({
    label: `stage: ${formatThreshold(progress.stage.minSuccessRate)}`,
    successRate: progress.stage.minSuccessRate,
    kind: 'stage' as const,
    during: {
      from: startedAt,
      to: rollout.find(({ at }) => at > startedAt)?.at ?? Number.POSITIVE_INFINITY,
    },
  }));
  return [...withoutDoubles(ruleLines), ...stageLines];
}

/** An error rate above 5 % is a success rate below 95 %. */
function horizontal({ rate, threshold }: KnownRule, kind: 'rollback' | 'review'): Threshold[] {
  if (rate === undefined || threshold === undefined) return [];
  const successRate = rate === 'success' ? threshold : 1 - threshold;
  const label = `${kind === 'rollback' ? 'stop' : 'review'}: ${formatThreshold(successRate)}`;
  return [{ label, successRate, kind, during: undefined }];
}

function withoutDoubles(thresholds: readonly Threshold[]): Threshold[] {
  const seen = new Map<string, Threshold>();
  for (const threshold of thresholds) if (!seen.has(threshold.label)) seen.set(threshold.label, threshold);
  return [...seen.values()];
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch {
    return false;
  }
}
