import type { Attributes, Meter, Observable } from '@opentelemetry/api';
import { METRICS, type Metric, NAMESPACE } from '../dashboard/metric-table.js';
import type { GuardedFlag, GuardFigures } from '../model/observer.js';
import { OutcomeSeries } from './outcome-series.js';

/** In seconds: OpenTelemetry's advice for durations of requests, and beyond it up to what an upload may take. */
const BOUNDARIES_S = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 30, 60, 120];

/** What is recorded through one meter. */
export type Instruments = ReturnType<typeof newInstruments>;

/** What is observed of one flag in one environment, by whichever guards it has had. */
export interface ObservedFlag {
  /** Which no other flag or environment has. */
  readonly id: string;
  /** In the names of OpenTelemetry's semantic conventions; every data point has them. */
  readonly attributes: Attributes;
  /** Counted in memory and read when metrics are collected: a request pays for an addition. */
  readonly outcomes: OutcomeSeries;
  /** Read when metrics are collected; of a guard that has ended, they are the last. Undefined before a guard has started. */
  figures: (() => GuardFigures) | undefined;
}

/** A second set on the same meter would report the same series again, and the two would overwrite each other. */
const made = new WeakMap<Meter, Instruments>();

/** The instruments of a meter, created when they are first needed. */
export function instrumentsOf(meter: Meter): Instruments {
  const known = made.get(meter) ?? newInstruments(meter);
  made.set(meter, known);
  return known;
}

function newInstruments(meter: Meter) {
  const flags = new Map<string, ObservedFlag>();
  // So that an outcome makes no text to find its flag by.
  const known = new WeakMap<GuardedFlag, ObservedFlag>();
  observeFigures(meter, flags);
  const described = (noun: string, description: string) =>
    [`rollout_guard.${noun}s`, { unit: `{${noun}}`, description }] as const;
  meter
    .createObservableCounter(...described('outcome', 'How operations behind the flag ended.'))
    .addCallback((observed) => {
      for (const { outcomes } of flags.values()) {
        for (const { count, attributes } of outcomes.all) observed.observe(count, attributes);
      }
    });
  const counter = (noun: string, description: string) => meter.createCounter(...described(noun, description));
  return {
    flag(flag: GuardedFlag): ObservedFlag {
      let found = known.get(flag);
      if (found === undefined) {
        const added = observedFlag(flag);
        found = flags.get(added.id) ?? added;
        flags.set(added.id, found);
        known.set(flag, found);
      }
      return found;
    },
    duration: meter.createHistogram('rollout_guard.duration', {
      unit: 's',
      description: 'What the user waited, retries and fallback included.',
      advice: { explicitBucketBoundaries: BOUNDARIES_S },
    }),
    complaints: counter('complaint', 'Complaints of users, by the arm that they got.'),
    decisions: counter(
      'decision',
      'Decisions to stop the flag or to step back, counted where they were made.',
    ),
    reviews: counter('review', 'Reviews that were opened and need an operator.'),
    faults: counter('fault', 'Failures of anything but a stop itself.'),
    blind: meter.createUpDownCounter('rollout_guard.blind', {
      unit: '{guard}',
      description: 'Running guards that are blind, by reason.',
    }),
    guards: meter.createUpDownCounter(...described('guard', 'Running guards, by state.')),
  };
}

function observedFlag({ flagKey, project, environment }: GuardedFlag): ObservedFlag {
  const setId = `${project}/${environment}`;
  const attributes = {
    'feature_flag.key': flagKey,
    'deployment.environment.name': environment,
    'feature_flag.set.id': setId,
  };
  return {
    id: `${setId}/${flagKey}`,
    attributes,
    outcomes: new OutcomeSeries(attributes),
    figures: undefined,
  };
}

/** Where rollouts stand: the same metrics as in Prometheus' text, but for those that are recorded as they happen. */
function observeFigures(meter: Meter, flags: ReadonlyMap<string, ObservedFlag>): void {
  const made = METRICS.filter(({ isRecorded }) => isRecorded !== true).map(
    (metric) => [metric, observableOf(meter, metric)] as const,
  );
  meter.addBatchObservableCallback(
    (result) => {
      for (const { attributes, figures } of flags.values()) {
        const now = figures && figuresOf(figures);
        if (now === undefined) continue;
        for (const [{ samples }, instrument] of made) {
          for (const [labels, value] of samples(now)) {
            // JSON has no infinity: one would spoil the whole export.
            if (Number.isFinite(value)) {
              result.observe(instrument, value!, { ...attributes, ...attributesOf(labels) });
            }
          }
        }
      }
    },
    made.map(([, instrument]) => instrument),
  );
}

function observableOf(meter: Meter, { name, kind, unit, help: description }: Metric): Observable {
  const options = { unit: unit ?? '1', description };
  const full = `${NAMESPACE}.${name}`;
  return kind === 'counter'
    ? meter.createObservableCounter(full, options)
    : meter.createObservableGauge(full, options);
}

/** A guard that cannot say where it stands leaves the others alone. */
function figuresOf(read: () => GuardFigures): GuardFigures | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}

function attributesOf(labels: Readonly<Record<string, string | number | boolean>>): Attributes {
  return Object.fromEntries(
    Object.entries(labels).map(([name, value]) => [`${NAMESPACE}.${name}`, value] as const),
  );
}
