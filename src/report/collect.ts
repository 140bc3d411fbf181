import { basename, join } from 'node:path';
import { AUDIT_FILE } from '../journal/audit-log.js';
import { type AuditProblem, readAuditLog } from '../journal/audit-reader.js';
import { foldersIn } from '../journal/guard-folder.js';
import { outcomeOfRow } from '../log/log-row-schema.js';
import { JSONL_FILE, type LogProblem, readOutcomeBatches } from '../log/read-log.js';
import { hasLog } from '../log/rotating-file.js';
import type { RolloutChange } from '../model/event-entry.js';
import { formatThreshold } from '../support/wording.js';
import { AuditStory } from './audit-story.js';
import { headlineOf } from './headline.js';
import { compareArms, OutcomeStory } from './outcome-story.js';
import type {
  KnownRule,
  KnownRules,
  RolloutReport,
  RolloutStory,
  StageReport,
  Threshold,
} from './rollout-report.js';

/** How many problems are listed; the rest is counted. */
const MAX_PROBLEMS = 20;

/** How many outcomes a point of the charts stands for at least, where the rollout lasts that long. */
const MIN_OUTCOMES_OF_A_POINT = 20;

interface CollectOptions {
  /** Milliseconds since 1970. @default the present */
  readonly now?: number | undefined;
  /** The rollout's rules, where they are known; their thresholds are drawn. */
  readonly rules?: KnownRules | undefined;
}

/** A folder without anything to report. */
class NothingToReportError extends Error {
  override readonly name = 'NothingToReportError';
  readonly code = 'NOTHING_TO_REPORT';
}

/**
 * Reads a guard's folder, one line after the other, in bounded memory, and the folders within it of further guards of the same
 * flag. The guards may be running.
 *
 * @param folder - The guard's folder: `metrics.jsonl` and `audit.jsonl` with their rotated files. Either may be missing.
 * @throws {@link NothingToReportError} when both are missing everywhere, or the folder is.
 */
export async function collectReport(folder: string, options: CollectOptions = {}): Promise<RolloutReport> {
  const folders = await foldersIn(folder);
  const logged = await havingLog(folders, JSONL_FILE);
  if (logged.length + (await havingLog(folders, AUDIT_FILE)).length === 0) {
    throw new NothingToReportError(`${folder} contains neither ${JSONL_FILE} nor ${AUDIT_FILE}.`);
  }
  const eventProblems = new Problems<AuditProblem>();
  const audit = await readAudit(folders, eventProblems);
  const outcomeProblems = new Problems<LogProblem>();
  const story = new OutcomeStory();
  story.flagKey = audit.flagKey;
  let outcomesOfOtherFlags = 0;
  for (const path of logged) outcomesOfOtherFlags += await readOutcomes(path, story, outcomeProblems);
  const arms = story.arms();
  const rollout = audit.rollout.length > 0 ? audit.rollout : rolloutOf(story);
  const stages = audit.stages.map((stage) => withOutcomes(stage, story));
  const known: RolloutStory = { decisions: audit.decisions, reviews: audit.reviews, stages, rollout };
  return {
    version: 1,
    flagKey: story.flagKey ?? audit.decisions[0]?.decision.flagKey,
    generatedAt: options.now ?? Date.now(),
    headline: headlineOf(known),
    period: story.count === 0 ? undefined : { from: story.from, to: story.to },
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
      outcomeLinesLeftOut: outcomeProblems.count - outcomeProblems.used,
      outcomesOfOtherFlags,
      outcomeLinesOutOfOrder: outcomeProblems.used,
      outcomeProblems: outcomeProblems.listed,
      events: audit.events,
      eventLinesLeftOut: eventProblems.count,
      eventProblems: eventProblems.listed,
    },
  };
}

/** Problems with lines: all are counted, the first are listed. */
class Problems<Problem extends AuditProblem | LogProblem> {
  readonly listed: Problem[] = [];
  count = 0;
  /** Those whose line is used all the same. */
  used = 0;

  readonly add = (problem: Problem): void => {
    this.count += 1;
    if ('used' in problem && problem.used) this.used += 1;
    if (this.listed.length < MAX_PROBLEMS) this.listed.push(problem);
  };
}

/** @returns how many outcomes are of other flags. */
async function readOutcomes(
  folder: string,
  story: OutcomeStory,
  problems: Problems<LogProblem>,
): Promise<number> {
  let otherFlags = 0;
  for await (const rows of readOutcomeBatches(folder, { onProblem: problems.add })) {
    for (const row of rows) {
      story.flagKey ??= row.flag_key;
      if (row.flag_key === story.flagKey) {
        const outcome = outcomeOfRow(row);
        for (let count = 0; count < row.weight; count++) {
          story.add(outcome, row.execution_type, row.percentage ?? undefined);
        }
      } else {
        otherFlags += row.weight;
      }
    }
  }
  return otherFlags;
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
  { decisions, reviews, stages, rollout }: RolloutStory,
  rules: KnownRules | undefined,
): readonly Threshold[] {
  const rollback = rules?.rollback ?? decisions.flatMap(({ decision }) => decision.verdicts);
  const review = rules?.review ?? reviews.map(({ verdict }) => verdict);
  const ruleLines = [
    ...rollback.flatMap((rule) => horizontal(rule, 'rollback')),
    ...review.flatMap((rule) => horizontal(rule, 'review')),
  ];
  const stageLines = stages.map(({ progress, startedAt: from }): Threshold => {
    const { minSuccessRate: successRate } = progress.stage;
    const to = rollout.find(({ at }) => at > from)?.at ?? Number.POSITIVE_INFINITY;
    const label = `stage: ${formatThreshold(successRate)}`;
    return { label, successRate, kind: 'stage', during: { from, to } };
  });
  const isFirst = ({ label }: Threshold, index: number) =>
    ruleLines.findIndex((other) => other.label === label) === index;
  return [...ruleLines.filter(isFirst), ...stageLines];
}

/** An error rate above 5 % is a success rate below 95 %. */
function horizontal({ rate, threshold }: KnownRule, kind: 'rollback' | 'review'): Threshold[] {
  if (rate === undefined || threshold === undefined) return [];
  const successRate = rate === 'success' ? threshold : 1 - threshold;
  const label = `${kind === 'rollback' ? 'stop' : 'review'}: ${formatThreshold(successRate)}`;
  return [{ label, successRate, kind, during: undefined }];
}

/** The events of the first guard's flag, of all its guards. */
async function readAudit(folders: readonly string[], problems: Problems<AuditProblem>): Promise<AuditStory> {
  let all: AuditStory | undefined;
  for (const folder of folders) {
    const story = new AuditStory();
    for await (const event of readAuditLog(join(folder, AUDIT_FILE), problems.add)) story.add(event);
    if (all === undefined || all.events === 0) all = story;
    else if (story.flagKey === all.flagKey) all.merge(story, basename(folder));
  }
  return all ?? new AuditStory();
}

/** The folders with such a log; a crash may have left its rotated files only. */
async function havingLog(folders: readonly string[], file: string): Promise<string[]> {
  const found = await Promise.all(folders.map((folder) => hasLog(join(folder, file))));
  return folders.filter((_, index) => found[index]);
}
