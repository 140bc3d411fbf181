import type { MetricTrial } from '../../statistics/metrics/metric-evidence.js';
import type { MetricDefinition } from '../../statistics/metrics/metric-request.js';
import type { OpenTrial } from './metric-delta.js';

/** Units that are awaited, about 10 MB. */
const MAX_OPEN = 65_536;
/** Other keys than the unit, such as the users of a tenant, by which its events are found. */
const MAX_KEYS = 64;
/** Of open trials, what a restart continues with. */
const MAX_SAVED = 4_096;
/** A clock that was set back by more than this must not keep everything waiting. */
const MAX_SKEW_MS = 5_000;

/** No quantity that is measured is larger, and sums of it stay finite. */
export const MAX_METRIC_VALUE = 1e100;

/** What became of an event. `ignored`: of a unit that is in no sample, perhaps. */
export type TrackResult = 'counted' | 'unattributed' | 'invalid' | 'ignored';

interface Awaited {
  readonly unit: number;
  readonly treated: boolean;
  readonly chance: number;
  readonly at: number;
  /** Undefined before the first event. */
  value: number | undefined;
  /** The denominator of a ratio. */
  per: number;
  keys: number[];
}

/**
 * Units whose time for one metric runs: it begins with an exposure and ends after `withinMs`, when what the unit did is handed out, in
 * the order of exposures. A unit has one trial at a time.
 *
 * Memory is bounded by a sample of units, by their hashes: when too many are open, every second one is left out, whichever
 * its arm is and whatever it does.
 */
export class MetricTrials {
  readonly #definition: MetricDefinition;
  /** By unit, in the order of their exposures. */
  readonly #open = new Map<number, Awaited>();
  readonly #byKey = new Map<number, Awaited>();
  /** Units are sampled the highest bits of whose hash, so many, are 0. */
  #shift = 0;

  constructor(definition: MetricDefinition) {
    this.#definition = definition;
  }

  /** The names of its events. */
  get events(): readonly string[] {
    const { event } = this.#definition;
    return this.#definition.kind === 'ratio' ? [event, this.#definition.per] : [event];
  }

  /** When the next trial ends; undefined when none is open. */
  get dueAt(): number | undefined {
    const first = this.#open.values().next().value;
    return first && first.at + this.#definition.withinMs;
  }

  /** @param key - The hash of the targeting key; undefined when there is none. */
  open(unit: number, key: number | undefined, treated: boolean, chance: number, at: number): void {
    // Without a unit nobody knows whose event it is; what was not drawn is not comparable.
    if (unit === 0 || !(chance > 0) || (chance >= 1 && !treated)) return;
    const known = this.#open.get(unit);
    if (known !== undefined && known.treated !== treated) {
      // It has seen both arms: what it does now says nothing of either.
      this.#forget(known);
      return;
    }
    if (known === undefined && !isSampled(unit, this.#shift)) return;
    const trial = known ?? { unit, treated, chance, at, value: undefined, per: 0, keys: [] };
    if (known === undefined) this.#add(trial);
    if (key === undefined || key === unit || trial.keys.length >= MAX_KEYS) return;
    if (this.#byKey.get(key) === trial) return;
    trial.keys.push(key);
    this.#byKey.set(key, trial);
  }

  /** An event of whoever has this key. @param key - The hash of the targeting key. */
  track(name: string, key: number | undefined, value: number | undefined, at: number): TrackResult {
    const definition = this.#definition;
    const isPer = definition.kind === 'ratio' && name === definition.per;
    const amount = amountOf(definition, value);
    if (amount === undefined) return 'invalid';
    const trial = key === undefined ? undefined : (this.#open.get(key) ?? this.#byKey.get(key));
    if (trial === undefined || at - trial.at > definition.withinMs) {
      return key !== undefined && this.#shift > 0 ? 'ignored' : 'unattributed';
    }
    if (isPer) trial.per += amount;
    else if (definition.kind === 'ratio') trial.value = (trial.value ?? 0) + amount;
    else trial.value ??= amount;
    return 'counted';
  }

  /** Hands out what has ended by `now`, in order. */
  settle(now: number, take: (trial: MetricTrial) => void): void {
    const { withinMs } = this.#definition;
    for (const trial of this.#open.values()) {
      const isFuture = trial.at > now + MAX_SKEW_MS;
      if (!isFuture && now - trial.at < withinMs) break;
      this.#forget(trial);
      const value = isFuture ? undefined : this.#valueOf(trial);
      if (value === undefined) continue;
      const { unit, treated, chance, at } = trial;
      take({ unit, treated, chance, at, value });
    }
    if (this.#shift > 0 && this.#open.size < MAX_OPEN / 8) this.#shift -= 1;
  }

  clear(): void {
    this.#open.clear();
    this.#byKey.clear();
  }

  /** What is open, or a sample of it. */
  contents(): OpenTrial[] {
    let shift = this.#shift;
    let saved = [...this.#open.values()];
    while (saved.length > MAX_SAVED && shift < 31) {
      shift += 1;
      saved = saved.filter(({ unit }) => isSampled(unit, shift));
    }
    return saved.map(({ unit, treated, chance, at, value, per, keys }) => ({
      trial: [unit, at, chance, treated ? 1 : 0, value ?? null],
      per,
      keys,
    }));
  }

  /** Continues with what an earlier run awaited. */
  restore(trials: readonly OpenTrial[]): void {
    for (const { trial, per, keys } of trials) {
      const [unit, at, chance, treated, value] = trial;
      if (this.#open.has(unit) || !isSampled(unit, this.#shift)) continue;
      const awaited: Awaited = {
        unit,
        at,
        chance,
        treated: treated === 1,
        value: value ?? undefined,
        per,
        keys: [...keys],
      };
      this.#add(awaited);
      for (const key of keys) this.#byKey.set(key, awaited);
    }
  }

  #add(trial: Awaited): void {
    this.#open.set(trial.unit, trial);
    if (this.#open.size <= MAX_OPEN || this.#shift >= 31) return;
    this.#shift += 1;
    for (const each of this.#open.values()) if (!isSampled(each.unit, this.#shift)) this.#forget(each);
  }

  #forget(trial: Awaited): void {
    this.#open.delete(trial.unit);
    for (const key of trial.keys) if (this.#byKey.get(key) === trial) this.#byKey.delete(key);
  }

  /** Undefined when the unit says nothing of the metric. */
  #valueOf({ value, per }: Awaited): number | undefined {
    switch (this.#definition.kind) {
      case 'conversion':
        return value ?? 0;
      case 'numeric':
        return value;
      case 'ratio': {
        const ratio = (value ?? 0) / per;
        return isNumber(ratio) ? ratio : undefined;
      }
    }
  }
}

/** What an event counts for; undefined when its value makes no sense. */
function amountOf(definition: MetricDefinition, value: unknown): number | undefined {
  switch (definition.kind) {
    case 'conversion':
      return 1;
    case 'numeric':
      return isNumber(value) && value >= definition.min ? value : undefined;
    case 'ratio':
      if (value === undefined) return 1;
      return isNumber(value) && value >= 0 ? value : undefined;
  }
}

/** A caller in JavaScript may pass anything. */
function isNumber(value: unknown): value is number {
  return typeof value === 'number' && Math.abs(value) <= MAX_METRIC_VALUE;
}

/** Whether a unit is in a sample of one of 2^shift. */
export function isSampled(unit: number, shift: number): boolean {
  return shift === 0 || unit >>> (32 - shift) === 0;
}
