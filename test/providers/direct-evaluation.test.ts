import { randomUUID } from 'node:crypto';
import {
  AsyncLocalStorageTransactionContextPropagator,
  type Client,
  type EvaluationContext,
  type Hook,
  MultiProvider,
  NOOP_TRANSACTION_CONTEXT_PROPAGATOR,
  OpenFeature,
  type Provider,
} from '@openfeature/server-sdk';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { OutcomeHook } from '../../hooks/outcome-hook.js';
import type { UnleashProvider } from '../../providers/unleash/provider.js';
import type { ExposureSink, FlagClient } from '../../src/model/flags.js';
import type { Evaluation } from '../../src/model/shapes.js';
import { GuardHarness } from '../helpers/guard-harness.js';
import { is, percent, providerWith } from './unleash/bootstrapped.js';

/** A guard of a flag, reduced to what the hook sees of it. */
function sinkOf(provider: UnleashProvider, flagKey = 'upload') {
  const seen: { evaluation: Evaluation; targetingKey: string | undefined }[] = [];
  const sink: ExposureSink = {
    flagKey,
    provider: provider.metadata,
    exposed(evaluation, targetingKey) {
      seen.push({ evaluation, targetingKey });
      return {} as never;
    },
  };
  return { sink, seen };
}

async function clientOf(provider: Provider): Promise<Client> {
  const domain = randomUUID();
  await OpenFeature.setProviderAndWait(domain, provider);
  return OpenFeature.getClient(domain);
}

const flags = [
  { name: 'upload', strategies: [percent(50, { constraints: [is('country', 'de')] })] },
  { name: 'off', enabled: false },
] as const;

let provider: UnleashProvider;
let client: Client;
let sink: ExposureSink;

beforeEach(async () => {
  provider = await providerWith(flags);
  client = await clientOf(provider);
  sink = sinkOf(provider).sink;
});

afterEach(() => {
  OpenFeature.clearHooks();
  OpenFeature.setContext({});
  OpenFeature.setTransactionContextPropagator(NOOP_TRANSACTION_CONTEXT_PROPAGATOR);
});

/** What guards take of an evaluation. */
const taken = ({ value, variant, reason, errorCode, flagMetadata }: Evaluation) => ({
  value,
  variant,
  reason,
  errorCode,
  flagMetadata: errorCode === undefined ? flagMetadata : undefined,
});

