import { randomUUID } from 'node:crypto';
import { SpanHook } from '@openfeature/open-telemetry-hooks';
import {
  type Client,
  createEvaluationEvent,
  type EvaluationDetails,
  type FlagValue,
  type HookContext,
  OpenFeature,
} from '@openfeature/server-sdk';
import { context, trace } from '@opentelemetry/api';
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-base';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { percent, providerWith } from './bootstrapped.js';

const exporter = new InMemorySpanExporter();

beforeAll(() => {
  trace.setGlobalTracerProvider(
    new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }),
  );
});

afterAll(() => {
  trace.disable();
  context.disable();
});

async function clientOf(): Promise<{ readonly client: Client; readonly version: string }> {
  const provider = await providerWith([{ project: 'shop', type: 'release', strategies: [percent(50)] }]);
  const domain = randomUUID();
  await OpenFeature.setProviderAndWait(domain, provider);
  return { client: OpenFeature.getClient(domain), version: provider.flag('upload')!.revision };
}

describe('the flag metadata of appendix D', () => {
  it('names set, version and context in the evaluation event of the SDK', async () => {
    const { client, version } = await clientOf();
    const events: object[] = [];
    client.addHooks({
      finally(hookContext: Readonly<HookContext>, details: EvaluationDetails<FlagValue>) {
        events.push(createEvaluationEvent(hookContext, details));
      },
    });

    await client.getBooleanValue('upload', false, { targetingKey: 'ann' });

    expect(events).toMatchObject([
      {
        attributes: {
          'feature_flag.set.id': 'shop/production',
          'feature_flag.version': version,
          'feature_flag.context.id': 'ann',
          'feature_flag.result.reason': 'split',
        },
      },
    ]);
  });

  it("is shown by OpenFeature's hooks for OpenTelemetry", async () => {
    const { client, version } = await clientOf();
    client.addHooks(new SpanHook());

    await client.getBooleanValue('upload', false, { targetingKey: 'ann' });

    const [span] = exporter.getFinishedSpans();
    expect({ ...span?.attributes, ...span?.events[0]?.attributes }).toMatchObject({
      'feature_flag.key': 'upload',
      'feature_flag.set.id': 'shop/production',
      'feature_flag.version': version,
      'feature_flag.context.id': 'ann',
    });
  });
});
