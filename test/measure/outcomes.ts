import type { Exposure, Outcome } from '../../src/model/shapes.js';
import type { SettledOutcome } from '../../src/statistics/rollout-evidence.js';

/** An arbitrary time that is no multiple of any bucket. */
export const START = 1_700_000_000_123;

interface OutcomeFacts extends Partial<Omit<Outcome, 'exposure'>> {
  readonly arm?: Exposure['arm'];
  readonly epoch?: number;
  readonly reason?: string | undefined;
  readonly targetingKey?: string | undefined;
  readonly chance?: number | undefined;
}

/** A successful outcome of the treatment in epoch 1, drawn at 50 %, unless the facts differ. */
export function outcomeOf({
  arm = 'treatment',
  epoch = 1,
  reason = 'SPLIT',
  targetingKey = 'user-1',
  chance = reason === 'SPLIT' ? 0.5 : undefined,
  ...facts
}: OutcomeFacts = {}): Outcome {
  const at = facts.at ?? START;
  return {
    exposure: {
      flagKey: 'async-upload',
      arm,
      variant: undefined,
      reason,
      errorCode: undefined,
      targetingKey,
      chance,
      unit: targetingKey === '' ? undefined : targetingKey,
      epoch,
      at,
    },
    result: 'success',
    durationMs: 100,
    errorType: undefined,
    critical: false,
    fallbackUsed: false,
    userSucceeded: true,
    attempts: 1,
    attributes: undefined,
    at,
    ...facts,
  };
}

/** A success of the control, whose arm was drawn at 50 %, unless the facts differ. */
export function settledOutcome(facts: Partial<SettledOutcome> = {}): SettledOutcome {
  return {
    unit: 0,
    treated: false,
    chance: 0.5,
    at: 1,
    result: 'success',
    fallback: false,
    retried: false,
    durationMs: 100,
    weight: 1,
    evidence: 'all',
    ...facts,
  };
}
