import { ConfigError } from 'unleash-rollout-guard';
import { describe, expect, it, onTestFinished } from 'vitest';
import { unleashImpactMetrics } from '../../../providers/unleash/impact-metrics.js';
import { UnleashProvider } from '../../../providers/unleash/provider.js';
import type { Arm, Outcome, Result } from '../../../src/model/shapes.js';
import { flagOf } from './bootstrapped.js';
import { type LoopbackUnleash, startLoopbackUnleash } from './loopback-unleash.js';

const PLACE = { flagKey: 'upload', project: 'default', environment: 'production' };

interface SentMetric {
  readonly name: string;
  readonly samples: readonly { readonly value?: number; readonly count?: number; readonly sum?: number }[];
}

async function setUp() {
  const server = await startLoopbackUnleash({ version: 2, features: [flagOf({})] });
  const provider = new UnleashProvider({
    url: server.url,
    appName: 'shop',
    customHeaders: { Authorization: 'default:production.made-up' },
    // Sent when the provider closes; the interval never passes.
    metricsInterval: 3_600_000,
    storageProvider: { get: async () => undefined, set: async () => {} },
    skipInstanceCountWarning: true,
    logger: false,
  });
  onTestFinished(async () => {
    await provider.onClose();
    await server[Symbol.asyncDispose]();
  });
  return { server, provider, observer: unleashImpactMetrics(provider) };
}

/** What the latest request brought, by name: a counter's value, or a histogram's count and sum. */
function sentTo({ sentMetrics }: LoopbackUnleash): Record<string, unknown> {
  const { impactMetrics = [] } = (sentMetrics.at(-1) ?? {}) as { impactMetrics?: readonly SentMetric[] };
  return Object.fromEntries(
    impactMetrics.map(({ name, samples }) => {
      expect(samples).toHaveLength(1);
      const { value, count, sum } = samples[0]!;
      return [name.replace('rollout_guard_', ''), value ?? [count, sum]];
    }),
  );
}

function outcome(
  arm: Arm,
  result: Result,
  durationMs?: number,
  fallbackUsed = false,
  flagKey = 'upload',
): Outcome {
  return {
    exposure: {
      flagKey,
      arm,
      variant: 'on',
      reason: 'SPLIT',
      errorCode: undefined,
      targetingKey: 'user',
      epoch: 1,
      at: 0,
    },
    result,
    durationMs,
    errorType: undefined,
    critical: false,
    fallbackUsed,
    userSucceeded: true,
    attempts: 1,
    attributes: undefined,
    at: 0,
  };
}

describe('unleashImpactMetrics', () => {
  it('sends the counted outcomes by flag and arm, and the durations of successes', async () => {
    const { server, provider, observer } = await setUp();
    await provider.initialize();
    observer.outcome?.(outcome('treatment', 'success', 250), PLACE);
    observer.outcome?.(outcome('treatment', 'success', 1_500), PLACE);
    observer.outcome?.(outcome('treatment', 'success', Number.NaN), PLACE);
    observer.outcome?.(outcome('treatment', 'success', -1), PLACE);
    observer.outcome?.(outcome('treatment', 'success'), PLACE);
    observer.outcome?.(outcome('treatment', 'failure', 90_000, true), PLACE);
    observer.outcome?.(outcome('treatment', 'failure', 90_000), PLACE);
    observer.outcome?.(outcome('treatment', 'expected', 1), PLACE);
    observer.outcome?.(outcome('treatment', 'aborted', 1), PLACE);
    observer.outcome?.(outcome('control', 'failure', 1), PLACE);
    await provider.onClose();
    expect(sentTo(server)).toEqual({
      upload_treatment_successes: 5,
      upload_treatment_failures: 2,
      upload_treatment_fallbacks: 1,
      upload_treatment_duration_seconds: [2, 1.75],
      upload_control_successes: 0,
      upload_control_failures: 1,
      upload_control_duration_seconds: [0, 0],
    });
  });

  it('names metrics as Unleash accepts them, whatever the flag is called', async () => {
    const { server, provider, observer } = await setUp();
    await provider.initialize();
    observer.outcome?.(outcome('control', 'success', 1, false, '2026.async-upload~v2'), PLACE);
    await provider.onClose();
    const names = Object.keys(sentTo(server));
    expect(names).toContain('2026_async_upload_v2_control_successes');
    for (const name of names) expect(`rollout_guard_${name}`).toMatch(/^[a-zA-Z_]\w*$/);
  });

  it('leaves out outcomes before the first data and after the end, and resumes when the provider is reopened', async () => {
    const { server, provider, observer } = await setUp();
    observer.outcome?.(outcome('treatment', 'success'), PLACE);
    await provider.initialize();
    observer.outcome?.(outcome('treatment', 'success'), PLACE);
    await provider.onClose();
    expect(sentTo(server)).toMatchObject({ upload_treatment_successes: 1 });
    observer.outcome?.(outcome('treatment', 'success'), PLACE);
    await provider.initialize();
    observer.outcome?.(outcome('treatment', 'failure'), PLACE);
    await provider.onClose();
    expect(server.sentMetrics).toHaveLength(2);
    expect(sentTo(server)).toMatchObject({ upload_treatment_successes: 0, upload_treatment_failures: 1 });
  });

  it('rejects what is no provider', () => {
    expect(() => unleashImpactMetrics({} as UnleashProvider)).toThrow(ConfigError);
    expect(() => unleashImpactMetrics(undefined as unknown as UnleashProvider)).toThrow(/an UnleashProvider/);
  });
});
