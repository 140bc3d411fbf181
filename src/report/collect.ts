import { seriesOf } from '../dashboard/series.js';
import type { SharedRollout } from '../fleet/shared-rollout.js';
import type { RolloutChange } from '../model/event-entry.js';
import type { RolloutHistory, Rollup } from '../rollups/rollup.js';
import { mergeRollups } from '../rollups/rollup-sum.js';
import { formatThreshold } from '../support/wording.js';
import { headlineOf, isInForce } from './headline.js';
import { type RolloutRecords, readFleetRecords, readRecords } from './read/rollout-records.js';
import type {
  KnownRule,
  KnownRules,
  RolloutReport,
  RolloutStory,
  StageReport,
  Threshold,
} from './rollout-report.js';
import { armsOf, compareArms, errorTypesOf } from './totals.js';

/** As many as a wide chart can show. */
const POINTS = 160;

interface CollectOptions {
  /** Milliseconds since 1970. @default the present */
  readonly now?: number | undefined;
  /** The rollout's rules, where they are known; their thresholds are drawn. @default those of the guard's view */
  readonly rules?: KnownRules | undefined;
}

/** A folder without anything to report. */
class NothingToReportError extends Error {
  override readonly name = 'NothingToReportError';
  readonly code = 'NOTHING_TO_REPORT';
}

/**
 * Reports a rollout as guards left it in their folders, and in the folders of further guards within them. The guards may be running.
 *
 * @param folders - Of guards of one flag. What they counted adds up.
 * @throws {@link NothingToReportError} when none has anything; ConfigError when they are of different flags.
 */
export async function collectReport(
  folders: readonly string[],
  options: CollectOptions = {},
): Promise<RolloutReport> {
  const records = await readRecords(folders);
  if (records.guards === 0) {
    const why = records.problems.length === 0 ? '' : ` (${records.problems.join('; ')})`;
    throw new NothingToReportError(`No guard has written to ${folders.join(', ')}${why}.`);
  }
  return reportOf(records, options);
}

/** Reports what a fleet keeps of its rollout in the shared store. @throws {@link NothingToReportError}; FleetError */
export async function collectFleetReport(
  {
    flagKey,
    name,
    rollout,
  }: { readonly flagKey: string; readonly name: string; readonly rollout: SharedRollout },
  options: CollectOptions = {},
): Promise<RolloutReport> {
  const records = await readFleetRecords(flagKey, rollout);
  if (records.guards === 0) throw new NothingToReportError(`No leader has written to ${name}.`);
  return reportOf(records, options);
}

/** The report of what was read. Pure, but for the time. */
export function reportOf(
  records: RolloutRecords,
  { now = Date.now(), rules }: CollectOptions,
): RolloutReport {
  const { history, story, view, flagKey } = records;
  const { rollups } = history;
  const total = mergeRollups(rollups, rollups[0]?.at ?? now, 0);
  const arms = armsOf(total);
  const rollout = story.rollout.length > 0 ? story.rollout : rolloutOf(history);
  const known: RolloutStory = {
    decisions: story.decisions,
    reviews: story.reviews,
    stages: stagesOf(records, rollout),
    rollout,
  };
  const last = rollups.at(-1);
  // A folder whose guard ended long ago ends there, and not now.
  const until = last === undefined ? now : Math.min(now, last.at + last.durationMs);
  const decision = story.decisions.findLast(isInForce) ?? story.decisions.at(-1);
  const failed = decision?.decision.verdicts.find(({ failing = [] }) => failing.length > 0)?.failing;
  return {
    version: 1,
    flagKey,
    generatedAt: now,
    headline: headlineOf(known, {
      blind: story.isClosed ? [] : (story.health?.reasons.map(({ code }) => code) ?? []),
      isFlagMissing: story.problems.has('flag'),
    }),
    period: last && { from: rollups[0]!.at, to: until },
    arms,
    comparison: compareArms(arms),
    errorTypes: errorTypesOf(total),
    metrics: total.metrics ?? [],
    series: seriesOf(history, { points: POINTS }, [], until),
    ...known,
    triggers: view?.triggers ?? [],
    failing: failed ?? view?.failing ?? [],
    thresholds: thresholdsOf(known, rules ?? rulesOf(records)),
    notes: story.notes,
    sources: {
      guards: records.guards,
      rollups: rollups.length,
      events: story.events,
      eventLinesLeftOut: records.auditLinesLeftOut,
      problems: records.problems,
    },
  };
}

