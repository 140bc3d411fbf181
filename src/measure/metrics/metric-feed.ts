import type { EvidenceRequest } from '../../statistics/evidence-state.js';
import type { MetricEvidence, MetricTrial } from '../../statistics/metrics/metric-evidence.js';
import type { MetricDelta, MetricDump, TrialEntry } from './metric-delta.js';
import { MetricSums, type MetricTally } from './metric-sums.js';
import { isSampled, MetricTrials, type TrackResult } from './metric-trials.js';

/** Trials of one metric that one delta carries at most; of more, a sample by the hashes of their units. */
const MAX_SENT = 256;
/** Trials of other processes that wait to be fed. */
const MAX_REMOTE = 65_536;

/** A trigger that may compare a metric. */
interface MetricSpec {
  readonly name: string;
  readonly evidence?: EvidenceRequest | undefined;
}

/** The tests of the rollout, by trigger. */
type Evidences = (trigger: string) => MetricEvidence | undefined;

/** What was tracked, and by whom. */
export interface MetricEvent {
  readonly name: string;
  readonly targetingKey: string | undefined;
  readonly value: number | undefined;
}

/** What is wrong with an event, and for which trigger. */
export interface MetricProblem {
  readonly trigger: string;
  readonly result: 'invalid' | 'unattributed';
}

/**
 * Feeds the tests of metrics: opens a trial for each unit, gives it the events that are tracked, and hands it to the test, and to the next
 * delta, when its time is over. What other processes sent waits until everything that was exposed before has arrived.
 */
export class MetricFeed {
  readonly #metrics: readonly Metric[];
  readonly #byEvent = new Map<string, Metric[]>();
  readonly #hash: (text: string) => number;
  /** Raised by everything that the next delta carries. */
  activity = 0;

