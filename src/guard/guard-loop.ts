import type { EffectRunner } from './act/effect-runner.js';
import type { GuardContext } from './context/guard-context.js';
import type { Evaluator } from './evaluate/evaluator.js';
import { RolloutEvaluation } from './evaluate/rollout-evaluation.js';
import { Freshness } from './freshness.js';
import type { GuardFleet } from './guard-fleet.js';
import type { GuardMachine } from './guard-machine.js';

/** Successes alone are evaluated this often at most, in milliseconds: an evaluation costs as much as many outcomes. */
const REST_MS = 20;

/** Drives the evaluation of a live guard: after outcomes, and on every tick. */
export class GuardLoop {
  readonly #context: GuardContext;
  readonly #fleet: GuardFleet;
  readonly #evaluation: RolloutEvaluation;
  readonly #freshness: Freshness;
  #isDue = false;
  /** It was evaluated a moment ago. */
  #isResting = false;
  /** Since when an outcome has been waiting, by the monotonic clock; undefined when none is. */
  #waitingSince: number | undefined;
  /** Whether outcomes are evaluated: from the guard's start until its end. */
  isRunning = false;

  constructor(
    context: GuardContext,
    evaluator: Evaluator,
    fleet: GuardFleet,
    machine: GuardMachine,
    runner: EffectRunner,
  ) {
    const { clock, flags, flagKey } = context;
    this.#context = context;
    this.#fleet = fleet;
    this.#freshness = new Freshness(context, fleet);
    this.#evaluation = new RolloutEvaluation({
      ...context,
      evaluator,
      store: fleet.evaluated,
      facts: () => flags.flag(flagKey),
      isEvaluating: () => machine.isEvaluating && this.#freshness.isFresh,
      isReviewing: () => machine.isWatching && fleet.evaluatesStages && this.#freshness.isFresh,
      scope: () => (fleet.evaluates ? 'all' : 'instance'),
      onDecision: (decision) => runner.dispatch({ type: 'breached', at: clock.now(), decision }),
      onReported: () => machine.save(),
    });
  }

  /** See {@link Freshness.mayHaveMissedStop}. */
  get mayHaveMissedStop(): boolean {
    return this.#freshness.mayHaveMissedStop;
  }

  /** For how long an outcome has been waiting to be evaluated, in milliseconds; undefined when none is. */
  get unevaluatedMs(): number | undefined {
    const since = this.#waitingSince;
    return since === undefined ? undefined : this.#context.clock.monotonic() - since;
  }

  /**
   * Evaluates at the end of this turn of the event loop, once for all outcomes within it.
   *
   * @param isUrgent - Otherwise it may wait until {@link REST_MS} after the evaluation before.
   */
  onOutcome(isUrgent: boolean): void {
    // In a fleet, the outcomes of all are evaluated, when they have arrived.
    if (!this.isRunning || this.#isDue || this.#fleet.isConnected) return;
    this.#waitingSince ??= this.#context.clock.monotonic();
    if (this.#isResting && !isUrgent) return;
    this.#isDue = true;
    setImmediate(() => {
      this.#isDue = false;
      this.#evaluateWaiting();
      this.#rest();
    });
  }

  #rest(): void {
    if (this.#isResting) return;
    this.#isResting = true;
    setTimeout(() => {
      this.#isResting = false;
      if (this.#waitingSince === undefined) return;
      this.#evaluateWaiting();
      this.#rest();
    }, REST_MS).unref();
  }

  #evaluateWaiting(): void {
    if (this.isRunning) this.#context.records.safely('evaluating', () => this.evaluate());
  }

  evaluate(): void {
    this.#evaluation.evaluate(this.#context.clock.now());
    this.#waitingSince = undefined;
  }

  tick(): void {
    this.#freshness.tick();
    this.#evaluation.tick(this.#context.clock.now());
    this.#waitingSince = undefined;
  }
}
