import {
  type OpenFeatureEventEmitter,
  ProviderEvents,
  ProviderFatalError,
  ProviderNotReadyError,
} from '@openfeature/server-sdk';
import { type Context, type Unleash, UnleashEvents } from 'unleash-client';
import { withDeadline } from '../../src/support/deadline.js';
import type { FlagCatalog } from './catalog.js';
import { connectionProblem, type Problem } from './connection-problem.js';
import type { ResolvedSettings } from './provider-options.js';

/** Options of {@link Lifecycle}. */
interface LifecycleParts {
  readonly client: Unleash;
  /** The provider made the client, so it also starts and destroys it. */
  readonly owned: boolean;
  /** The client is configured never to fetch anything. */
  readonly neverFetches: boolean;
  readonly settings: ResolvedSettings;
  readonly catalog: FlagCatalog;
  readonly events: OpenFeatureEventEmitter;
  /** Called with the flags that changed, appeared or vanished; must not throw. */
  readonly onChanged: (keys: readonly string[]) => void;
}

/**
 * Turns the events of one unleash-client into OpenFeature's: `READY` when the data or the connection is back, `STALE`
 * when the connection is lost and the data kept, `CONFIGURATION_CHANGED` with the flags that roll out differently. The
 * `READY` and `ERROR` of initialization are OpenFeature's own, from how {@link Lifecycle.open} ends.
 *
 * The connection counts as lost from the first poll that fails (network, timeout, any status that is not 2xx or 304,
 * after unleash-client's own two retries) until the next one that succeeds.
 */
export class Lifecycle {
  readonly #parts: LifecycleParts;
  #opening: Promise<void> | undefined;
  #closing: Promise<void> | undefined;
  #settle: { resolve(): void; reject(error: Error): void } | undefined;
  #started = false;
  #ready = false;
  #lost = false;
  #ended = false;
  #lastProblem: Problem | undefined;

  constructor(parts: LifecycleParts) {
    this.#parts = parts;
  }

  /** The client, from its first data on until it is closed. */
  get client(): Unleash | undefined {
    return this.#ready && this.#closing === undefined ? this.#parts.client : undefined;
  }

  /** The connection is lost: answers come from the last known definitions. */
  get stale(): boolean {
    return this.#lost;
  }

  /**
   * Resolves when the first data answers evaluations, from any source: server, backup file or bootstrap.
   *
   * @throws ProviderFatalError when Unleash refuses the token and there is no other data.
   * @throws ProviderNotReadyError when there is no data in time; the client keeps trying.
   */
  open(): Promise<void> {
    this.#opening ??= this.#open();
    return this.#opening;
  }

