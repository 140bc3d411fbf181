import type { Counter, Histogram, Meter, UpDownCounter } from '@opentelemetry/api';
import { OutcomeSeries } from './outcome-series.js';

/** In seconds: OpenTelemetry's advice for durations of requests, and beyond it up to what an upload may take. */
const BOUNDARIES_S = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 30, 60, 120];

/** What is recorded through one meter. */
export interface Instruments {
  /** Counted in memory and read when metrics are collected: a request pays for an addition. */
  series(flagKey: string): OutcomeSeries;
  readonly duration: Histogram;
  readonly complaints: Counter;
  readonly decisions: Counter;
  readonly reviews: Counter;
  readonly faults: Counter;
  readonly guards: UpDownCounter;
}

/** A second set on the same meter would report the same series again, and the two would overwrite each other. */
const made = new WeakMap<Meter, Instruments>();

/** The instruments of a meter, created when they are first needed. */
export function instrumentsOf(meter: Meter): Instruments {
  const known = made.get(meter) ?? newInstruments(meter);
  made.set(meter, known);
  return known;
}

function newInstruments(meter: Meter): Instruments {
  const flags = new Map<string, OutcomeSeries>();
  meter
    .createObservableCounter('rollout_guard.outcomes', {
      unit: '{outcome}',
      description: 'How operations behind the flag ended.',
    })
    .addCallback((observed) => {
      for (const { all } of flags.values()) {
        for (const { count, attributes } of all) observed.observe(count, attributes);
      }
    });
  return {
    series(flagKey) {
      const known = flags.get(flagKey);
      if (known !== undefined) return known;
      const added = new OutcomeSeries(flagKey);
      flags.set(flagKey, added);
      return added;
    },
    duration: meter.createHistogram('rollout_guard.duration', {
      unit: 's',
      description: 'What the user waited, retries and fallback included.',
      advice: { explicitBucketBoundaries: BOUNDARIES_S },
    }),
    complaints: meter.createCounter('rollout_guard.complaints', {
      unit: '{complaint}',
      description: 'Complaints of users, by the arm that they got.',
    }),
    decisions: meter.createCounter('rollout_guard.decisions', {
      unit: '{decision}',
      description: 'Decisions to stop the flag or to step back, counted where they were made.',
    }),
    reviews: meter.createCounter('rollout_guard.reviews', {
      unit: '{review}',
      description: 'Reviews that were opened and need an operator.',
    }),
    faults: meter.createCounter('rollout_guard.faults', {
      unit: '{fault}',
      description: 'Failures of anything but a stop itself.',
    }),
    guards: meter.createUpDownCounter('rollout_guard.guards', {
      unit: '{guard}',
      description: 'Running guards, by state.',
    }),
  };
}
