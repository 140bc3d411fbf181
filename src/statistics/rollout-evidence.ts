import type { EvidenceShare, Trials } from '../model/shapes.js';
import type { Blame, Evidence } from '../model/snapshot.js';
import { parseConfig } from '../support/config-error.js';
import type { ComparisonRequest } from './comparison.js';
import { EventStream, type StreamEvidence } from './event-stream.js';
import {
  type EvidenceRequest,
  evidenceRequestSchema,
  type RolloutEvidenceState,
  UNIT_EVENTS,
  type UnitEvent,
} from './evidence-state.js';
import { LatencyEvents, type LatencySources } from './latency-events.js';
import { LimitEvidence } from './limit-test.js';
import { MetricEvidence } from './metrics/metric-evidence.js';
import { SampleRatio } from './sample-ratio.js';
import { UnitMarks } from './unit-marks.js';

/** A trigger and the test that it needs; a trigger fits as it is. */
export interface TestSpec {
  readonly name: string;
  readonly evidence?: EvidenceRequest | undefined;
}

/** One outcome, when it has settled. */
export interface SettledOutcome {
  /** The hash of its unit; 0 when each outcome is a unit of its own. */
  readonly unit: number;
  readonly treated: boolean;
  /** With which the unit was put into the treatment; 0 when it is unknown, 1 for the treatment at 100 %. */
  readonly chance: number;
  /** When it was exposed. */
  readonly at: number;
  /** `open`: it has no result after the settling time. `unreported`: and none was promised. */
  readonly result: 'success' | 'failure' | 'expected' | 'aborted' | 'open' | 'unreported';
  readonly fallback: boolean;
  readonly retried: boolean;
  /** NaN when it was not measured. */
  readonly durationMs: number;
  /** How many outcomes it stands for, as one of a sample by hash; 0 when it was sent for its event alone. */
  readonly weight: number;
  /** `all`, but for outcomes of a log that has a sample. */
  readonly evidence: EvidenceShare;
}

/** Evidence from which a broken limit is the treatment's fault, in the first generation half of it: `10·g(g + 1)`. */
const BLAME_E = 10;
const BLAME: ComparisonRequest = { alpha: 0.05, ratio: 1, minDifference: 0 };
const NO_TRIALS: Trials = { trials: 0, failures: 0 };
const NOTHING = { treatment: NO_TRIALS, control: NO_TRIALS };

/** One trigger, and what it has gathered. */
interface Spec {
  readonly trigger: string;
  readonly request: EvidenceRequest;
  readonly evidence: () => Omit<Evidence, 'trigger' | 'excluded' | 'invalid'>;
}

/**
 * The evidence of one rollout, from the time at which the flag was turned on, through all its percentages: which outcomes count,
 * and the tests that they feed. Outcomes come twice: at once for limits, and in the order of their exposures, when they have
 * settled, for everything that compares arms.
 *
 * Memory: up to 512 KiB of marks for each kind of event and each quantile of durations, and 1 MiB for the units of a
 * sample ratio; all of it grows only with the units that need it.
 */
export class RolloutEvidence {
  readonly #streams = new Map<UnitEvent, EventStream>();
  readonly #fed: readonly { readonly event: UnitEvent; readonly stream: EventStream }[];
  readonly #latency: LatencyEvents[] = [];
  /** One for each failure rate: several triggers may have the same. */
  readonly #limits = new Map<number, LimitEvidence>();
  /** By trigger. */
  readonly #metrics = new Map<string, MetricEvidence>();
  /** Undefined when no trigger needs it. */
  readonly #sampleRatio: SampleRatio | undefined;
  readonly #specs: readonly Spec[];
  /** Units of the treatment that failed, as limits see them: at once. */
  readonly #limitMarks = new UnitMarks();
  /** What limits were fed since the last delta: trials and failures by units, then by outcomes. */
  readonly #limitChanges = new Float64Array(4);
  #excluded = 0;
  #invalid = 0;

