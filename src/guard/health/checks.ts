import { formatDuration } from '../../support/wording.js';
import type { FleetProgress, HealthFacts, Problem } from './health-facts.js';

/** One thing that can make a guard blind. */
export interface HealthCheck {
  /** For how long it must be found without a break, in milliseconds, before the guard is blind. */
  readonly afterMs: number | ((facts: HealthFacts) => number);
  readonly find: (facts: HealthFacts) => Problem | readonly Problem[] | undefined;
}

const SECOND = 1_000;
const MINUTE = 60 * SECOND;

/** A loop that is busy for shorter delays evaluations, and no more. */
export const LATE_MS = 5 * SECOND;
/** So many exposures without any outcome, before the first: an operation is not behind each evaluation. */
const UNANSWERED = 100;
/** So many outcomes were to be expected, and none came. */
const EXPECTED_OUTCOMES = 30;
const IN_A_ROW = 20;
/** Outcomes that come less often than that gather slowly. */
const STEADY_MS = 2 * MINUTE;

/**
 * Everything that is watched, in the order in which it is shown. No traffic, a flag that is off or at 0 %, and a stop are
 * none of it. Pure.
 */
export const CHECKS: readonly HealthCheck[] = [
  {
    afterMs: 0,
    find: ({ tickMs, tickLateMs }) =>
      tickLateMs > Math.max(LATE_MS, 5 * tickMs)
        ? {
            code: 'event-loop-blocked',
            message: `The guard did not run for ${about(tickLateMs)}: nothing was evaluated meanwhile. The process was frozen, synchronous code blocks its event loop, or it gets too little of the processor.`,
          }
        : undefined,
  },
  {
    afterMs: 10 * SECOND,
    find: ({ tickFailure }) =>
      tickFailure === undefined
        ? undefined
        : { code: 'evaluation-failed', message: `The guard's evaluation fails: ${tickFailure}` },
  },
  {
    afterMs: 0,
    find: ({ tickMs, unevaluatedMs = 0 }) =>
      unevaluatedMs > Math.max(10 * SECOND, 5 * tickMs)
        ? {
            code: 'not-evaluated',
            message: `Outcomes have been recorded for ${about(unevaluatedMs)} that nothing has evaluated.`,
          }
        : undefined,
  },
  {
    afterMs: 10 * SECOND,
    find: ({ observed: { unrecorded } }) =>
      unrecorded >= IN_A_ROW
        ? {
            code: 'not-recorded',
            message: `The last ${unrecorded} outcomes could not be recorded; the fault "recording an outcome" has the cause.`,
          }
        : undefined,
  },
  {
    afterMs: 10 * SECOND,
    find: ({ brokenTriggers, isWatching }) =>
      isWatching && brokenTriggers.length > 0
        ? {
            code: 'trigger-failed',
            message: `These rollback triggers fail and are not evaluated: ${brokenTriggers.join(', ')}. The faults have the causes.`,
          }
        : undefined,
  },
  { afterMs: 0, find: ({ fleet }) => fleet && unreadBy(fleet) },
  { afterMs: 0, find: ({ fleet }) => fleet && undeliveredTo(fleet) },
  { afterMs: 10 * SECOND, find: ({ fleet }) => fleet && unreachable(fleet) },
  {
    afterMs: 0,
    find: ({ replacedBy }) =>
      replacedBy === undefined
        ? undefined
        : {
            code: 'provider-replaced',
            message: `OpenFeature now evaluates through the provider "${replacedBy}" instead of this guard's: a stop takes effect at once in the guard's operations only, and what an operator changes in Unleash does not arrive. Register a new provider for the guard, and make a new guard with it.`,
          },
  },
  {
    afterMs: 10 * SECOND,
    find: ({ replacedBy, source: { status, message, since } }) => {
      // OpenFeature closes what it replaces.
      if (status === 'ok' || replacedBy !== undefined) return undefined;
      const known = message === undefined ? '' : ` ${message}`;
      const text = `The flag's definition is out of date: what an operator changes in Unleash does not arrive.${known}`;
      return { code: 'stale-flags', message: text, since };
    },
  },
  {
    afterMs: 30 * SECOND,
    find: ({ flagKey, source, isFlagKnown }) =>
      source.status === 'ok' && !isFlagKnown
        ? {
            code: 'flag-missing',
            message: `Unleash sends no flag "${flagKey}" to the provider: it is misspelled, archived, deleted or in a project that the client token cannot read.`,
          }
        : undefined,
  },
  { afterMs: 30 * SECOND, find: ({ admin }) => admin.flatMap(adminProblem) },
  {
    afterMs: 30 * SECOND,
    find: ({ isWatching, isFlagKnown, source, observed: { failedEvaluations, evaluationError } }) =>
      isWatching && isFlagKnown && source.status === 'ok' && failedEvaluations >= IN_A_ROW
        ? {
            code: 'evaluations-failed',
            message: `The last ${failedEvaluations} evaluations failed (${evaluationError}), so that all users got the default. Evaluate with a client of the guard's own provider: its OpenFeature domain may be another.`,
          }
        : undefined,
  },
  {
    afterMs: 30 * SECOND,
    find: ({ flagKey, observed: { unattributed } }) =>
      unattributed >= IN_A_ROW
        ? {
            code: 'hook-missing',
            message: `The last ${unattributed} outcomes of client.track('${flagKey}') belong to no known evaluation. Register new OutcomeHook(guard), and track with the targeting key of the evaluation.`,
          }
        : undefined,
  },
  {
    afterMs: ({ outcomeTimeoutMs, observed }) =>
      Math.max(observed.expectedOutcomes === undefined ? 10 * MINUTE : MINUTE, outcomeTimeoutMs),
    find: ({ isWatching, observed: { unanswered, expectedOutcomes } }) => {
      if (!isWatching) return undefined;
      const isOverdue =
        expectedOutcomes === undefined ? unanswered >= UNANSWERED : expectedOutcomes >= EXPECTED_OUTCOMES;
      if (!isOverdue) return undefined;
      return {
        code: 'no-outcomes',
        message: `${unanswered} evaluations gave the treatment, and none of them has had an outcome. Run the code through guard.operation(), or report it with client.track(); a treatment that hangs has none either.`,
      };
    },
  },
  {
    afterMs: 60 * MINUTE,
    find: ({ isWatching, hasRuleData, outcomeAgeMs }) =>
      isWatching && hasRuleData === false && outcomeAgeMs !== undefined && outcomeAgeMs < STEADY_MS
        ? {
            code: 'no-rule-has-data',
            message:
              'Outcomes of the treatment come all the time, and no rollback trigger has had enough of them for an hour. Lower minOutcomes, or widen windowMs.',
          }
        : undefined,
  },
  {
    afterMs: 5 * MINUTE,
    find: ({ isWatching, unreadableSignals }) =>
      isWatching && unreadableSignals.length > 0
        ? {
            code: 'signal-unreadable',
            message: `Rollback triggers cannot read their signals. ${unreadableSignals.map(({ trigger, problem }) => `${trigger}: ${problem}`).join(' ')}`,
          }
        : undefined,
  },
];

