import type { Attributes } from '@opentelemetry/api';
import {
  AggregationTemporality,
  DataPointType,
  InMemoryMetricExporter,
  MeterProvider,
  type MetricData,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics';
import { openTelemetry } from 'unleash-rollout-guard/opentelemetry';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { METRICS } from '../../src/dashboard/metric-table.js';
import { errorRateAbove } from '../../src/triggers/error-rate-above.js';
import { failureRegression } from '../../src/triggers/event-regression.js';
import { prometheusAbove } from '../../src/triggers/signals/prometheus.js';
import { successRateBelow } from '../../src/triggers/success-rate-below.js';
import { GuardHarness } from '../helpers/guard-harness.js';

let harness: GuardHarness;
let exporter: InMemoryMetricExporter;
let provider: MeterProvider;

beforeEach(async () => {
  harness = await GuardHarness.create();
  provide(AggregationTemporality.CUMULATIVE);
});

function provide(temporality: AggregationTemporality): void {
  exporter = new InMemoryMetricExporter(temporality);
  const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000 });
  provider = new MeterProvider({ readers: [reader] });
}

afterEach(async () => {
  await harness.close();
  await provider.shutdown();
});

async function collect(): Promise<readonly MetricData[]> {
  exporter.reset();
  await provider.forceFlush();
  return exporter.getMetrics()[0]?.scopeMetrics.flatMap(({ metrics }) => metrics) ?? [];
}

const recorded = METRICS.filter(({ isRecorded }) => isRecorded).map(({ name }) => `rollout_guard.${name}`);
const fromTable = METRICS.filter(({ isRecorded }) => !isRecorded).map(({ name }) => `rollout_guard.${name}`);

/** Prometheus' names for OpenTelemetry's own. */
const LABELS: Readonly<Record<string, string>> = {
  'feature_flag.key': 'flag',
  'deployment.environment.name': 'environment',
};
const PLACE = 'environment="production",project="default"';

/** `rollout_guard_token_expiry_seconds{flag="a"} 1` of `rollout_guard.token.expiry` in seconds. */
function linesOf(metric: MetricData): string[] {
  const { name, unit } = metric.descriptor;
  const isCounter = metric.dataPointType === DataPointType.SUM;
  const suffix = `${unit === 's' ? '_seconds' : ''}${isCounter ? '_total' : ''}`;
  return (metric.dataPoints as { attributes: Attributes; value: unknown }[]).map(({ attributes, value }) => {
    const labels = Object.entries(attributes).map(([key, given]) => {
      if (key === 'feature_flag.set.id') return `project="${String(given).split('/')[0]}"`;
      return `${LABELS[key] ?? key.replace('rollout_guard.', '')}="${given}"`;
    });
    return `${name.replaceAll('.', '_')}${suffix}{${labels.join(',')}} ${value}`;
  });
}

const RULES = {
  tickMs: 5,
  rollback: [successRateBelow(0.95, { minOutcomes: 20 }), failureRegression({ name: 'tried', dryRun: true })],
  // Never readable: it has no observed value.
  review: [prometheusAbove({ url: 'http://127.0.0.1:1', query: 'up', threshold: 1 })],
  stages: [{ percentage: 10, minOutcomes: 50, minSuccessRate: 0.9 }],
};