  /** @throws ConfigError for an invalid request: a trigger of the user's own may have one. */
  constructor(specs: readonly TestSpec[], latency: LatencySources) {
    const requests = specs.flatMap(({ name, evidence }) =>
      evidence === undefined
        ? []
        : [
            {
              trigger: name,
              request: parseConfig(evidenceRequestSchema, evidence, `evidence of the trigger ${name}`),
            },
          ],
    );
    for (const event of UNIT_EVENTS) {
      const comparisons = requests.flatMap(({ request }) =>
        request.test === 'event' && request.event === event ? [request] : [],
      );
      if (event === 'failure') this.#streams.set(event, new EventStream([BLAME, ...comparisons]));
      else if (comparisons.length > 0) this.#streams.set(event, new EventStream(comparisons));
    }
    if (requests.some(({ request }) => request.test === 'sample-ratio'))
      this.#sampleRatio = new SampleRatio();
    this.#fed = Array.from(this.#streams, ([event, stream]) => ({ event, stream }));
    const used = new Map<UnitEvent, number>([['failure', 1]]);
    this.#specs = requests.map(({ trigger, request }) => ({
      trigger,
      request,
      evidence: this.#evidenceOf(trigger, request, latency, used),
    }));
  }

  /** Whether failures are the treatment's fault. */
  get blame(): Blame {
    const { logE, generation } = this.#streams.get('failure')!;
    return { logE, logThreshold: Math.log(BLAME_E * generation * (generation + 1)) };
  }

  /** Feeds the limits, at once. Only successes and failures of the treatment count. */
  outcome(unit: number, failed: boolean, at: number): void {
    const isFirst = !this.#limitMarks.has(unit);
    const changes = this.#limitChanges;
    changes[2]! += 1;
    if (failed) changes[3]! += 1;
    if (isFirst) changes[0]! += 1;
    if (isFirst && failed) changes[1]! += 1;
    for (const limit of this.#limits.values()) {
      if (isFirst) limit.units.observe(failed, at);
      limit.outcomes.observe(failed, at);
    }
    if (failed && isFirst) this.#limitMarks.add(unit);
  }

  /** Feeds the comparisons, in the order of exposures. */
  settled(outcome: SettledOutcome): void {
    const { unit, treated, chance, at, result, durationMs, weight, evidence } = outcome;
    // A control where everything is treatment was put there by something else than the draw.
    if (!(chance > 0) || (chance >= 1 && !treated)) {
      this.#excluded += 1;
      return;
    }
    // An outcome that is sent for its event alone is part of no sample.
    const isSampled = weight > 0 && evidence === 'all';
    if (chance < 1 && isSampled) this.#sampleRatio?.exposed(unit, treated, chance, at);
    // Not over the map: its iterator makes an array for each entry.
    for (let i = 0; i < this.#fed.length; i++) {
      const { event, stream } = this.#fed[i]!;
      const happened = happenedOf(event, outcome);
      if (happened !== undefined)
        stream.outcome(unit, treated, chance, happened, at, weight, evidence !== 'none');
    }
    if (result !== 'success' || !isSampled) return;
    if (durationMs >= 0 && durationMs < Number.POSITIVE_INFINITY) {
      for (const latency of this.#latency) latency.success(unit, treated, chance, durationMs, at);
    } else if (!Number.isNaN(durationMs)) this.#invalid += 1;
  }

  /** A complaint of a unit. One whose arm was not drawn carries no evidence, and takes none from a later one. */
  complaint(unit: number, treated: boolean, chance: number, at: number): void {
    if (chance > 0) this.#streams.get('complaint')?.event(unit, treated, chance, at);
  }

  /** The metric that a trigger compares; it is fed in the order of exposures. */
  metric(trigger: string): MetricEvidence | undefined {
    return this.#metrics.get(trigger);
  }

  /** The percentage changed: evidence goes on, and the control so far is frozen. */
  beginEpoch(at: number): void {
    for (const stream of this.#streams.values()) stream.beginEpoch(at);
    for (const latency of this.#latency) latency.beginEpoch(at);
    for (const metric of this.#metrics.values()) metric.beginEpoch(at);
    this.#sampleRatio?.beginEpoch();
  }

  /** One entry for each trigger with a test. */
  snapshot(): readonly Evidence[] {
    return this.#specs.map(({ trigger, evidence }) => {
      const found = evidence();
      return {
        trigger,
        logE: found.logE,
        peakLogE: found.peakLogE,
        logThreshold: found.logThreshold,
        breached: found.breached,
        counts: found.counts,
        since: found.since,
        frozen: found.frozen,
        byOutcomes: found.byOutcomes,
        quantiles: found.quantiles,
        metric: found.metric,
        assignment: found.assignment,
        events: found.events,
        generation: found.generation,
        excluded: this.#excluded,
        repeated: found.repeated,
        invalid: this.#invalid,
      };
    });
  }

  /** What limits were fed here since the previous call. */
  takeLimitChanges(): { readonly units: Trials; readonly outcomes: Trials } {
    const [unitTrials, unitFailures, trials, failures] = this.#limitChanges;
    this.#limitChanges.fill(0);
    return {
      units: { trials: unitTrials!, failures: unitFailures! },
      outcomes: { trials: trials!, failures: failures! },
    };
  }

  /** Feeds the limits with what another process counted. */
  mergeLimits({ units, outcomes }: { readonly units: Trials; readonly outcomes: Trials }, at: number): void {
    for (const limit of this.#limits.values()) {
      limit.units.observeCounts(units, at);
      limit.outcomes.observeCounts(outcomes, at);
    }
  }

  toJSON(): RolloutEvidenceState {
    return {
      specs: this.#specs.map(({ trigger, request }) => ({ trigger, request })),
      events: [...this.#streams].map(([event, stream]) => [event, stream.toJSON()] as const),
      latency: this.#latency.map((latency) => latency.toJSON()),
      limits: Array.from(this.#limits.values(), (limit) => limit.toJSON()),
      metrics: Array.from(this.#metrics.values(), (metric) => metric.toJSON()),
      limitMarks: this.#limitMarks.toText(),
      sampleRatio: this.#sampleRatio?.toJSON(),
      excluded: this.#excluded,
      invalid: this.#invalid,
    };
  }

  /**
   * Continues from the state of an earlier run, before anything is recorded here.
   *
   * @returns false, and nothing is restored, when that run's tests were others: evidence is of no use for another test.
   * @throws RangeError for an invalid state; this object is unusable then.
   */
  restore(state: RolloutEvidenceState): boolean {
    const specs = this.#specs.map(({ trigger, request }) => ({ trigger, request }));
    if (JSON.stringify(specs) !== JSON.stringify(state.specs)) return false;
    const events = new Map(state.events);
    restoreAll(
      [...this.#streams.values()],
      [...this.#streams.keys()].map((event) => events.get(event)),
    );
    restoreAll(this.#latency, state.latency);
    restoreAll([...this.#limits.values()], state.limits);
    restoreAll([...this.#metrics.values()], state.metrics);
    if (this.#sampleRatio !== undefined) restoreAll([this.#sampleRatio], [state.sampleRatio]);
    this.#limitMarks.restore(state.limitMarks);
    this.#excluded = state.excluded;
    this.#invalid = state.invalid;
    return true;
  }

  /** Makes what a request needs, and returns how its evidence is read. */
  #evidenceOf(
    trigger: string,
    request: EvidenceRequest,
    latency: LatencySources,
    used: Map<UnitEvent, number>,
  ): Spec['evidence'] {
    switch (request.test) {
      case 'event': {
        const stream = this.#streams.get(request.event)!;
        const index = used.get(request.event) ?? 0;
        used.set(request.event, index + 1);
        return (): StreamEvidence => stream.evidence(index);
      }
      case 'latency': {
        const events = new LatencyEvents(request, latency);
        this.#latency.push(events);
        return () => events.evidence();
      }
      case 'limit': {
        const { alpha, maxFailureRate } = request;
        const limit = this.#limits.get(maxFailureRate) ?? new LimitEvidence(maxFailureRate);
        this.#limits.set(maxFailureRate, limit);
        return () => limit.evidence(alpha);
      }
      case 'metric': {
        const metric = new MetricEvidence(request);
        this.#metrics.set(trigger, metric);
        return () => metric.evidence();
      }
      case 'sample-ratio': {
        const ratio = this.#sampleRatio!;
        const { alpha } = request;
        return () => ({
          ...ratio.evidence(alpha),
          counts: NOTHING,
          since: { at: undefined, counts: NOTHING },
          generation: 1,
          repeated: 0,
        });
      }
    }
  }
}

/** @throws RangeError when a state is invalid or is missing: half of the evidence would be none of this rollout. */
function restoreAll<State>(
  tests: readonly { restore(state: State): void }[],
  states: readonly (State | undefined)[],
): void {
  for (const [index, test] of tests.entries()) {
    const state = states[index];
    if (state === undefined) throw new RangeError('The state has other tests');
    test.restore(state);
  }
}

/** Whether the event happened in this outcome; undefined when the outcome is no trial of it. */
function happenedOf(event: UnitEvent, { result, fallback, retried }: SettledOutcome): boolean | undefined {
  switch (event) {
    case 'failure':
      if (result === 'success') return false;
      return result === 'failure' || result === 'open' ? true : undefined;
    case 'aborted':
      return result === 'unreported' ? undefined : result === 'aborted';
    case 'expected':
      return result === 'unreported' ? undefined : result === 'expected';
    case 'fallback':
      return result === 'unreported' ? undefined : fallback;
    case 'retried':
      return result === 'unreported' ? undefined : retried;
    case 'complaint':
      return result === 'success' || result === 'failure' ? false : undefined;
    case 'unreported':
      return result === 'unreported';
  }
}
