import type { Verdict } from '../../model/shapes.js';
import { messageOf } from '../../support/async/callbacks.js';
import type { SignalPoller } from '../../triggers/signals/signal-poller.js';
import type { GuardContext } from '../context/guard-context.js';
import type { Evaluator } from '../evaluate/evaluator.js';
import type { GuardFleet } from '../guard-fleet.js';
import type { GuardLoop } from '../guard-loop.js';
import type { GuardMachine } from '../guard-machine.js';
import type { EvaluationClient } from '../observe/evaluation-client.js';
import type { OutcomeRecorder } from '../observe/outcome-recorder.js';
import type { HealthFacts, Problem } from './health-facts.js';

/** The parts of a guard that are watched. */
interface WatchedParts {
  readonly context: GuardContext;
  readonly client: EvaluationClient;
  readonly machine: GuardMachine;
  readonly evaluator: Evaluator;
  readonly fleet: GuardFleet;
  readonly loop: GuardLoop;
  readonly recorder: OutcomeRecorder;
  readonly signals: SignalPoller;
  /** What the admin client found out about its token and the flag. */
  readonly adminProblems: () => readonly Problem[];
}

/** Units of rules that count what is rare, or measure the process: they always have data. */
const COUNTING: readonly Verdict['unit'][] = ['count', 'bytes'];

/** Gathers the facts that the health checks evaluate. Nothing here throws. */
export class HealthProbe {
  readonly #parts: WatchedParts;
  #lifecycle: HealthFacts['lifecycle'] = 'new';
  #startFailure: string | undefined;
  #tickedAt: number | undefined;
  #tickLateMs = 0;
  #tickFailure: string | undefined;
  #epoch: number | undefined;

  constructor(parts: WatchedParts) {
    this.#parts = parts;
  }

  /** The guard is about to tick for the first time. */
  started(): void {
    this.#lifecycle = 'running';
    this.#tickedAt = this.#parts.context.clock.monotonic();
  }

  startFailed(error: unknown): void {
    this.#lifecycle = 'failed';
    this.#startFailure = messageOf(error);
  }

  closed(): void {
    this.#lifecycle = 'closed';
  }

  /** Runs a tick, and notes how late it came, and whether it failed. @throws what the tick throws. */
  tick(run: () => void): void {
    const { clock, tickMs } = this.#parts.context;
    const now = clock.monotonic();
    this.#tickLateMs = now - (this.#tickedAt ?? now) - tickMs;
    this.#tickedAt = now;
    try {
      run();
      this.#tickFailure = undefined;
    } catch (error) {
      this.#tickFailure = messageOf(error);
      throw error;
    }
  }

  facts(): HealthFacts {
    const { context, machine, loop, recorder, adminProblems } = this.#parts;
    const { flagKey, tickMs, outcomeTimeoutMs, clock } = context;
    const { observations } = recorder;
    if (machine.epoch !== this.#epoch) observations.reset();
    this.#epoch = machine.epoch;
    const overdueMs = this.#tickedAt === undefined ? 0 : clock.monotonic() - this.#tickedAt - tickMs;
    return {
      flagKey,
      lifecycle: this.#lifecycle,
      startFailure: this.#startFailure,
      tickMs,
      tickLateMs: Math.max(this.#tickLateMs, overdueMs),
      tickFailure: this.#tickFailure,
      unevaluatedMs: loop.unevaluatedMs,
      outcomeTimeoutMs,
      fleet: this.#fleetProgress(),
      ...this.#source(),
      isWatching: machine.isWatching,
      admin: adminProblems(),
      ...this.#rules(),
      observed: observations.counts,
    };
  }

  #fleetProgress(): HealthFacts['fleet'] {
    const { context, fleet, recorder } = this.#parts;
    const progress = fleet.progress();
    if (progress === undefined || context.store === undefined) return undefined;
    const { flushMs, evaluateMs } = context.store.timing;
    const mayLead = context.unleash.token !== undefined;
    const observes = recorder.observations.counts.hasObserved;
    return { ...progress, flushMs, evaluateMs, mayLead, observes };
  }

  #source(): Pick<HealthFacts, 'source' | 'isFlagKnown' | 'replacedBy'> {
    const { context, client } = this.#parts;
    const { flags, flagKey } = context;
    try {
      const isFlagKnown = flags.flag(flagKey) !== undefined;
      const source = flags.health?.() ?? ({ status: 'ok' } as const);
      return { source, isFlagKnown, replacedBy: client.replacement()?.name };
    } catch (error) {
      return {
        source: { status: 'error', message: messageOf(error) },
        isFlagKnown: false,
        replacedBy: undefined,
      };
    }
  }

  /** Of the rollback triggers that this process evaluates. */
  #rules(): Pick<HealthFacts, 'brokenTriggers' | 'unreadableSignals' | 'hasRuleData' | 'outcomeAgeMs'> {
    const { context, evaluator, fleet, machine, signals } = this.#parts;
    const isEvaluated = machine.isEvaluating && fleet.evaluates;
    if (!isEvaluated) {
      return { brokenTriggers: [], unreadableSignals: [], hasRuleData: undefined, outcomeAgeMs: undefined };
    }
    const verdicts = new Map(evaluator.verdicts.map((verdict) => [verdict.trigger, verdict]));
    const { rollback, clock } = context;
    const onOutcomes = rollback.flatMap(({ name, scope, signal }) => {
      const verdict = verdicts.get(name);
      const gathers = scope !== 'instance' && signal === undefined;
      return gathers && verdict !== undefined && !COUNTING.includes(verdict.unit) ? [verdict] : [];
    });
    const read = new Map(signals.values(clock.now()).map((value) => [value.trigger, value]));
    return {
      brokenTriggers: rollback.map(({ name }) => name).filter((name) => evaluator.failed.has(name)),
      unreadableSignals: rollback.flatMap(({ name: trigger }) => {
        const problem = read.get(trigger)?.problem;
        return problem === undefined ? [] : { trigger, problem };
      }),
      hasRuleData:
        onOutcomes.length === 0 ? undefined : onOutcomes.some(({ status }) => status !== 'insufficient-data'),
      outcomeAgeMs: onOutcomes[0]?.freshnessMs,
    };
  }
}
