import { formatThreshold } from '../support/wording.js';
import type { KnownRule, KnownRules, RolloutReport, Threshold } from './rollout-report.js';

/**
 * The success rates that a rollout must keep: those of the rules where they are given, otherwise those of the verdicts in
 * decisions and reviews; and each stage's for as long as it lasted.
 */
export function thresholdsOf(
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
