import {
  type EvaluationContext,
  type JsonValue,
  OpenFeatureEventEmitter,
  type Provider,
  ProviderEvents,
  type ResolutionDetails,
} from '@openfeature/server-sdk';
import { InMemStorageProvider, Unleash } from 'unleash-client';
import { onTestFinished } from 'vitest';

/** A provider over unleash-client that says nothing about its flags, as Unleash's own does. */
export class PlainProvider implements Provider {
  readonly metadata = { name: 'plain' };
  readonly runsOn = 'server';
  readonly events = new OpenFeatureEventEmitter();
  readonly tracked: string[] = [];
  closed = 0;
  readonly #unleash: Unleash;

  constructor(url: string) {
    this.#unleash = new Unleash({
      url,
      appName: 'plain',
      refreshInterval: 50,
      disableMetrics: true,
      disableAutoStart: true,
      skipInstanceCountWarning: true,
      storageProvider: new InMemStorageProvider(),
      customHeaders: { Authorization: 'default:development.plain' },
    });
    this.#unleash.on('error', () => {});
    this.#unleash.on('changed', () => this.events.emit(ProviderEvents.ConfigurationChanged, {}));
    onTestFinished(() => this.#end());
  }

  async initialize(): Promise<void> {
    const ready = new Promise((resolve) => this.#unleash.once('ready', resolve));
    await this.#unleash.start();
    await ready;
  }

  async onClose(): Promise<void> {
    this.closed++;
    this.#end();
  }

  #end(): void {
    this.#unleash.destroy();
    // A request that is under way fails afterwards.
    Reflect.get(this.#unleash, 'repository').on('error', () => {});
  }

  async resolveBooleanEvaluation(
    flagKey: string,
    _: boolean,
    { targetingKey = '' }: EvaluationContext,
  ): Promise<ResolutionDetails<boolean>> {
    const value = this.#unleash.isEnabled(flagKey, { userId: targetingKey });
    // A reason that is not true, and metadata that must not be taken for the guard's.
    return { value, reason: 'UNKNOWN', flagMetadata: { own: 1, chance: 0.123 } };
  }

  async resolveStringEvaluation(_: string, value: string): Promise<ResolutionDetails<string>> {
    return { value };
  }

  async resolveNumberEvaluation(_: string, value: number): Promise<ResolutionDetails<number>> {
    return { value };
  }

  async resolveObjectEvaluation<T extends JsonValue>(_: string, value: T): Promise<ResolutionDetails<T>> {
    return { value };
  }

  track(name: string): void {
    this.tracked.push(name);
  }
}
