import { MemoryOutcomeStore } from '../../measure/memory-outcome-store.js';
import type { Arm, Exposure, Outcome } from '../../model/shapes.js';
import type { Trigger } from '../../triggers/trigger.js';
import type { Random } from './random.js';
import type { Scenario, SimulatedRollout, SimulatedRules } from './scenario.js';

const FLAG_KEY = 'simulated';
const EPOCH = 1;
/** The guard's default tick. With less than a request a second, looking more often than they come shows nothing new. */
const TICK_MS = 1_000;
const SIGMA = 0.5;

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] };

/**
 * Plays one stage: invented outcomes, the user's own triggers, the guard's own store, a clock that only counts. The
 * triggers are asked after each outcome of the treatment and on every tick, as the guard asks them.
 */
export function simulateRollout(rules: SimulatedRules, scenario: Scenario, random: Random): SimulatedRollout {
  const { durationMs, requestsPerSecond, share, slowdown } = scenario;
  const review = rules.review ?? [];
  const triggers = [...rules.rollback, ...review];
  const store = new MemoryOutcomeStore({
    flagKey: FLAG_KEY,
    windowsMs: triggers.map(({ windowMs }) => windowMs),
    evidenceFor: triggers,
    now: 0,
  });
  store.beginEpoch(EPOCH, 0, { keepWindows: false });

  const users = usersOf(scenario, random);
  const outcome = blankOutcome();
  const exposure = outcome.exposure as Mutable<Exposure>;
  exposure.reason = share < 1 ? 'SPLIT' : 'STATIC';
  const reviews = new Set<string>();
  let treatmentRequests = 0;
  let treatmentFailures = 0;

  const look = (now: number): SimulatedRollout | undefined => {
    const snapshot = store.snapshot(now);
    const breaches = (list: readonly Trigger[]) =>
      list.filter((trigger) => trigger.evaluate(snapshot, now).status === 'breach').map(({ name }) => name);
    const stoppedBy = breaches(rules.rollback);
    for (const name of breaches(review)) reviews.add(name);
    if (stoppedBy.length === 0) return undefined;
    return { stoppedBy, endedAtMs: now, treatmentRequests, treatmentFailures, reviews: [...reviews] };
  };

  const gapMs = 1_000 / requestsPerSecond;
  const tickMs = Math.max(TICK_MS, gapMs);
  let nextTickAt = tickMs;
  let now = 0;
  for (;;) {
    now += -gapMs * Math.log1p(-random.next());
    for (; nextTickAt <= Math.min(now, durationMs); nextTickAt += tickMs) {
      const stopped = look(nextTickAt);
      if (stopped !== undefined) return stopped;
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
    const stopped = look(now);
    if (stopped !== undefined) return stopped;
  }
  return {
    stoppedBy: [],
    endedAtMs: durationMs,
    treatmentRequests,
    treatmentFailures,
    reviews: [...reviews],
  };
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
