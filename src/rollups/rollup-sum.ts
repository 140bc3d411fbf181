import { ErrorCounts } from '../measure/error-counts.js';
import { LatencyHistogram } from '../measure/latency-histogram.js';
import { ARMS, type Arm, type ArmCounts, NO_COUNTS } from '../model/shapes.js';
import type { MetricRollup, Rollup, RollupArm, TriggerRollup } from './rollup.js';

/** A service has few versions at once; more are not kept of one rollup. */
export const MAX_VERSIONS = 20;
/** More than anybody configures; bounds what a hostile file may contain. */
const MAX_TRIGGERS = 100;

/** What adds up as it is. */
const COUNTS: readonly Exclude<keyof RollupArm, 'errorTypes' | 'latency'>[] = [
  ...(Object.keys(NO_COUNTS) as (keyof ArmCounts)[]),
  'userSuccesses',
  'unfinished',
];

const STATUSES: readonly TriggerRollup['status'][] = ['insufficient-data', 'ok', 'breach'];

/**
 * Adds rollups up: counts and histograms add, a trigger keeps its worst status and what it observed last. However rollups are grouped,
 * the sum is the same, as long as they are added in the order of time. Memory is bounded.
 */
export class RollupSum {
  readonly #arms: Readonly<Record<Arm, ArmSum>> = { treatment: new ArmSum(), control: new ArmSum() };
  readonly #triggers = new Map<string, TriggerRollup>();
  readonly #metrics = new Map<string, MetricRollup>();
  #versions: readonly string[] = [];
  #epoch = 0;
  #percentage: number | undefined;
  #latestAt = Number.NEGATIVE_INFINITY;

  /** Whether nothing was added. */
  get isEmpty(): boolean {
    return this.#latestAt === Number.NEGATIVE_INFINITY;
  }

  /** What each trigger observed. */
  get triggers(): readonly TriggerRollup[] {
    return [...this.#triggers.values()];
  }

  /** What each metric of the application's own adds up to. */
  get metrics(): readonly MetricRollup[] {
    return [...this.#metrics.values()];
  }

  add({ at, epoch, percentage, arms, triggers, metrics = [], serviceVersions }: Rollup): void {
    for (const arm of ARMS) this.#arms[arm].add(arms[arm]);
    const isLatest = at >= this.#latestAt;
    for (const trigger of triggers) this.addTrigger(trigger, isLatest);
    for (const metric of metrics) this.addMetric(metric);
    this.#versions = [...new Set([...this.#versions, ...serviceVersions])].slice(-MAX_VERSIONS);
    if (!isLatest) return;
    this.#latestAt = at;
    this.#epoch = epoch;
    this.#percentage = percentage;
  }

  /** The sum, as the rollup that begins at `at`. */
  toRollup(at: number, durationMs: number): Rollup {
    return {
      at,
      durationMs,
      epoch: this.#epoch,
      ...(this.#percentage === undefined ? {} : { percentage: this.#percentage }),
      arms: { treatment: this.#arms.treatment.toArm(), control: this.#arms.control.toArm() },
      triggers: this.triggers,
      ...(this.#metrics.size === 0 ? {} : { metrics: this.metrics }),
      serviceVersions: this.#versions,
    };
  }

  clear(): void {
    this.#arms.treatment.clear();
    this.#arms.control.clear();
    this.#triggers.clear();
    this.#metrics.clear();
    this.#versions = [];
    this.#latestAt = Number.NEGATIVE_INFINITY;
    this.#epoch = 0;
    this.#percentage = undefined;
  }

  /** @param isLatest - Whether what it observed is later than all before. */
  addTrigger(added: TriggerRollup, isLatest = true): void {
    const known = this.#triggers.get(added.trigger);
    if (known === undefined) {
      if (this.#triggers.size < MAX_TRIGGERS) this.#triggers.set(added.trigger, added);
      return;
    }
    const [earlier, later] = isLatest ? [known, added] : [added, known];
    const worst = STATUSES[Math.max(STATUSES.indexOf(earlier.status), STATUSES.indexOf(later.status))]!;
    const observed = later.observed ?? earlier.observed;
    const evidence = later.evidence ?? earlier.evidence;
    this.#triggers.set(added.trigger, {
      trigger: added.trigger,
      status: worst,
      ...(observed === undefined ? {} : { observed }),
      threshold: later.threshold,
      unit: later.unit,
      ...(evidence === undefined ? {} : { evidence }),
    });
  }

  /** Adds one metric up. A trigger whose metric is of another kind now begins anew. */
  addMetric(added: MetricRollup): void {
    const { trigger, kind } = added;
    const known = this.#metrics.get(trigger);
    if (known === undefined && this.#metrics.size >= MAX_TRIGGERS) return;
    const add = (arm: Arm) => ({
      trials: (known?.[arm].trials ?? 0) + added[arm].trials,
      sum: (known?.[arm].sum ?? 0) + added[arm].sum,
    });
    const isSame = known?.kind === kind;
    this.#metrics.set(
      trigger,
      isSame ? { trigger, kind, treatment: add('treatment'), control: add('control') } : added,
    );
  }
}

/** The sum of rollups in the order of time, as the rollup that begins at `at`. Pure. */
export function mergeRollups(rollups: Iterable<Rollup>, at: number, durationMs: number): Rollup {
  const sum = new RollupSum();
  for (const rollup of rollups) sum.add(rollup);
  return sum.toRollup(at, durationMs);
}

class ArmSum {
  readonly #counts = new Float64Array(COUNTS.length);
  readonly #errors = new ErrorCounts();
  readonly #latency = new LatencyHistogram();

  add(arm: RollupArm): void {
    COUNTS.forEach((name, index) => {
      this.#counts[index]! += arm[name];
    });
    for (const [errorType, count] of arm.errorTypes) this.#errors.add(errorType, count);
    this.#latency.addSparse(arm.latency);
  }

  toArm(): RollupArm {
    const counts = Object.fromEntries(COUNTS.map((name, index) => [name, this.#counts[index]!]));
    return {
      ...(counts as Record<(typeof COUNTS)[number], number>),
      errorTypes: this.#errors.sorted().map(({ errorType, count }) => [errorType, count]),
      latency: this.#latency.toSparse(),
    };
  }

  clear(): void {
    this.#counts.fill(0);
    this.#errors.clear();
    this.#latency.clear();
  }
}
