import type { Verdict } from '../model/shapes.js';
import { formatThreshold } from '../support/wording.js';
import type { KnownRules, RolloutReport, Threshold } from './rollout-report.js';

interface Rule {
  readonly name: string;
  readonly threshold?: number | undefined;
}

/**
 * The success rates that a rollout was held to: those of the rules where they are given, otherwise those that decisions
 * and reviews speak of; and each stage's for as long as it lasted.
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
  const ruleOf = ({ trigger, threshold }: Verdict): Rule => ({ name: trigger, threshold });
  const rollback = rules?.rollback ?? decisions.flatMap(({ decision }) => decision.verdicts.map(ruleOf));
  const review = rules?.review ?? reviews.map(({ verdict }) => ruleOf(verdict));
  const held = [
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
  return [...withoutDoubles(held), ...stageLines];
}

/** An error rate above 5 % is a success rate below 95 %. Other rules are not about rates. */
function horizontal({ name, threshold }: Rule, kind: 'rollback' | 'review'): Threshold[] {
  if (threshold === undefined) return [];
  const successRate = /^success-rate/.test(name)
    ? threshold
    : /^(error|failure)-rate/.test(name)
      ? 1 - threshold
      : undefined;
  if (successRate === undefined || !(successRate >= 0 && successRate <= 1)) return [];
  const label = `${kind === 'rollback' ? 'stop' : 'review'}: ${formatThreshold(successRate)}`;
  return [{ label, successRate, kind, during: undefined }];
}

function withoutDoubles(thresholds: readonly Threshold[]): Threshold[] {
  const seen = new Map<string, Threshold>();
  for (const threshold of thresholds) if (!seen.has(threshold.label)) seen.set(threshold.label, threshold);
  return [...seen.values()];
}
