import { cameThrough, type FlagClient, type ProviderIdentity } from '../../model/flags.js';
import type { GuardContext } from '../context/guard-context.js';

/** The OpenFeature client that operations evaluate with, and whether it evaluates through the guard's provider. */
export class EvaluationClient {
  readonly #context: GuardContext;
  #client: FlagClient | undefined;
  #wasOwn = false;

  constructor(context: GuardContext) {
    this.#context = context;
  }

  /** Operations ask for every evaluation. */
  get current(): FlagClient {
    this.#client ??= this.#first();
    return this.#client;
  }

  /**
   * The provider that OpenFeature evaluates through in place of the guard's, which it had before; undefined while it has that one, and
   * where none was known yet. Follows the guard's provider into another domain.
   */
  replacement(): ProviderIdentity | undefined {
    const { client, flags } = this.#context;
    const before = client ?? this.#client;
    if (before !== undefined && this.#isOwn(before)) return undefined;
    const found = client ?? flags.defaultClient();
    if (this.#isOwn(found)) {
      this.#client = found;
      return undefined;
    }
    return this.#wasOwn ? found.metadata?.providerMetadata : undefined;
  }

  /** Reports, once, that the flag is evaluated through another provider than the guard's. */
  reportForeign({ name }: ProviderIdentity): void {
    const { flagKey, records } = this.#context;
    records.fault(
      'evaluations through another provider',
      `${flagKey} is evaluated through the provider "${name}" only, which is not the one that this guard was given as ` +
        '"flags": a stop does not change these evaluations, and the hook counts none of them. A provider that wraps another one must ' +
        'have the same "metadata" object.',
    );
  }

  #first(): FlagClient {
    const { client, flags } = this.#context;
    const first = client ?? flags.defaultClient();
    const provider = first.metadata?.providerMetadata;
    if (provider !== undefined && !this.#isOwn(first) && !this.#wasOwn) this.reportForeign(provider);
    return first;
  }

  #isOwn({ metadata }: FlagClient): boolean {
    const provider = metadata?.providerMetadata;
    const isOwn = provider !== undefined && cameThrough(this.#context.flags.metadata, provider);
    this.#wasOwn ||= isOwn;
    return isOwn;
  }
}