  /** @param hash - Of units and targeting keys. */
  constructor(specs: readonly MetricSpec[], hash: (text: string) => number) {
    this.#hash = hash;
    this.#metrics = specs.flatMap(({ name, evidence }) =>
      evidence?.test === 'metric' ? [new Metric(name, evidence.metric)] : [],
    );
    for (const metric of this.#metrics) {
      for (const event of metric.trials.events) {
        this.#byEvent.set(event, [...(this.#byEvent.get(event) ?? []), metric]);
      }
    }
  }

  /** Whether any trigger compares a metric. */
  get isUsed(): boolean {
    return this.#metrics.length > 0;
  }

  /** The names of the events that they are made of. */
  get events(): ReadonlySet<string> {
    return new Set(this.#byEvent.keys());
  }

  /** When the next trial ends; undefined when none is open. */
  get dueAt(): number | undefined {
    const times = this.#metrics.flatMap(({ trials }) => trials.dueAt ?? []);
    return times.length === 0 ? undefined : Math.min(...times);
  }

  open(unit: number, targetingKey: string | undefined, treated: boolean, chance: number, at: number): void {
    const key = targetingKey === undefined ? undefined : this.#hash(targetingKey);
    // At 100 % nothing is drawn, so that the provider names no unit.
    const owner = unit === 0 && chance >= 1 ? (key ?? 0) : unit;
    for (const { trials } of this.#metrics) trials.open(owner, key, treated, chance, at);
  }

  /** @returns what was wrong with the event, for each trigger that could not use it. */
  track(event: MetricEvent, at: number, evidences: Evidences): readonly MetricProblem[] {
    const metrics = this.#byEvent.get(event.name);
    if (metrics === undefined) return [];
    this.activity++;
    const key = event.targetingKey === undefined ? undefined : this.#hash(event.targetingKey);
    return metrics.flatMap((metric) => {
      const result = metric.trials.track(event.name, key, event.value, at);
      metric.note(result, evidences(metric.trigger));
      return result === 'invalid' || result === 'unattributed' ? [{ trigger: metric.trigger, result }] : [];
    });
  }

  /** Feeds the tests with the units whose time is over. */
  settle(now: number, evidences: Evidences): void {
    for (const metric of this.#metrics) {
      metric.trials.settle(now, (trial) => {
        this.activity++;
        metric.settled(trial, evidences(metric.trigger));
        metric.send(trial);
      });
    }
  }

  /** @returns whether anything was fed. */
  settleUpTo(time: number, evidences: Evidences): boolean {
    let isFed = false;
    for (const metric of this.#metrics) {
      isFed = metric.feedRemote(time - metric.withinMs, evidences(metric.trigger)) || isFed;
    }
    return isFed;
  }

  /** What came since the previous call. */
  takeDelta(): MetricDelta[] {
    return this.#metrics.flatMap((metric) => metric.take() ?? []);
  }

  /** What the tests were fed with since the previous call. */
  takeTallies(): MetricTally[] {
    return this.#metrics.flatMap((metric) => metric.sums.take() ?? []);
  }

  merge(deltas: readonly MetricDelta[], evidences: Evidences): void {
    for (const { trigger, trials, notes } of deltas) {
      const metric = this.#metrics.find((each) => each.trigger === trigger);
      metric?.merge(trials, evidences(trigger));
      if (metric !== undefined) evidences(trigger)?.note(notes);
    }
  }

  /** The percentage changed, or a new rollout begins: a unit may see the other arm from now on, so that what is open counts for none. */
  beginEpoch(continues: boolean): void {
    for (const metric of this.#metrics) metric.clear(!continues);
  }

  contents(): MetricDump[] {
    return this.#metrics.map((metric) => metric.contents());
  }

  restore(dumps: readonly MetricDump[]): void {
    for (const dump of dumps) this.#metrics.find(({ trigger }) => trigger === dump.trigger)?.restore(dump);
  }
}

/** The metric of one trigger. */
class Metric {
  readonly trials: MetricTrials;
  readonly withinMs: number;
  readonly sums: MetricSums;
  #sent: TrialEntry[] = [];
  #notes = { tracked: 0, unattributed: 0, invalid: 0 };
  /** From other processes. */
  #remote: TrialEntry[] = [];

  constructor(
    readonly trigger: string,
    definition: ConstructorParameters<typeof MetricTrials>[0],
  ) {
    this.trials = new MetricTrials(definition);
    this.withinMs = definition.withinMs;
    this.sums = new MetricSums(trigger, definition.kind);
  }

  note(result: TrackResult, evidence: MetricEvidence | undefined): void {
    const notes = {
      tracked: 1,
      unattributed: result === 'unattributed' ? 1 : 0,
      invalid: result === 'invalid' ? 1 : 0,
    };
    evidence?.note(notes);
    this.#notes.tracked += 1;
    this.#notes.unattributed += notes.unattributed;
    this.#notes.invalid += notes.invalid;
  }

  settled(trial: MetricTrial, evidence: MetricEvidence | undefined): void {
    this.sums.add(trial);
    evidence?.settled(trial);
  }

  send({ unit, at, chance, treated, value }: MetricTrial): void {
    this.#sent.push([unit, at, chance, treated ? 1 : 0, value]);
    // A guard of its own sends nothing, and takes nothing.
    if (this.#sent.length > 4 * MAX_SENT) this.#trim();
  }

  take(): MetricDelta | undefined {
    this.#trim();
    const { trigger } = this;
    const [trials, notes] = [this.#sent, this.#notes];
    if (trials.length === 0 && notes.tracked === 0) return undefined;
    this.#sent = [];
    this.#notes = { tracked: 0, unattributed: 0, invalid: 0 };
    return { trigger, trials, notes };
  }

  merge(trials: readonly TrialEntry[], evidence: MetricEvidence | undefined): void {
    this.#remote.push(...trials);
    if (this.#remote.length <= MAX_REMOTE) return;
    const latest = this.#remote.map(([, at]) => at).sort((a, b) => a - b)[MAX_REMOTE / 2]!;
    this.feedRemote(latest, evidence);
  }

  /** @returns whether anything was fed. */
  feedRemote(upTo: number, evidence: MetricEvidence | undefined): boolean {
    if (this.#remote.length === 0) return false;
    this.#remote.sort((a, b) => a[1] - b[1]);
    const first = this.#remote.findIndex(([, at]) => at > upTo);
    const fed = this.#remote.splice(0, first < 0 ? this.#remote.length : first);
    for (const [unit, at, chance, treated, value] of fed) {
      this.settled({ unit, at, chance, treated: treated === 1, value }, evidence);
    }
    return fed.length > 0;
  }

  /** @param isAll - Also what has ended: it is of a rollout that is over. */
  clear(isAll: boolean): void {
    this.trials.clear();
    if (!isAll) return;
    this.#sent = [];
    this.#notes = { tracked: 0, unattributed: 0, invalid: 0 };
    this.#remote = [];
  }

  contents(): MetricDump {
    return { trigger: this.trigger, open: this.trials.contents(), waiting: this.#remote };
  }

  restore({ open, waiting }: MetricDump): void {
    this.trials.restore(open);
    this.#remote.push(...waiting);
  }

  /** In every delta the same units, so that a sample stays one of units. */
  #trim(): void {
    for (let shift = 1; this.#sent.length > MAX_SENT && shift < 32; shift++) {
      this.#sent = this.#sent.filter(([unit]) => isSampled(unit, shift));
    }
  }
}
