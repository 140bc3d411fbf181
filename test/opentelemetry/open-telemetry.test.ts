import { type Meter, metrics } from '@opentelemetry/api';
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
import type { GuardEvent } from '../../src/model/event.js';
import type { GuardedFlag } from '../../src/model/observer.js';
import type { Outcome } from '../../src/model/shapes.js';
import { ConfigError } from '../../src/support/config-error.js';
import { version } from '../../src/support/version.js';
import { GuardHarness } from '../helpers/guard-harness.js';

/** As the guards of the harness have it. */
const UPLOAD: GuardedFlag = { flagKey: 'async-upload', project: 'default', environment: 'production' };
const ATTRIBUTES = {
  'feature_flag.key': 'async-upload',
  'feature_flag.set.id': 'default/production',
  'deployment.environment.name': 'production',
};

let exporter: InMemoryMetricExporter;
let provider: MeterProvider;

beforeEach(() => {
  exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
  // Read by `collect` alone: the interval never passes.
  const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000 });
  provider = new MeterProvider({ readers: [reader] });
});

afterEach(async () => {
  metrics.disable();
  await provider.shutdown();
});

async function collect(): Promise<ReadonlyMap<string, MetricData>> {
  exporter.reset();
  await provider.forceFlush();
  const [resource] = exporter.getMetrics();
  const scopes = resource?.scopeMetrics ?? [];
  return new Map(
    scopes.flatMap((scope) => scope.metrics.map((metric) => [metric.descriptor.name, metric] as const)),
  );
}

/** The points of a metric as `[attributes, value]`. */
const points = (metric: MetricData | undefined) =>
  metric?.dataPoints.map(({ attributes, value }) => [attributes, value]) ?? [];

const sum = (metric: MetricData | undefined) =>
  metric?.dataPoints.reduce((total, { value }) => total + (value as number), 0);

function outcome(fields: Partial<Outcome> & { arm?: 'treatment' | 'control' } = {}): Outcome {
  const { arm = 'treatment', ...rest } = fields;
  return {
    exposure: {
      flagKey: 'async-upload',
      arm,
      variant: 'on',
      reason: 'SPLIT',
      errorCode: undefined,
      targetingKey: 'user-of-this-request',
      epoch: 1,
      at: 0,
    },
    result: 'success',
    durationMs: 250,
    errorType: undefined,
    critical: false,
    fallbackUsed: false,
    userSucceeded: true,
    attempts: 1,
    attributes: { fileName: 'secret.pdf' },
    at: 0,
    ...rest,
  };
}