/** Why a guard that does not run is blind; undefined while it runs. */
export function notRunning({ lifecycle, startFailure }: HealthFacts): Problem | undefined {
  switch (lifecycle) {
    case 'running':
      return undefined;
    case 'new':
      return { code: 'not-started', message: 'The guard has not been started: call guard.start().' };
    case 'failed':
      return { code: 'not-started', message: `The guard could not be started: ${startFailure}` };
    case 'closed':
      return { code: 'closed', message: 'The guard was closed: it no longer protects the flag.' };
  }
}

/** `ADMIN_TOKEN` is `admin-token` here. A token that only expires soon works still. */
function adminProblem({ code, ...problem }: Problem): readonly Problem[] {
  if (code === 'TOKEN_EXPIRES') return [];
  return [{ ...problem, code: code.toLowerCase().replaceAll('_', '-') }];
}

function unreadBy({ unreadMs = 0, evaluateMs, problem }: FleetProgress): Problem | undefined {
  if (problem !== undefined || unreadMs <= Math.max(10 * SECOND, 20 * evaluateMs)) return undefined;
  return {
    code: 'leader-stuck',
    message: `This process leads the fleet, and has not got through what the fleet recorded for ${about(unreadMs)}. The faults have the cause.`,
  };
}

function undeliveredTo({ undeliveredMs, flushMs, problem }: FleetProgress): Problem | undefined {
  // Without the shared store, this process evaluates its own outcomes.
  if (problem !== undefined || undeliveredMs <= Math.max(30 * SECOND, 20 * flushMs)) return undefined;
  return {
    code: 'not-delivered',
    message: `The shared store replies, and has not accepted this process's outcomes for ${about(undeliveredMs)}: no leader reads them, or this process has no definition of the flag.`,
  };
}

function unreachable({ problem, isLeaderless, mayLead, observes }: FleetProgress): Problem | undefined {
  if (problem === undefined) {
    return isLeaderless && !mayLead
      ? {
          code: 'no-leader',
          message:
            'The fleet has no leader: no process that runs has an admin token, so that none can turn the flag off in Unleash. Start a controller.',
        }
      : undefined;
  }
  if (mayLead && observes) return undefined;
  const lost = mayLead
    ? 'this process sees no outcomes without it'
    : 'this process can stop the flag for itself only';
  return { code: 'fleet-unreachable', message: `The shared store is unreachable, and ${lost}: ${problem}` };
}

function about(durationMs: number): string {
  return formatDuration(Math.round(durationMs / SECOND) * SECOND);
}

/** What every process of a fleet finds alike: Unleash, the flag, and the token that the leader uses. */
const SHARED = /^(stale-flags|flag-missing|admin-.*)$/;

/** Whether an event is about this process alone, so that no other process of the fleet reports it. */
export function concernsOneProcess({
  began,
  ended,
}: {
  readonly began: readonly string[];
  readonly ended: readonly { readonly code: string }[];
}): boolean {
  return [...began, ...ended.map(({ code }) => code)].some((code) => !SHARED.test(code));
}
