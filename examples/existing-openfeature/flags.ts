// What the application had before the guard: a provider and hooks of its own, and a domain with other flags.
import { once } from 'node:events';
import {
  type EvaluationContext,
  FlagNotFoundError,
  type Hook,
  InMemoryProvider,
  MultiProvider,
  OpenFeature,
  type Provider,
  type ResolutionDetails,
} from '@openfeature/server-sdk';
import { initialize, type Unleash } from 'unleash-client';

export const unleashUrl = process.env.UNLEASH_URL ?? 'https://unleash.example.com/api';
export const clientToken = process.env.UNLEASH_CLIENT_TOKEN ?? '';

/** Flags that are on or off, from Unleash. */
class AppProvider implements Provider {
  readonly metadata = { name: 'app' };
  #unleash: Unleash | undefined;

  async initialize(): Promise<void> {
    this.#unleash = initialize({
      url: unleashUrl,
      appName: 'shop',
      customHeaders: { Authorization: clientToken },
    });
    this.#unleash.on('error', console.error);
    await once(this.#unleash, 'synchronized');
  }

  async resolveBooleanEvaluation(
    key: string,
    _defaultValue: boolean,
    { targetingKey: userId, ...properties }: EvaluationContext,
  ): Promise<ResolutionDetails<boolean>> {
    if (this.#unleash?.getFeatureToggleDefinition(key) === undefined) throw new FlagNotFoundError(key);
    const context = { ...(userId !== undefined && { userId }), properties: textsOf(properties) };
    return { value: this.#unleash.isEnabled(key, context) };
  }

  async resolveStringEvaluation(key: string): Promise<never> {
    throw new FlagNotFoundError(key);
  }

  resolveNumberEvaluation = this.resolveStringEvaluation;
  resolveObjectEvaluation = this.resolveStringEvaluation;

  async onClose(): Promise<void> {
    this.#unleash?.destroy();
  }
}

function textsOf(attributes: EvaluationContext): Record<string, string> {
  return Object.fromEntries(Object.entries(attributes).map(([name, value]) => [name, String(value)]));
}

/** Every flag is in the application's log. */
const logging: Hook = {
  after({ flagKey, clientMetadata: { domain = 'default' } }, { value }) {
    console.log(`${domain}: ${flagKey} is ${value}`);
  },
};

/** Adds what the application knows of each evaluation. */
const region: Hook = {
  before: () => ({ region: process.env.REGION ?? 'eu' }),
};

OpenFeature.addHooks(logging, region);

/** What a developer sets by hand comes before Unleash. */
const byHand = new InMemoryProvider({});

/** Was registered as the default provider: `await OpenFeature.setProviderAndWait(appProvider)`. */
export const appProvider = new MultiProvider([
  { provider: byHand, name: 'by hand' },
  { provider: new AppProvider() },
]);

/** The staff always has what is new: another provider, which has a flag of the same key. */
await OpenFeature.setProviderAndWait(
  'staff',
  new InMemoryProvider({
    'shop-search': { variants: { on: true, off: false }, defaultVariant: 'on', disabled: false },
  }),
);