/** Without an audit log: the rollout as its rollups show it. */
function rolloutOf({ rollups }: RolloutHistory): RolloutChange[] {
  const changes: RolloutChange[] = [];
  for (const { at, epoch, percentage } of rollups) {
    const before = changes.at(-1);
    if (before?.epoch !== epoch || before.percentage !== percentage) {
      changes.push({ at, epoch, enabled: true, percentage });
    }
  }
  return changes;
}

function stagesOf(
  { story, history, view }: RolloutRecords,
  rollout: readonly RolloutChange[],
): StageReport[] {
  return story.stages.map((stage) => {
    const now = view?.stage;
    const isNow = view?.epoch === stage.epoch && now?.index === stage.progress.index;
    const progress = isNow ? now! : stage.progress;
    const { startedAt, epoch } = stage;
    const next = rollout.find((change) => change.at > startedAt && change.epoch !== epoch);
    const to = next?.at ?? Number.POSITIVE_INFINITY;
    const inMinutes = treatmentWithin(history.rollups, startedAt, to);
    // A decision has what was counted until then, also where that was within one minute.
    const decided = story.decisions.findLast(
      ({ decision: { at, epoch: of } }) => of === epoch && at >= startedAt && at <= to,
    )?.decision.counts.treatment;
    const { successes, failures } =
      decided === undefined || outcomesOf(decided) < outcomesOf(inMinutes) ? inMinutes : decided;
    const counted = successes + failures;
    // The guard's own figures are exact, and as old as its report; the rollups' ones reach to the end, but for a part of an hour.
    return isNow || counted < progress.outcomes
      ? { ...stage, progress, outcomes: progress.outcomes, successRate: progress.successRate }
      : {
          ...stage,
          progress,
          outcomes: counted,
          successRate: counted === 0 ? undefined : successes / counted,
        };
  });
}

function outcomesOf({ successes, failures }: { readonly successes: number; readonly failures: number }) {
  return successes + failures;
}

function treatmentWithin(rollups: readonly Rollup[], from: number, to: number) {
  let [successes, failures] = [0, 0];
  for (const { at, durationMs, arms } of rollups) {
    const middle = at + durationMs / 2;
    if (middle < from || middle >= to) continue;
    successes += arms.treatment.successes;
    failures += arms.treatment.failures;
  }
  return { successes, failures };
}

function rulesOf({ view }: RolloutRecords): KnownRules | undefined {
  if (view === undefined) return undefined;
  const of = (severity: 'rollback' | 'review') =>
    view.triggers.flatMap(({ severity: each, verdict }) =>
      each === severity && verdict !== undefined ? [verdict] : [],
    );
  return { rollback: of('rollback'), review: of('review') };
}

/** The rates that a rollout must keep: those of the rules where they are known, otherwise those of the verdicts in decisions and reviews. */
function thresholdsOf(
  { decisions, reviews }: RolloutStory,
  rules: KnownRules | undefined,
): readonly Threshold[] {
  const rollback = rules?.rollback ?? decisions.flatMap(({ decision }) => decision.verdicts);
  const review = rules?.review ?? reviews.map(({ verdict }) => verdict);
  const lines = [
    ...rollback.flatMap((rule) => horizontal(rule, 'rollback')),
    ...review.flatMap((rule) => horizontal(rule, 'review')),
  ];
  const isFirst = ({ errorRate }: Threshold, index: number) =>
    lines.findIndex((other) => Math.abs(other.errorRate - errorRate) < 1e-9) === index;
  return lines.filter(isFirst);
}

/** A success rate below 95 % is an error rate above 5 %. */
function horizontal({ rate, threshold }: KnownRule, kind: 'rollback' | 'review'): Threshold[] {
  if (rate === undefined || threshold === undefined) return [];
  const errorRate = Number((rate === 'error' ? threshold : 1 - threshold).toPrecision(12));
  const label = `${kind === 'rollback' ? 'stop' : 'review'}: ${formatThreshold(errorRate)}`;
  return [{ label, errorRate, kind }];
}