describe('an evaluation without the pipeline of OpenFeature', () => {
  const cases: [string, string, EvaluationContext, () => void][] = [
    ['a user in the control', 'upload', { targetingKey: 'u1', country: 'de' }, () => {}],
    ['a user in the treatment', 'upload', { targetingKey: 'u6', country: 'de' }, () => {}],
    ['a user of another country', 'upload', { targetingKey: 'u1', country: 'fr' }, () => {}],
    ['no context', 'upload', {}, () => {}],
    ['a flag that is off', 'off', { targetingKey: 'u1' }, () => {}],
    ['a flag that does not exist', 'missing', { targetingKey: 'u1' }, () => {}],
    ['a stopped flag', 'upload', { country: 'de' }, () => provider.override('upload', 'stopped by a test')],
    [
      'a provider that throws',
      'upload',
      {},
      () => vi.spyOn(provider, 'resolveBooleanEvaluation').mockRejectedValue(new Error('broken')),
    ],
  ];

  it.each(cases)('gives a guard what the hook would, for %s', async (name, flagKey, context, prepare) => {
    prepare();
    const { sink: guard, seen } = sinkOf(provider, flagKey);
    client.addHooks(new OutcomeHook(guard));

    await provider.evaluateDirectly(client, context, guard);
    await client.getBooleanDetails(flagKey, false, context);

    const [direct, byHook] = seen;
    expect(seen).toHaveLength(2);
    expect(direct!.evaluation.value).toBe(name === 'a user in the treatment');
    expect(taken(direct!.evaluation)).toEqual(taken(byHook!.evaluation));
    expect(direct!.targetingKey).toBe(byHook!.targetingKey);
  });

  it('merges all contexts as OpenFeature does', async () => {
    OpenFeature.setTransactionContextPropagator(new AsyncLocalStorageTransactionContextPropagator());
    OpenFeature.setContext({ a: 'api', b: 'api', c: 'api', d: 'api' });
    client.setContext({ c: 'client', d: 'client' });
    const asked = vi.spyOn(provider, 'resolveBooleanEvaluation');
    const { sink, seen } = sinkOf(provider);
    client.addHooks(new OutcomeHook(sink));

    await new Promise<void>((resolve) => {
      OpenFeature.setTransactionContext(
        { b: 'transaction', c: 'transaction', d: 'transaction', targetingKey: 'u' },
        async () => {
          await provider.evaluateDirectly(client, { d: 'call' }, sink);
          await client.getBooleanDetails('upload', false, { d: 'call' });
          resolve();
        },
      );
    });

    const [direct, byClient] = asked.mock.calls.map(([, , context]) => context);
    expect(direct).toEqual({ a: 'api', b: 'transaction', c: 'client', d: 'call', targetingKey: 'u' });
    expect(direct).toEqual(byClient);
    expect(seen.map(({ targetingKey }) => targetingKey)).toEqual(['u', 'u']);
  });

  it('reports an attribute that Unleash does not get to the provider’s logger', async () => {
    const logger = { debug: vi.fn(), info: vi.fn(), warn: vi.fn(), error: vi.fn() };
    const logged = await providerWith(flags, { logger });
    const through = await clientOf(logged);

    await logged.evaluateDirectly(through, { cart: { items: 3 } }, sinkOf(logged).sink);

    expect(logger.debug).toHaveBeenCalledWith({ attribute: 'cart' }, expect.stringContaining('"cart"'));
  });

  it.each<[string, () => void]>([
    ['no hook', () => {}],
    ['the hook on the client', () => client.addHooks(new OutcomeHook(sink))],
    ['the hook on the API', () => OpenFeature.addHooks(new OutcomeHook(sink))],
    [
      'a hook for this flag and others',
      () => client.addHooks(new OutcomeHook(sink, sinkOf(provider, 'off').sink)),
    ],
    ['a hook for other flags', () => client.addHooks(new OutcomeHook(sinkOf(provider, 'off').sink))],
  ])('is made with %s', async (_, prepare) => {
    prepare();

    expect(await provider.evaluateDirectly(client, { targetingKey: 'u' }, sink)).toBeDefined();
  });

  const silent: Hook = { finally: () => {} };
  class LoggingHook extends OutcomeHook {}

  it.each<[string, () => FlagClient | undefined | Promise<Client>]>([
    ['a hook of the application on the client', () => client.addHooks(silent)],
    ['one on the API', () => void OpenFeature.addHooks(silent)],
    ['one on the provider', () => void Object.assign(provider, { hooks: [silent] })],
    [
      'a hook that reports to another guard of the flag too',
      () => client.addHooks(new OutcomeHook(sink, sinkOf(provider).sink)),
    ],
    ['another hook for another guard', () => client.addHooks(new OutcomeHook(sinkOf(provider).sink))],
    ['a hook that extends the guard’s', () => client.addHooks(new LoggingHook(sink))],
    ...(['after', 'error'] as const).map((stage): [string, () => Client] => [
      `a hook whose ${stage}() is observed`,
      () => {
        const hook = new OutcomeHook(sink);
        vi.spyOn(hook, stage);
        return client.addHooks(hook);
      },
    ]),
    ['a client that is observed', () => void vi.spyOn(client, 'getBooleanDetails')],
    ['a client of the application’s own', () => ({ getBooleanDetails: async () => ({ value: true }) })],
    ['a client of another provider', async () => clientOf(await providerWith(flags))],
    ['a client of a MultiProvider', () => clientOf(new MultiProvider([{ provider }]))],
    [
      'a client of a provider that wraps this one',
      () => {
        const { metadata } = provider;
        const resolve = provider.resolveBooleanEvaluation.bind(provider);
        return clientOf({ metadata, resolveBooleanEvaluation: resolve } as Provider);
      },
    ],
    ['a client of a domain without a provider', () => OpenFeature.getClient(randomUUID())],
  ])('is not made with %s', async (_, prepare) => {
    const given = await prepare();

    expect(provider.evaluateDirectly(given ?? client, { targetingKey: 'u' }, sink)).toBeUndefined();
  });

  it('is not made before the provider is ready', async () => {
    const slow = await providerWith(flags);
    vi.spyOn(slow, 'initialize').mockReturnValue(new Promise(() => {}));
    const domain = randomUUID();
    OpenFeature.setProvider(domain, slow);

    expect(slow.evaluateDirectly(OpenFeature.getClient(domain), {}, sink)).toBeUndefined();
  });

  it('belongs to the guard’s provider: the hook does not report that all were foreign', async () => {
    const foreign = await clientOf(await providerWith(flags));
    const guard = { ...sink, onlyForeign: vi.fn() };
    OpenFeature.addHooks(new OutcomeHook(guard));

    await provider.evaluateDirectly(client, {}, guard);
    for (let i = 0; i < 100; i++) await foreign.getBooleanValue('upload', false);

    expect(guard.onlyForeign).not.toHaveBeenCalled();
  });
});

describe('an operation', () => {
  let harness: GuardHarness;

  beforeEach(async () => {
    harness = await GuardHarness.create();
  });

  afterEach(() => harness.close());

  it.each<[string, Hook | undefined]>([
    ['alone', undefined],
    ['beside one of the application', { after: vi.fn() }],
  ])('counts each evaluation once with the hook %s', async (_, hook) => {
    const own = await providerWith([{ name: 'async-upload', strategies: [percent(50)] }]);
    const through = await clientOf(own);
    const guard = await harness.started({ flags: own, client: through, folder: false });
    through.addHooks(new OutcomeHook(guard), ...(hook === undefined ? [] : [hook]));
    const upload = guard.operation<string, string>({ treatment: () => 'new', control: () => 'old' });

    const answers: string[] = [];
    for (let user = 0; user < 40; user++) answers.push(await upload({ targetingKey: `u${user}` }, ''));

    const { treatment, control } = guard.status().snapshot.total;
    const treated = answers.filter((answer) => answer === 'new').length;
    expect(treated).toBeGreaterThan(0);
    expect([treatment.successes, control.successes]).toEqual([treated, 40 - treated]);
    expect(guard.status().snapshot.evidence?.every(({ excluded }) => excluded === 0)).toBe(true);
    if (hook !== undefined) expect(hook.after).toHaveBeenCalledTimes(40);
  });
});