describe('openTelemetry', () => {
  it('counts outcomes by flag, arm, result, error type and fallback', async () => {
    const observer = openTelemetry({ meter: provider.getMeter('test') });
    observer.outcome?.(outcome(), UPLOAD);
    observer.outcome?.(outcome(), UPLOAD);
    observer.outcome?.(outcome({ arm: 'control', errorType: 'left over from a retry' }), UPLOAD);
    observer.outcome?.(outcome({ result: 'failure', errorType: 'ECONNRESET', fallbackUsed: true }), UPLOAD);
    const metric = (await collect()).get('rollout_guard.outcomes');
    expect(metric).toMatchObject({
      dataPointType: DataPointType.SUM,
      isMonotonic: true,
      descriptor: { unit: '{outcome}' },
    });
    const base = { ...ATTRIBUTES, 'rollout_guard.fallback': false };
    const treatment = { ...base, 'rollout_guard.arm': 'treatment' };
    expect(points(metric)).toEqual([
      [{ ...treatment, 'rollout_guard.result': 'success' }, 2],
      [{ ...base, 'rollout_guard.arm': 'control', 'rollout_guard.result': 'success' }, 1],
      [
        {
          ...treatment,
          'rollout_guard.result': 'failure',
          'rollout_guard.fallback': true,
          'error.type': 'ECONNRESET',
        },
        1,
      ],
    ]);
    observer.outcome?.(outcome(), UPLOAD);
    expect(sum((await collect()).get('rollout_guard.outcomes'))).toBe(5);
  });

  it('records durations in seconds, and leaves out invalid and unknown ones', async () => {
    const observer = openTelemetry({ meter: provider.getMeter('test') });
    for (const durationMs of [250, 30_000, undefined, Number.NaN, -1, Number.POSITIVE_INFINITY]) {
      observer.outcome?.(outcome({ durationMs }), UPLOAD);
    }
    const metric = (await collect()).get('rollout_guard.duration');
    expect(metric).toMatchObject({ dataPointType: DataPointType.HISTOGRAM, descriptor: { unit: 's' } });
    expect(metric?.dataPoints).toHaveLength(1);
    expect(metric?.dataPoints[0]?.value).toMatchObject({ count: 2, sum: 30.25, min: 0.25, max: 30 });
    const { buckets } = metric!.dataPoints[0]!.value as {
      buckets: { boundaries: number[]; counts: number[] };
    };
    expect(buckets.counts[buckets.boundaries.indexOf(0.25)]).toBe(1);
    expect(buckets.counts[buckets.boundaries.indexOf(30)]).toBe(1);
  });

  it('counts a blind guard by reason, until it sees again or ends', async () => {
    const observer = openTelemetry({ meter: provider.getMeter('test') });
    const health = (...codes: string[]): GuardEvent => ({
      type: 'health',
      at: 0,
      status: codes.length > 0 ? 'blind' : 'ok',
      since: 0,
      reasons: codes.map((code) => ({ code, message: 'why', since: 0 })),
      began: [],
      ended: [],
    });
    const blind = async () => {
      return points((await collect()).get('rollout_guard.blind'));
    };
    const of = (code: string) => ({ ...ATTRIBUTES, 'rollout_guard.reason': code });
    observer.event?.(health('stale-flags'), UPLOAD);
    observer.event?.(health('stale-flags', 'flag-missing'), UPLOAD);
    expect(await blind()).toEqual([
      [of('stale-flags'), 1],
      [of('flag-missing'), 1],
    ]);
    observer.event?.(health('flag-missing'), UPLOAD);
    expect(await blind()).toEqual([
      [of('stale-flags'), 0],
      [of('flag-missing'), 1],
    ]);
    observer.event?.({ type: 'closed', at: 0 }, UPLOAD);
    expect(await blind()).toEqual([
      [of('stale-flags'), 0],
      [of('flag-missing'), 0],
    ]);
  });

  it('keeps 50 error types apart, and counts all of 1,000', async () => {
    const observer = openTelemetry({ meter: provider.getMeter('test') });
    for (let round = 0; round < 2; round++) {
      for (let type = 0; type < 1_000; type++) {
        observer.outcome?.(outcome({ result: 'failure', errorType: `Error${type}` }), UPLOAD);
      }
    }
    const collected = await collect();
    const outcomes = collected.get('rollout_guard.outcomes');
    expect(outcomes?.dataPoints).toHaveLength(51);
    expect(sum(outcomes)).toBe(2_000);
    const other = outcomes?.dataPoints.find(({ attributes }) => attributes['error.type'] === '_OTHER');
    expect(other?.value).toBe(1_900);
    expect(collected.get('rollout_guard.duration')?.dataPoints).toHaveLength(1);
  });

  it('cuts an error type that is as long as a message', async () => {
    const observer = openTelemetry({ meter: provider.getMeter('test') });
    observer.outcome?.(outcome({ result: 'failure', errorType: 'x'.repeat(10_000) }), UPLOAD);
    const [point] = points((await collect()).get('rollout_guard.outcomes'));
    expect(point?.[0]).toMatchObject({ 'error.type': 'x'.repeat(64) });
  });

  it('adds up what several observers on one meter count', async () => {
    const meter = provider.getMeter('test');
    openTelemetry({ meter }).outcome?.(outcome(), UPLOAD);
    openTelemetry({ meter }).outcome?.(outcome(), UPLOAD);
    openTelemetry({ meter }).outcome?.(outcome(), { ...UPLOAD, flagKey: 'another' });
    const { dataPoints } = (await collect()).get('rollout_guard.outcomes')!;
    expect(dataPoints.map(({ attributes, value }) => [attributes['feature_flag.key'], value])).toEqual([
      ['async-upload', 2],
      ['another', 1],
    ]);
  });

  it('keeps environments and projects of one flag apart', async () => {
    const observer = openTelemetry({ meter: provider.getMeter('test') });
    const places = [UPLOAD, { ...UPLOAD, environment: 'staging' }, { ...UPLOAD, project: 'shop' }];
    for (const flag of places) {
      observer.outcome?.(outcome(), flag);
      observer.event?.({ type: 'started', at: 0, epoch: 1, status: 'armed' }, flag);
    }
    observer.event?.({ type: 'fault', at: 0, what: 'a listener', message: 'down' }, places[1]!);
    observer.event?.({ type: 'closed', at: 0 }, places[2]!);
    const collected = await collect();
    const counts = (name: string) =>
      points(collected.get(name)).map(([attributes, value]) => {
        const given = attributes as Record<string, unknown>;
        return [given['feature_flag.set.id'], given['deployment.environment.name'], value];
      });
    for (const name of ['rollout_guard.outcomes', 'rollout_guard.guards']) {
      const running = name === 'rollout_guard.guards' ? 0 : 1;
      expect(counts(name), name).toEqual([
        ['default/production', 'production', 1],
        ['default/staging', 'staging', 1],
        ['shop/production', 'production', running],
      ]);
    }
    expect(counts('rollout_guard.faults')).toEqual([['default/staging', 'staging', 1]]);
  });

  it('counts complaints, reviews, faults, and the decisions made here', async () => {
    const observer = openTelemetry({ meter: provider.getMeter('test') });
    const verdict = { trigger: 'success-rate-below', message: 'user-17 saw a failure' };
    const decision = { action: 'stop', dryRun: true, verdicts: [verdict, { trigger: 'error-rate-above' }] };
    const events = [
      { type: 'complaint', arm: 'treatment', attributes: { mail: 'someone@example.com' } },
      { type: 'review-opened', verdict },
      { type: 'review-closed', verdict },
      { type: 'fault', what: 'a listener', message: 'secret' },
      { type: 'decided', decision },
      { type: 'decided', decision, by: 'fleet' },
    ] as unknown as GuardEvent[];
    for (const event of events) observer.event?.(event, UPLOAD);
    const collected = await collect();
    const trigger = { 'rollout_guard.trigger': 'success-rate-below' };
    expect(Object.fromEntries(Array.from(collected, ([name, metric]) => [name, points(metric)]))).toEqual({
      'rollout_guard.complaints': [[{ ...ATTRIBUTES, 'rollout_guard.arm': 'treatment' }, 1]],
      'rollout_guard.reviews': [[{ ...ATTRIBUTES, ...trigger, 'rollout_guard.dry_run': false }, 1]],
      'rollout_guard.faults': [[ATTRIBUTES, 1]],
      'rollout_guard.decisions': [
        [{ ...ATTRIBUTES, ...trigger, 'rollout_guard.action': 'stop', 'rollout_guard.dry_run': true }, 1],
      ],
    });
  });

  it('rejects an invalid meter', () => {
    expect(() => openTelemetry({ meter: {} as Meter })).toThrow(ConfigError);
    expect(() => openTelemetry({ meter: {} as Meter })).toThrow(/meter: .*a Meter of @opentelemetry\/api/);
    expect(() => openTelemetry({ meters: provider.getMeter('test') } as object)).toThrow(/meters/);
  });
});

