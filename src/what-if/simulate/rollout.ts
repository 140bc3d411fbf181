import { Evaluator } from '../../guard/evaluate/evaluator.js';
import { RolloutEvaluation } from '../../guard/evaluate/rollout-evaluation.js';
import { type GivenRules, resolveRules, storeFor } from '../../guard/options/rules.js';
import type { MemoryOutcomeStore } from '../../measure/memory-outcome-store.js';
import type { GuardEvent } from '../../model/event.js';
import type { FlagFacts } from '../../model/flags.js';
import type { Exposure, Outcome, Result } from '../../model/shapes.js';
import type { StageStatus } from '../../model/stage.js';
import { MinHeap } from '../../support/data/min-heap.js';
import type { SimulatedEvent } from './metrics.js';
import type { Random } from './random.js';

/** One unit that calls, such as a user. */
export interface SimulatedUnit {
  /** Undefined for a unit that never comes again. */
  readonly key: string | undefined;
  /** Where the draw put it, 0–1: it is in the treatment while the share is above. */
  readonly position: number;
  /** A property of the unit that `call` uses, such as how often it fails. */
  readonly frailty: number;
}

/** How one call ends. */
export interface SimulatedCall {
  readonly result: Result;
  /** In milliseconds; longer than the time limit is a failure at the limit. */
  readonly durationMs: number;
}

/** The traffic of a rollout through all of its stages. Times are milliseconds from its start. */
export interface Traffic {
  /** Requests of both arms; they arrive by chance (a Poisson process). */
  readonly requestsPerSecond: number;
  readonly stages: readonly { readonly share: number; readonly durationMs: number }[];
  unit(random: Random): SimulatedUnit;
  call(unit: SimulatedUnit, treated: boolean, at: number, random: Random): SimulatedCall;
  /** What a unit tracks after a call. @default nothing */
  track?(treated: boolean, at: number, random: Random): readonly SimulatedEvent[];
  /** From when on the treatment does harm; undefined when it never does. */
  readonly harmFromMs?: number | undefined;
  /** The processes of a fleet that share the requests; its leader gets what they recorded every second. @default 1 */
  readonly processes?: number | undefined;
}

/** How one simulated rollout went. */
export interface SimulatedRollout {
  /** Names of the triggers that stopped it; empty when none did. */
  readonly stoppedBy: readonly string[];
  /** Names of the rollback triggers in dry run that would have stopped it until then. */
  readonly wouldHaveStopped: readonly string[];
  /** When it was stopped, or ended, in milliseconds from its start. */
  readonly endedAtMs: number;
  /** Calls of the treatment since the harm began, or since the start. */
  readonly treatmentCalls: number;
  /** Of these, those that did not succeed, whenever they ended, and those that were still open after more than 5 s at the end. */
  readonly harmedCalls: number;
  /** Reviews that were opened until then, by trigger. */
  readonly reviews: readonly string[];
  /** What each stage was called, by its place in the rules' plan. */
  readonly stageStatuses: readonly (readonly StageStatus[])[];
  /** A stage was called met after the harm began. */
  readonly metAfterHarm: boolean;
}

const FLAG_KEY = 'simulated';
/** The guard's default tick. With less than a request a second, ticking more often than they come shows nothing new. */
const TICK_MS = 1_000;
/** So many ticks at most, however long a rollout is. */
const MAX_TICKS = 50_000;
const FLUSH_MS = 1_000;
const TIMEOUT_MS = 30_000;
const STUCK_MS = 5_000;

/**
 * Plays one rollout: invented outcomes, the user's own triggers and stages, the guard's own store and evaluation, a clock that
 * only counts. The triggers are evaluated after each outcome that is no success, after each of the treatment, and on every tick.
 */
export function simulateRollout(rules: GivenRules, traffic: Traffic, random: Random): SimulatedRollout {
  return new Player(rules, traffic, random).play();
}

