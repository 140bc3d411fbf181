/**
 * What observers cost for one outcome: OpenTelemetry without and with an SDK, and Unleash's impact metrics.
 * Run with `npx tsx bench/telemetry.ts`.
 */
import { metrics } from '@opentelemetry/api';
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics';
import { Unleash } from 'unleash-client';
import { unleashImpactMetrics } from '../providers/unleash/impact-metrics.js';
import type { GuardObserver } from '../src/model/observer.js';
import type { Outcome } from '../src/model/shapes.js';
import { openTelemetry } from '../src/opentelemetry/index.js';
import { compare, printComparison } from './harness.js';

const POOL = 4096;
const MASK = POOL - 1;
const FLAG = { flagKey: 'async-upload', project: 'default', environment: 'production' };

/** A tenth fails, with one of ten error types. */
const pool = Array.from({ length: POOL }, (_, index): Outcome => {
  const failed = index % 10 === 0;
  return {
    exposure: {
      flagKey: 'async-upload',
      arm: index % 2 === 0 ? 'treatment' : 'control',
      variant: undefined,
      reason: 'SPLIT',
      errorCode: undefined,
      targetingKey: `user-${index}`,
      epoch: 1,
      at: 0,
    },
    result: failed ? 'failure' : 'success',
    durationMs: 1 + (index % 997),
    errorType: failed ? `Error${index % 100}` : undefined,
    critical: false,
    fallbackUsed: failed,
    userSucceeded: true,
    attempts: 1,
    attributes: undefined,
    at: 0,
  };
});

const observing = (name: string, observer: GuardObserver) => ({
  name,
  run(iterations: number) {
    for (let i = 0; i < iterations; i++) observer.outcome?.(pool[i & MASK]!, FLAG);
  },
});

const provider = new MeterProvider({
  readers: [
    new PeriodicExportingMetricReader({
      exporter: new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE),
      exportIntervalMillis: 3_600_000,
    }),
  ],
});
const meter = provider.getMeter('bench');
const counter = meter.createCounter('plain.counter');
const attributes = { 'feature_flag.key': 'async-upload', arm: 'treatment' };
const unleash = new Unleash({ url: 'http://localhost/api', appName: 'bench', disableAutoStart: true });

let sum = 0;
const measurements = await compare([
  {
    name: 'bare loop over the outcomes',
    run(iterations) {
      for (let i = 0; i < iterations; i++) sum += pool[i & MASK]!.durationMs ?? 0;
    },
  },
  observing('openTelemetry, no SDK', openTelemetry({ meter: metrics.getMeter('none') })),
  {
    name: "OpenTelemetry's own counter.add, with the SDK",
    run(iterations) {
      for (let i = 0; i < iterations; i++) counter.add(1, attributes);
    },
  },
  observing('openTelemetry, with the SDK', openTelemetry({ meter })),
  observing('unleashImpactMetrics', unleashImpactMetrics(unleash)),
]);
printComparison('An outcome shown to an observer', measurements);
if (Number.isNaN(sum)) throw new Error('unreachable');
await provider.shutdown();
unleash.destroy();