describe('openTelemetry in a guard', () => {
  let harness: GuardHarness;

  beforeEach(async () => {
    harness = await GuardHarness.create();
  });

  afterEach(() => harness.close());

  it('shows through the global provider what a guard does, from start to end', async () => {
    const observer = openTelemetry();
    // Later than the observer and earlier than the guard's start, as in many services.
    metrics.setGlobalMeterProvider(provider);
    const guard = await harness.started({ observers: [observer] });
    const states = async () =>
      points((await collect()).get('rollout_guard.guards')).map(([attributes, value]) => [
        (attributes as Record<string, unknown>)['rollout_guard.state'],
        value,
      ]);
    expect(await states()).toEqual([['armed', 1]]);
    await harness.fail(guard);
    await harness.until('stopped', () => guard.state.status === 'stopped');
    expect(await states()).toEqual([
      ['armed', 0],
      ['stopping', 0],
      ['stopped', 1],
    ]);
    const collected = await collect();
    expect(exporter.getMetrics()[0]?.scopeMetrics[0]?.scope).toMatchObject({
      name: 'unleash-rollout-guard',
      version,
    });
    expect(points(collected.get('rollout_guard.outcomes'))).toEqual([
      [
        {
          ...ATTRIBUTES,
          'rollout_guard.arm': 'treatment',
          'rollout_guard.result': 'failure',
          'rollout_guard.fallback': true,
          'error.type': 'Error',
        },
        20,
      ],
    ]);
    expect(sum(collected.get('rollout_guard.decisions'))).toBe(1);
    expect(JSON.stringify([...collected])).not.toMatch(/user-|down/);
    await guard.close();
    expect((await states()).map(([, value]) => value)).toEqual([0, 0, 0]);
  });

  it.each([
    { dryRun: false, expected: 'stopping' },
    { dryRun: true, expected: 'armed' },
  ])(
    'shows the state that an earlier run left as the guard resumes it, dry run: $dryRun',
    async ({ dryRun, expected }) => {
      harness.unleash.failure = () => new Response(null, { status: 503 });
      const first = await harness.started();
      await harness.fail(first);
      await harness.until('reported', () => harness.reported('stop-failed').length > 0);
      await first.close();
      const observer = openTelemetry({ meter: provider.getMeter('test') });
      const guard = await harness.started({ observers: [observer], dryRun });
      expect(guard.state.status).toBe(expected);
      const guards = points((await collect()).get('rollout_guard.guards')).filter(([, value]) => value === 1);
      expect(guards).toEqual([[{ ...ATTRIBUTES, 'rollout_guard.state': expected }, 1]]);
    },
  );

  it('records nothing, and logs nothing, when no SDK is registered before the guard starts', async () => {
    const guard = await harness.started({ observers: [openTelemetry()] });
    metrics.setGlobalMeterProvider(provider);
    await harness.fail(guard);
    await harness.until('stopped', () => guard.state.status === 'stopped');
    expect(harness.reported('fault')).toEqual([]);
    expect((await collect()).size).toBe(0);
  });
});
