import { EvaluationLoop, storeFor } from '../../guard/evaluate/evaluation-loop.js';
import { Evaluator } from '../../guard/evaluate/evaluator.js';
import { type GivenRules, resolveRules } from '../../guard/rules.js';
import type { GuardEvent } from '../../model/event.js';
import type { Arm, Exposure, Outcome } from '../../model/shapes.js';
import type { Random } from './random.js';

/** The traffic of one stage of a rollout. Rates and shares are fractions. */
export interface Scenario {
  /** The treatment's share of the users, above 0, at most 1. At 1 no control remains. */
  readonly share: number;
  readonly controlFailureRate: number;
  readonly treatmentFailureRate: number;
  /** Requests of both arms; they arrive by chance (a Poisson process). */
  readonly requestsPerSecond: number;
  /** How long the stage lasts, in milliseconds. */
  readonly durationMs: number;
  /** How many users there are: each keeps its arm and sends many requests. Undefined: each request is of another user. */
  readonly users?: number | undefined;
  /** The median duration of the control's requests, in milliseconds; durations are lognormal with σ = 0.5. */
  readonly latencyMs: number;
  /** How many times as long the treatment takes. */
  readonly slowdown: number;
}

/** How one simulated stage went. */
export interface SimulatedRollout {
  /** Names of the triggers that stopped it; empty when none did. */
  readonly stoppedBy: readonly string[];
  /** When it was stopped, or ended, in milliseconds from its start. */
  readonly endedAtMs: number;
  /** Requests of the treatment until then. */
  readonly treatmentRequests: number;
  /** How many of them failed. */
  readonly treatmentFailures: number;
  /** Reviews that were opened until then, by trigger. */
  readonly reviews: readonly string[];
}

const FLAG_KEY = 'simulated';
const EPOCH = 1;
/** The guard's default tick. With less than a request a second, ticking more often than they come shows nothing new. */
const TICK_MS = 1_000;
const SIGMA = 0.5;

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] };

/**
 * Simulates one stage: invented outcomes, the user's own triggers, the guard's own store and evaluation loop, a clock that
 * only counts. The triggers are evaluated after each outcome of the treatment and on every tick, as by a guard.
 */
export function simulateRollout(rules: GivenRules, scenario: Scenario, random: Random): SimulatedRollout {
  const { durationMs, requestsPerSecond, share, slowdown } = scenario;
  const resolved = { ...resolveRules(rules), flagKey: FLAG_KEY, stages: [] };
  const store = storeFor(resolved, 0);
  store.beginEpoch(EPOCH, 0, { keepWindows: false });
  const reviews = new Set<string>();
  const records = {
    emit(event: GuardEvent) {
      if (event.type === 'review-opened') reviews.add(event.verdict.trigger);
    },
    fault(_what: string, error: unknown) {
      throw error;
    },
  };
  let stoppedBy: readonly string[] = [];
  const loop = new EvaluationLoop({
    store,
    evaluator: new Evaluator({ ...resolved, records }),
    stages: [],
    onRollback: 'disable',
    dryRun: false,
    isEvaluating: () => true,
    isReviewing: () => stoppedBy.length === 0,
    onDecision({ verdicts }) {
      stoppedBy = verdicts.map(({ trigger }) => trigger);
    },
  });

  const users = usersOf(scenario, random);
  const outcome = blankOutcome();
  const exposure = outcome.exposure as Mutable<Exposure>;
  exposure.reason = share < 1 ? 'SPLIT' : 'STATIC';
  let treatmentRequests = 0;
  let treatmentFailures = 0;
  const result = (endedAtMs: number): SimulatedRollout => {
    return { stoppedBy, endedAtMs, treatmentRequests, treatmentFailures, reviews: [...reviews] };
  };

  const gapMs = 1_000 / requestsPerSecond;
  const tickMs = Math.max(TICK_MS, gapMs);
  let nextTickAt = tickMs;
  let now = 0;
  for (;;) {
    now += -gapMs * Math.log1p(-random.next());
    for (; nextTickAt <= Math.min(now, durationMs); nextTickAt += tickMs) {
      loop.tick(nextTickAt);
      if (stoppedBy.length > 0) return result(nextTickAt);
    }
    if (now > durationMs) break;

    const user = users?.[Math.floor(random.next() * users.length)];
    const arm: Arm = user?.arm ?? (random.chance(share) ? 'treatment' : 'control');
    const treated = arm === 'treatment';
    const failed = random.chance(treated ? scenario.treatmentFailureRate : scenario.controlFailureRate);
    exposure.arm = arm;
    exposure.targetingKey = user?.key;
    exposure.at = now;
    outcome.result = failed ? 'failure' : 'success';
    outcome.durationMs = scenario.latencyMs * Math.exp(SIGMA * random.normal()) * (treated ? slowdown : 1);
    outcome.errorType = failed ? 'SimulatedError' : undefined;
    outcome.at = now;
    store.record(outcome);
    if (!treated) continue;
    treatmentRequests++;
    if (failed) treatmentFailures++;
    loop.evaluate(now);
    if (stoppedBy.length > 0) return result(now);
  }
  return result(durationMs);
}

function usersOf({ users, share }: Scenario, random: Random) {
  if (users === undefined) return undefined;
  return Array.from({ length: users }, (_, index): { readonly key: string; readonly arm: Arm } => ({
    key: `user-${index}`,
    arm: random.chance(share) ? 'treatment' : 'control',
  }));
}

/** One object for all outcomes: stores keep none. */
function blankOutcome(): Mutable<Outcome> {
  return {
    exposure: {
      flagKey: FLAG_KEY,
      arm: 'control',
      variant: undefined,
      reason: 'SPLIT',
      errorCode: undefined,
      targetingKey: undefined,
      epoch: EPOCH,
      at: 0,
    },
    result: 'success',
    durationMs: undefined,
    errorType: undefined,
    critical: false,
    fallbackUsed: false,
    userSucceeded: true,
    attempts: 1,
    attributes: undefined,
    at: 0,
  };
}
