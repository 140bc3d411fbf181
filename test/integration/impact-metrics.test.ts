import { OpenFeature } from '@openfeature/server-sdk';
import {
  OutcomeHook,
  RolloutGuard,
  successRateBelow,
  UnleashProvider,
  unleashImpactMetrics,
} from 'unleash-rollout-guard';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { eventually } from '../helpers/eventually.js';
import { type RecordingProxy, startRecordingProxy } from '../helpers/recording-proxy.js';
import { type SharedUnleash, sharedUnleash } from '../helpers/test-run.js';

interface ImpactMetric {
  readonly name: string;
  readonly type: string;
  readonly samples: readonly {
    readonly labels: Record<string, string>;
    readonly value?: number;
    readonly count?: number;
    readonly sum?: number;
  }[];
}

let unleash: SharedUnleash;
let proxy: RecordingProxy;
/** Unleash adds up what it was sent: each attempt of the test has a flag of its own. */
let flagKey: string;
let flagNumber = 0;

beforeAll(async () => {
  unleash = await sharedUnleash();
});

beforeEach(async () => {
  flagKey = `impact-upload-${++flagNumber}`;
  await unleash.createFlag(flagKey, { percentage: 100 });
  proxy = await startRecordingProxy(unleash.url);
});

afterEach(async () => {
  await proxy?.close();
});

describe('impact metrics on a real Unleash', () => {
  it('are sent by the SDK, accepted, and shown by the server with the numbers that the guard counted', async () => {
    const provider = new UnleashProvider({
      url: `${proxy.url}/api`,
      appName: 'impact-service',
      customHeaders: { Authorization: unleash.clientToken },
      refreshInterval: 200,
      // Sent when the provider closes; the interval never passes.
      metricsInterval: 3_600_000,
      closeTimeoutMs: 20_000,
      storageProvider: { get: async () => undefined, set: async () => {} },
    });
    const client = OpenFeature.getClient('impact');
    const guard = new RolloutGuard({
      flagKey,
      flags: provider,
      client,
      unleash: { url: unleash.apiUrl, token: unleash.adminToken, environment: unleash.environment },
      rollback: [successRateBelow(0.5, { minOutcomes: 1_000 })],
      observers: [unleashImpactMetrics(provider)],
      folder: false,
      logger: false,
    });
    client.addHooks(new OutcomeHook(guard));
    await OpenFeature.setProviderAndWait('impact', provider);
    await eventually(() => expect(provider.flag(flagKey)?.enabled).toBe(true));
    await guard.start();
    const upload = guard.operation<number, string>({
      treatment: async (user) => {
        if (user % 10 === 0) throw new Error('down');
        return 'new';
      },
      control: async () => 'old',
      retries: 0,
    });
    for (let user = 0; user < 30; user++) await upload({ targetingKey: `user-${user}` }, user);
    const { treatment } = guard.status().snapshot.total;
    await guard.close();
    await provider.onClose();

    const sent = proxy.passed.filter(({ path }) => path === '/api/client/metrics');
    expect(sent.map(({ status }) => status)).toEqual([202]);
    const { impactMetrics } = JSON.parse(sent[0]!.body) as { impactMetrics: ImpactMetric[] };
    const labels = { appName: 'impact-service', environment: unleash.environment };
    const metricOf = (end: string) => `rollout_guard_impact_upload_${flagNumber}_${end}`;
    const sampleOf = (end: string) => impactMetrics.find(({ name }) => name === metricOf(end))?.samples;
    expect(treatment).toMatchObject({ successes: 27, failures: 3, fallbacks: 3 });
    expect(sampleOf('treatment_successes')).toEqual([{ labels, value: 27 }]);
    expect(sampleOf('treatment_failures')).toEqual([{ labels, value: 3 }]);
    expect(sampleOf('treatment_fallbacks')).toEqual([{ labels, value: 3 }]);
    expect(sampleOf('treatment_duration_seconds')).toMatchObject([{ labels, count: 27 }]);
    expect(sent[0]!.body).not.toMatch(/user-\d|down/);

    const shown = await (await fetch(`${unleash.url}/internal-backstage/impact/metrics`)).text();
    const line = (end: string) => shown.split('\n').find((text) => text.startsWith(`${metricOf(end)}{`));
    expect(line('treatment_successes')).toMatch(/ 27$/);
    expect(line('treatment_failures')).toMatch(/ 3$/);
    expect(line('treatment_duration_seconds_count')).toMatch(/ 27$/);
  });
});