  /** Sends the remaining usage metrics, for a limited time, and stops every timer of an own client. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #open(): Promise<void> {
    const { client, settings } = this.#parts;
    for (const [event, listener] of this.#listeners) client.on(event, listener);
    const timer = setTimeout(() => this.#timeOut(), settings.initializationTimeoutMs);
    try {
      await new Promise<void>((resolve, reject) => {
        this.#settle = { resolve, reject };
        this.#start();
      });
    } finally {
      clearTimeout(timer);
      this.#settle = undefined;
    }
  }

  #start(): void {
    const { client } = this.#parts;
    // `isSynchronized()` and the definitions run one tick ahead of what evaluations see.
    if (hasData(client)) process.nextTick(this.#onReady);
    client
      .start()
      .catch((error: unknown) => this.#onError(error))
      .then(() => {
        this.#started = true;
        this.#failIfNoDataWillCome();
      });
  }

  /** Once every source of data has been tried, waiting does not help after a refused token or without fetching. */
  #failIfNoDataWillCome(): void {
    const { client, neverFetches } = this.#parts;
    if (!this.#started || this.#settle === undefined || hasData(client)) return;
    if (this.#lastProblem?.kind === 'refused') {
      this.#settle.reject(new ProviderFatalError(this.#lastProblem.message));
      this.#end();
    } else if (neverFetches) {
      this.#settle.reject(
        new ProviderNotReadyError(
          'refreshInterval is 0, so nothing is fetched from Unleash, and neither a bootstrap nor a backup has flags.',
        ),
      );
    }
  }

  #timeOut(): void {
    const { initializationTimeoutMs } = this.#parts.settings;
    const cause = this.#lastProblem === undefined ? '' : ` Last problem: ${this.#lastProblem.message}`;
    this.#settle?.reject(
      new ProviderNotReadyError(
        `No flag data from Unleash within ${initializationTimeoutMs} ms; the provider keeps trying.${cause}`,
      ),
    );
  }

  readonly #onReady = (): void => {
    if (this.#ready || this.#closing !== undefined) return;
    this.#ready = true;
    this.#refresh();
    if (this.#settle !== undefined) this.#settle.resolve();
    else this.#parts.events.emit(ProviderEvents.Ready, { message: 'The first flag data has arrived' });
    // OpenFeature marks the provider as ready a little after `open` resolved; earlier events are lost.
    if (this.#lost) setImmediate(() => this.#lost && this.#emitStale());
  };

  readonly #onChanged = (): void => {
    this.#recover();
    if (!this.#ready || this.#closing !== undefined) return;
    const changed = this.#refresh();
    if (changed.length === 0) return;
    this.#parts.events.emit(ProviderEvents.ConfigurationChanged, {
      flagsChanged: [...changed],
      message: 'Flag definitions changed in Unleash',
    });
  };

  #refresh(): readonly string[] {
    const { client, catalog, onChanged } = this.#parts;
    const changed = catalog.refresh(client, staticContextOf(client));
    if (changed.length > 0) onChanged(changed);
    return changed;
  }

  readonly #onError = (error: unknown): void => this.#onProblem('error', error);

  readonly #onWarn = (warning: unknown): void => this.#onProblem('warn', warning);

  #onProblem(event: 'error' | 'warn', subject: unknown): void {
    const { logger } = this.#parts.settings;
    const problem = connectionProblem(event, subject);
    if (problem.kind === 'other') {
      if (event === 'error') logger.warn({ problem: problem.message }, 'unleash-client reported an error');
      else logger.debug({ problem: problem.message }, 'unleash-client reported a warning');
      return;
    }
    const isNew = !this.#lost || (problem.kind === 'refused' && this.#lastProblem?.kind !== 'refused');
    this.#lastProblem = problem;
    this.#lost = true;
    if (isNew) {
      logger.warn({ problem: problem.message }, 'The connection to Unleash is lost');
      if (this.#ready) this.#emitStale();
    }
    this.#failIfNoDataWillCome();
  }

  #emitStale(): void {
    if (this.#closing !== undefined) return;
    this.#parts.events.emit(ProviderEvents.Stale, {
      message: `The connection to Unleash is lost; flags keep their last known state. ${this.#lastProblem?.message ?? ''}`,
    });
  }

  readonly #recover = (): void => {
    // While starting, `changed` can also mean that a bootstrap was read.
    if (!this.#lost || !this.#started || this.#closing !== undefined) return;
    this.#lost = false;
    this.#parts.settings.logger.info({}, 'The connection to Unleash is back');
    if (this.#ready) {
      this.#parts.events.emit(ProviderEvents.Ready, { message: 'The connection to Unleash is back' });
    }
  };

  readonly #listeners: readonly (readonly [UnleashEvents, (payload?: unknown) => void])[] = [
    [UnleashEvents.Ready, this.#onReady],
    [UnleashEvents.Changed, this.#onChanged],
    [UnleashEvents.Unchanged, this.#recover],
    [UnleashEvents.Error, this.#onError],
    [UnleashEvents.Warn, this.#onWarn],
  ];

  async #close(): Promise<void> {
    const { client, owned, settings } = this.#parts;
    this.#settle?.reject(new ProviderNotReadyError('The provider was closed before any flag data arrived.'));
    if (owned && !this.#ended) {
      // Sending starts a new timer, and unleash-client then forgets the running one, which would outlive the client.
      // biome-ignore lint/complexity/useLiteralKeys: only this notation reads a private member.
      clearTimeout(client['metrics']['timer']);
      await withDeadline(settings.closeTimeoutMs, undefined, () => client.flushMetrics()).catch(ignore);
    }
    this.#end();
  }

  #end(): void {
    const { client, owned } = this.#parts;
    if (this.#ended) return;
    this.#ended = true;
    for (const [event, listener] of this.#listeners) client.off(event, listener);
    if (!owned) return;
    // A request that is still under way may fail after the end. Without these listeners unleash-client would print the
    // error, and its repository, whose listeners `destroy` removes, would raise it as an unhandled rejection.
    client.on(UnleashEvents.Error, ignore);
    client.destroy();
    // biome-ignore lint/complexity/useLiteralKeys: only this notation reads a private member.
    client['repository'].on(UnleashEvents.Error, ignore);
  }
}

function hasData(client: Unleash): boolean {
  return client.isSynchronized() || client.getFeatureToggleDefinitions().length > 0;
}

function staticContextOf(client: Unleash): Context {
  // biome-ignore lint/complexity/useLiteralKeys: only this notation reads a protected member.
  return { ...client['staticContext'] };
}

function ignore(): void {}