describe('where a rollout stands, in OpenTelemetry', () => {
  it('is the same as in Prometheus, by names that become the same', async () => {
    const observers = [openTelemetry({ meter: provider.getMeter('test') })];
    const guard = await harness.started({
      ...RULES,
      rollback: [errorRateAbove(1, { minOutcomes: 5 })],
      observers,
    });
    await harness.fail(guard, 10);
    await harness.until('evaluated', () => guard.prometheus().includes('rollout_guard_trigger_observed'));
    guard.reportComplaint({ targetingKey: 'user-1' });
    const same = async () => {
      const lines = (await collect()).filter(({ descriptor }) => fromTable.includes(descriptor.name));
      const text = guard.prometheus().split('\n');
      const names = new Set(lines.flatMap(linesOf).map((line) => line.split('{')[0]));
      const ofTable = text.filter((line) => names.has(line.split('{')[0]!));
      return { otel: lines.flatMap(linesOf).sort(), prometheus: ofTable.sort() };
    };
    // Something may happen between the two readings.
    let found = await same();
    for (let attempt = 0; attempt < 5 && found.otel.join() !== found.prometheus.join(); attempt++) {
      found = await same();
    }
    expect(found.otel).toEqual(found.prometheus);
    expect(found.otel).toContain(`rollout_guard_leader{flag="async-upload",${PLACE}} 1`);
  });

  it('has every metric of the table, and nothing where there is no data', async () => {
    // With the other temporality, the SDK for JavaScript repeats the last value of what is no longer observed.
    provide(AggregationTemporality.DELTA);
    const observers = [openTelemetry({ meter: provider.getMeter('test') })];
    const guard = await harness.started({ ...RULES, observers });
    const before = await collect();
    const observed = before.find(({ descriptor }) => descriptor.name === 'rollout_guard.trigger.observed');
    expect(observed?.dataPoints ?? []).toEqual([]);
    const threshold = before.find(({ descriptor }) => descriptor.name === 'rollout_guard.trigger.threshold');
    expect(threshold?.dataPoints.length ?? 0).toBeGreaterThan(0);
    guard.exposed({ value: true, reason: 'SPLIT', flagMetadata: { chance: 0.5, contextId: 'u' } }, 'u');
    guard.reportComplaint({ targetingKey: 'u' });
    await harness.until('a fault', () => harness.reported('fault').length > 0);
    await harness.fail(guard);
    await harness.until('stopped', () => guard.state.status === 'stopped');
    const after = await collect();
    const names = after.map(({ descriptor }) => descriptor.name);
    // The token does not expire, no guard is blind, and a stopped flag has no stage.
    const silent = [
      'rollout_guard.token.expiry',
      'rollout_guard.blind',
      'rollout_guard.stage.percentage',
      'rollout_guard.stage.met',
    ];
    const hasPoints = (name: string) =>
      (after.find(({ descriptor }) => descriptor.name === name)?.dataPoints.length ?? 0) > 0;
    expect([...recorded, ...fromTable].filter((name) => !hasPoints(name))).toEqual(
      [...recorded, ...fromTable].filter((name) => silent.includes(name)),
    );
    const prevented = after.find(({ descriptor }) => descriptor.name === 'rollout_guard.prevented_incidents');
    expect(prevented?.dataPoints[0]?.value).toBe(1);
    expect(new Set(names).size).toBe(names.length);
    await guard.close();
    const closed = (await collect()).find(({ descriptor }) => descriptor.name === 'rollout_guard.state')!;
    expect(linesOf(closed)).toContain(`rollout_guard_state{flag="async-upload",${PLACE},state="closed"} 1`);
  });

  it('of one guard is still shown when another cannot say where it stands', async () => {
    const observer = openTelemetry({ meter: provider.getMeter('test') });
    observer.started?.({ flagKey: 'broken', project: 'default', environment: 'production' }, () => {
      throw new Error('no figures');
    });
    await harness.started({ ...RULES, observers: [observer] });
    const state = (await collect()).find(({ descriptor }) => descriptor.name === 'rollout_guard.state');
    expect(state?.dataPoints.map(({ attributes }) => attributes['feature_flag.key'])).toEqual(
      Array(4).fill('async-upload'),
    );
  });

  it('follows the guard that has started meanwhile, when an earlier one of the flag ends', async () => {
    const observers = [openTelemetry({ meter: provider.getMeter('test') })];
    const earlier = await harness.started({ ...RULES, observers, folder: false });
    const later = await harness.started({ ...RULES, observers, folder: false });
    await earlier.close();
    await later.close();
    const state = (await collect()).find(({ descriptor }) => descriptor.name === 'rollout_guard.state')!;
    expect(linesOf(state)).toContain(`rollout_guard_state{flag="async-upload",${PLACE},state="closed"} 1`);
  });
});
