import type { FlagFacts } from '../../model/flags.js';
import type { ArmCounts, Decision, Snapshot, Verdict } from '../../model/shapes.js';
import { percentageBefore, type Stage } from '../../model/stage.js';

/** Makes the decision that follows from breaches: why, with the counts behind it. Pure; the caller brings the identifier. */
export function makeDecision(input: {
  readonly id: string;
  readonly dryRun: boolean;
  readonly breaches: readonly Verdict[];
  readonly snapshot: Snapshot;
  readonly facts: FlagFacts | undefined;
  readonly stages: readonly Stage[];
  readonly onRollback: 'disable' | 'previous-stage';
}): Decision {
  const { breaches, snapshot, facts, stages, onRollback } = input;
  const before = percentageBefore(stages, facts?.rolloutPercentage);
  const toPercentage = onRollback === 'previous-stage' ? before : undefined;
  return {
    id: input.id,
    flagKey: snapshot.flagKey,
    ...(toPercentage === undefined ? { action: 'stop' } : { action: 'step-back', toPercentage }),
    dryRun: input.dryRun,
    at: snapshot.at,
    epoch: snapshot.epoch,
    rolloutPercentage: facts?.rolloutPercentage,
    verdicts: breaches,
    counts: { treatment: countsOf(snapshot.total.treatment), control: countsOf(snapshot.total.control) },
    reason: breaches.map((verdict) => verdict.message).join(' '),
  };
}

function countsOf(counts: ArmCounts): ArmCounts {
  const { successes, failures, expected, aborted, critical, fallbacks, retried, complaints } = counts;
  return { successes, failures, expected, aborted, critical, fallbacks, retried, complaints };
}
