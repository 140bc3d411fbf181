import type { FlagFacts } from '../../model/flags.js';
import type { Decision } from '../../model/shapes.js';
import type { EffectRunner } from '../act/effect-runner.js';
import type { GuardMachine } from '../act/guard-machine.js';
import type { GuardFleet } from '../fleet/guard-fleet.js';
import type { GuardContext } from '../guard-context.js';
import { type EvaluatedRollout, EvaluationLoop } from './evaluation-loop.js';
import type { Evaluator } from './evaluator.js';

/** Drives the evaluation loop of a live guard: after outcomes, and on every tick. */
export class GuardLoop implements EvaluatedRollout {
  readonly #context: GuardContext;
  readonly #fleet: GuardFleet;
  readonly #machine: GuardMachine;
  readonly #runner: EffectRunner;
  readonly #loop: EvaluationLoop;
  #isRunning = false;
  #isDue = false;

  constructor(
    context: GuardContext,
    evaluator: Evaluator,
    fleet: GuardFleet,
    machine: GuardMachine,
    runner: EffectRunner,
  ) {
    this.#context = context;
    this.#fleet = fleet;
    this.#machine = machine;
    this.#runner = runner;
    this.#loop = new EvaluationLoop({ ...context, evaluator, store: fleet.evaluated, rollout: this });
  }

  get facts(): FlagFacts | undefined {
    return this.#context.flags.flag(this.#context.flagKey);
  }

  get isEvaluating(): boolean {
    return this.#machine.isEvaluating;
  }

  get isReviewing(): boolean {
    return this.#machine.isWatching && this.#fleet.evaluatesStages;
  }

  get scope(): 'all' | 'instance' {
    return this.#fleet.evaluates ? 'all' : 'instance';
  }

  onDecision(decision: Decision): void {
    this.#runner.dispatch({ type: 'breached', at: this.#context.clock.now(), decision });
  }

  onReported(): void {
    this.#machine.save();
  }

  start(): void {
    this.#isRunning = true;
  }

  close(): void {
    this.#isRunning = false;
  }

  /** Evaluates at the end of this turn of the event loop, once for all outcomes within it. */
  onOutcome(): void {
    // In a fleet, the outcomes of all are evaluated, when they have arrived.
    if (!this.#isRunning || this.#isDue || this.#fleet.isConnected) return;
    this.#isDue = true;
    setImmediate(() => {
      this.#isDue = false;
      if (this.#isRunning) this.#context.records.safely('evaluating', () => this.evaluate());
    });
  }

  evaluate(): void {
    this.#loop.evaluate(this.#context.clock.now());
  }

  tick(): void {
    this.#loop.tick(this.#context.clock.now());
  }
}