class Player {
  readonly #traffic: Traffic;
  readonly #random: Random;
  /** Of each process. */
  readonly #stores: readonly MemoryOutcomeStore[];
  /** What is evaluated: the only store, or the leader's. */
  readonly #evaluated: MemoryOutcomeStore;
  readonly #evaluation: RolloutEvaluation;
  readonly #ends = new MinHeap<{ readonly outcome: Outcome; readonly store: MemoryOutcomeStore }>();
  readonly #reviews = new Set<string>();
  readonly #statuses: Set<StageStatus>[];
  readonly #wouldHaveStopped = new Set<string>();
  #stoppedBy: readonly string[] = [];
  #epoch = 0;
  #share = 0;
  #treatmentCalls = 0;
  #metAfterHarm = false;
  #harmedCalls = 0;

  constructor(rules: GivenRules, traffic: Traffic, random: Random) {
    const resolved = { ...resolveRules(rules), flagKey: FLAG_KEY };
    this.#traffic = traffic;
    this.#random = random;
    const { processes = 1 } = traffic;
    this.#stores = Array.from({ length: processes }, () => storeFor(resolved, 0));
    this.#evaluated = processes === 1 ? this.#stores[0]! : storeFor(resolved, 0);
    this.#statuses = resolved.stages.map(() => new Set());
    const records = {
      emit: (event: GuardEvent) => this.#onEvent(event),
      fault(_what: string, error: unknown) {
        throw error;
      },
    };
    this.#evaluation = new RolloutEvaluation({
      store: this.#evaluated,
      evaluator: new Evaluator({ ...resolved, records }),
      stages: resolved.stages,
      onRollback: 'disable',
      dryRun: false,
      facts: () => this.#facts(),
      isEvaluating: () => true,
      isReviewing: () => this.#stoppedBy.length === 0,
      onDecision: ({ verdicts, dryRun }) => {
        const names = verdicts.map(({ trigger }) => trigger);
        if (!dryRun) this.#stoppedBy = names;
        else for (const name of names) this.#wouldHaveStopped.add(name);
      },
    });
  }

  play(): SimulatedRollout {
    const { stages, requestsPerSecond } = this.#traffic;
    const totalMs = stages.reduce((sum, { durationMs }) => sum + durationMs, 0);
    const gapMs = 1_000 / requestsPerSecond;
    const tickMs = Math.max(TICK_MS, gapMs, totalMs / MAX_TICKS);
    const isFleet = this.#stores.length > 1;
    let nextTickAt = isFleet ? FLUSH_MS : tickMs;
    let now = 0;
    let stageEndsAt = 0;
    for (const { share, durationMs } of stages) {
      this.#begin(share, stageEndsAt);
      stageEndsAt += durationMs;
      for (;;) {
        now += -gapMs * Math.log1p(-this.#random.next());
        const until = Math.min(now, stageEndsAt);
        for (;;) {
          const endsAt = this.#ends.lowest;
          const at = Math.min(endsAt, nextTickAt);
          if (at > until) break;
          if (endsAt <= nextTickAt) this.#end(at);
          else {
            if (isFleet) this.#flush(at);
            this.#evaluation.tick(at);
            nextTickAt += isFleet ? FLUSH_MS : tickMs;
          }
          if (this.#stoppedBy.length > 0) return this.#result(at);
        }
        if (now > stageEndsAt) {
          now = stageEndsAt;
          break;
        }
        this.#request(now);
      }
    }
    return this.#result(totalMs);
  }

  #begin(share: number, at: number): void {
    this.#epoch += 1;
    this.#share = share;
    if (this.#stores.length > 1) this.#flush(at);
    for (const store of new Set([...this.#stores, this.#evaluated])) {
      store.beginEpoch(this.#epoch, at, { keepWindows: this.#epoch > 1 });
    }
  }

  #request(at: number): void {
    const { stages: _, unit: draw, call, track, harmFromMs = 0 } = this.#traffic;
    const unit = draw(this.#random);
    const treated = unit.position < this.#share;
    const { result, durationMs } = call(unit, treated, at, this.#random);
    const isLate = durationMs > TIMEOUT_MS;
    const failed = isLate || result === 'failure';
    const exposure: Exposure = {
      flagKey: FLAG_KEY,
      arm: treated ? 'treatment' : 'control',
      variant: undefined,
      reason: this.#share < 1 ? 'SPLIT' : 'STATIC',
      errorCode: undefined,
      targetingKey: unit.key,
      chance: this.#share < 1 ? this.#share : undefined,
      unit: unit.key,
      isOperation: true,
      epoch: this.#epoch,
      at,
    };
    const store = this.#stores[this.#random.bits() % this.#stores.length]!;
    store.expose(exposure);
    for (const event of track?.(treated, at, this.#random) ?? []) {
      store.metrics.track({ ...event, targetingKey: unit.key }, at);
    }
    const takenMs = Math.min(durationMs, TIMEOUT_MS);
    const outcome: Outcome = {
      exposure,
      result: isLate ? 'failure' : result,
      durationMs: takenMs,
      errorType: failed ? 'SimulatedError' : undefined,
      critical: false,
      fallbackUsed: false,
      userSucceeded: !failed,
      attempts: 1,
      attributes: undefined,
      at: at + takenMs,
    };
    this.#ends.push(at + takenMs, { outcome, store });
    if (treated && at >= harmFromMs) this.#treatmentCalls += 1;
  }

  #end(at: number): void {
    const { outcome, store } = this.#ends.pop()!;
    const { exposure, result } = outcome;
    const treated = exposure.arm === 'treatment';
    if (treated && result !== 'success' && exposure.at >= (this.#traffic.harmFromMs ?? 0))
      this.#harmedCalls += 1;
    store.record(outcome);
    if (this.#stores.length === 1 && (treated || result !== 'success')) this.#evaluation.evaluate(at);
  }

  /** What the processes recorded reaches the leader, and what has settled in all of them its tests. */
  #flush(now: number): void {
    let settledUpTo = now;
    for (const store of this.#stores) {
      const delta = store.takeDelta(now);
      if (delta !== undefined) this.#evaluated.merge(delta, now);
      settledUpTo = Math.min(settledUpTo, store.openSince ?? now);
    }
    this.#evaluated.settleUpTo(settledUpTo);
  }

  #onEvent(event: GuardEvent): void {
    if (event.type === 'review-opened' && !event.verdict.dryRun) this.#reviews.add(event.verdict.trigger);
    if (event.type !== 'stage') return;
    const { index, status } = event.progress;
    this.#statuses[index]?.add(status);
    const { harmFromMs } = this.#traffic;
    if (status === 'met' && harmFromMs !== undefined && event.at >= harmFromMs) this.#metAfterHarm = true;
  }

  #facts(): FlagFacts {
    return {
      key: FLAG_KEY,
      enabled: true,
      rolloutPercentage: Number((this.#share * 100).toPrecision(12)),
      strategy: 'flexibleRollout',
      project: undefined,
      type: undefined,
      revision: String(this.#epoch),
    };
  }

  #result(endedAtMs: number): SimulatedRollout {
    let underWay = 0;
    while (this.#ends.size > 0) {
      const { exposure, result } = this.#ends.pop()!.outcome;
      const { arm, at } = exposure;
      const isHarmed = arm === 'treatment' && at >= (this.#traffic.harmFromMs ?? 0);
      if (isHarmed && (result !== 'success' || endedAtMs - at > STUCK_MS)) underWay += 1;
    }
    return {
      stoppedBy: this.#stoppedBy,
      wouldHaveStopped: [...this.#wouldHaveStopped],
      endedAtMs,
      treatmentCalls: this.#treatmentCalls,
      harmedCalls: this.#harmedCalls + underWay,
      reviews: [...this.#reviews],
      stageStatuses: this.#statuses.map((statuses) => [...statuses]),
      metAfterHarm: this.#metAfterHarm,
    };
  }
}
