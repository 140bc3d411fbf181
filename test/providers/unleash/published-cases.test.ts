import { randomUUID } from 'node:crypto';
import { type Client, type EvaluationContext, OpenFeature, ProviderEvents } from '@openfeature/server-sdk';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import type { UnleashProvider } from '../../../providers/unleash/provider.js';
import { UnleashProvider as Provider } from '../../../providers/unleash/provider.js';
import { eventually } from '../../helpers/eventually.js';
import { flagOf, providerWith, type TestFlag } from './bootstrapped.js';
import { startLoopbackUnleash } from './loopback-unleash.js';

/**
 * What the tests of Unleash's own OpenFeature provider for Node.js expect, on this one. `ours` is what differs, and why:
 * docs/provider.md explains each.
 */
const assigned = (name: string, type: string, value: string): TestFlag => ({
  name: `${type}-payload`,
  strategies: [{}],
  variants: [{ name, weight: 1000, payload: { type: type as never, value } }],
});

const flags: TestFlag[] = [
  { name: 'on', strategies: [{}] },
  { name: 'off', enabled: false, strategies: [{}] },
  { name: 'for-ann', strategies: [{ name: 'userWithId', parameters: { userIds: 'ann' } }] },
  assigned('text', 'string', 'hello'),
  assigned('list', 'csv', 'a,b,c'),
  assigned('amount', 'number', '42.5'),
  assigned('config', 'json', '{"a":1}'),
];

interface Case {
  readonly title: string;
  readonly flagKey: string;
  readonly defaultValue: boolean | string | number | object;
  readonly context?: EvaluationContext;
  readonly theirs: object;
  readonly ours?: object;
}

const cases: readonly Case[] = [
  {
    title: 'a flag that is on',
    flagKey: 'on',
    defaultValue: false,
    theirs: { value: true, reason: 'TARGETING_MATCH' },
    ours: { reason: 'STATIC' },
  },
  {
    title: 'a flag that is off',
    flagKey: 'off',
    defaultValue: true,
    theirs: { value: false, reason: 'DISABLED' },
  },
  {
    title: 'a flag that does not exist',
    flagKey: 'missing',
    defaultValue: true,
    theirs: { value: true, reason: 'ERROR', errorCode: 'FLAG_NOT_FOUND' },
  },
  {
    title: 'a user in the list',
    flagKey: 'for-ann',
    defaultValue: false,
    context: { targetingKey: 'ann' },
    theirs: { value: true },
  },
  {
    title: 'a user who is not',
    flagKey: 'for-ann',
    defaultValue: true,
    context: { targetingKey: 'bob' },
    theirs: { value: false },
  },
  {
    title: 'text',
    flagKey: 'string-payload',
    defaultValue: 'mine',
    theirs: { value: 'hello', variant: 'text', reason: 'SPLIT', flagMetadata: { payloadType: 'string' } },
    ours: { reason: 'STATIC' },
  },
  { title: 'a list, as text', flagKey: 'csv-payload', defaultValue: 'mine', theirs: { value: 'a,b,c' } },
  {
    title: 'a number',
    flagKey: 'number-payload',
    defaultValue: 0,
    theirs: { value: 42.5, variant: 'amount' },
  },
  {
    title: 'an object',
    flagKey: 'json-payload',
    defaultValue: {},
    theirs: { value: { a: 1 }, variant: 'config' },
  },
  {
    title: 'a payload of another type',
    flagKey: 'string-payload',
    defaultValue: 7,
    theirs: { value: 7, reason: 'ERROR', errorCode: 'TYPE_MISMATCH' },
  },
  {
    title: 'no variant',
    flagKey: 'on',
    defaultValue: 'mine',
    theirs: { value: 'mine', reason: 'DEFAULT' },
  },
  {
    title: 'a variant of a flag that is off',
    flagKey: 'off',
    defaultValue: 'mine',
    theirs: { value: 'mine', reason: 'DISABLED' },
  },
];

async function clientOf(provider: UnleashProvider): Promise<Client> {
  const domain = randomUUID();
  await OpenFeature.setProviderAndWait(domain, provider);
  return OpenFeature.getClient(domain);
}

describe("the cases of Unleash's own provider", () => {
  it.each(cases)('$title', async ({ flagKey, defaultValue, context = {}, theirs, ours = {} }) => {
    const client = await clientOf(await providerWith(flags));

    const details = await {
      boolean: () => client.getBooleanDetails(flagKey, defaultValue as never, context),
      string: () => client.getStringDetails(flagKey, defaultValue as never, context),
      number: () => client.getNumberDetails(flagKey, defaultValue as never, context),
      object: () => client.getObjectDetails(flagKey, defaultValue as never, context),
    }[typeof defaultValue as 'boolean']();

    expect(details).toMatchObject({ ...theirs, ...ours });
  });

  it('give access to the client while the provider runs', async () => {
    const provider = await providerWith(flags);

    expect(provider.unleashClient?.isSynchronized()).toBe(true);
    await provider.onClose();
    expect(provider.unleashClient).toBeUndefined();
  });
});

describe("the events in the cases of Unleash's own provider", () => {
  let provider: Provider;
  let client: Client;
  const unleash = startLoopbackUnleash({ version: 2, features: flags.map(flagOf) });
  const seen = (event: ProviderEvents) => {
    const handler = vi.fn();
    client.addHandler(event, handler);
    handler.mockClear();
    return handler;
  };

  beforeAll(async () => {
    const { url } = await unleash;
    provider = new Provider({
      url,
      appName: 'cases',
      refreshInterval: 30,
      disableMetrics: true,
      logger: false,
    });
    client = await clientOf(provider);
    return async () => {
      await provider.onClose();
      await (await unleash)[Symbol.asyncDispose]();
    };
  });

  it('report a configuration that changed; ours no other', async () => {
    const changed = seen(ProviderEvents.ConfigurationChanged);

    provider.unleashClient!.emit('changed', []);
    expect(changed).not.toHaveBeenCalled();
    (await unleash).answer = { version: 2, features: [...flags, { name: 'new' }].map(flagOf) };

    await eventually(() =>
      expect(changed).toHaveBeenCalledWith(expect.objectContaining({ flagsChanged: ['new'] })),
    );
  });

  it('report failed polls as stale, and the next good one as ready; ours no other error', async () => {
    const [stale, ready] = [seen(ProviderEvents.Stale), seen(ProviderEvents.Ready)];

    provider.unleashClient!.emit('error', new Error('of the metrics'));
    expect(stale).not.toHaveBeenCalled();
    (await unleash).answer = 418;
    await eventually(() => expect(stale).toHaveBeenCalledTimes(1));
    (await unleash).answer = { version: 2, features: flags.map(flagOf) };

    await eventually(() => expect(ready).toHaveBeenCalledTimes(1));
  });

  it('do not fail the start over an error that passes', async () => {
    await using broken = await startLoopbackUnleash(418);
    const late = new Provider({
      url: broken.url,
      appName: 'late',
      refreshInterval: 30,
      disableMetrics: true,
      backupPath: '/nonexistent',
      logger: false,
    });
    const started = late.initialize();
    setTimeout(() => {
      broken.answer = { version: 2, features: [] };
    }, 100);

    await expect(started).resolves.toBeUndefined();
    await late.onClose();
  });
});
