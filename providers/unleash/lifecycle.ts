import {
  GeneralError,
  type OpenFeatureEventEmitter,
  ProviderEvents,
  ProviderFatalError,
  ProviderNotReadyError,
} from '@openfeature/server-sdk';
import { type Unleash, UnleashEvents } from 'unleash-client';
import type { FlagSourceHealth } from '../../src/model/flags.js';
import type { FlagCatalog } from './catalog.js';
import {
  fetchesNothing,
  hasData,
  internalsOf,
  isDisconnected,
  pollOneAtATime,
  staticContextOf,
} from './client/client-access.js';
import { connectionProblem, type Problem } from './client/connection-problem.js';
import { DataWatch } from './client/data-watch.js';
import { endClient, sendLastMetrics } from './client/end-client.js';
import { refreshNow } from './client/refresh.js';
import type { Transport } from './client/transport.js';
import type { ResolvedSettings } from './provider-options.js';

/** Options of {@link Lifecycle}. */
interface LifecycleParts {
  readonly client: Unleash;
  /** Present when the provider made the client, which it then also destroys. */
  readonly transport: Transport | undefined;
  /** The client is configured never to fetch anything. */
  readonly neverFetches: boolean;
  readonly settings: ResolvedSettings;
  readonly catalog: FlagCatalog;
  readonly events: OpenFeatureEventEmitter;
  /** Called with the flags that changed, appeared or vanished; must not throw. */
  readonly onChanged: (keys: readonly string[]) => void;
  /** Called for every impression event of the client; must not throw. */
  readonly onImpression: (event: unknown) => void;
  /** That of the token, or of every context. */
  readonly environment: string | undefined;
  /** What to try when Unleash refuses the token or does not answer as it should; undefined when nothing shows it. */
  readonly advice: string | undefined;
}

const NOT_CONFIRMED = 'The flags are those of a backup or bootstrap: Unleash has not confirmed them yet.';

/** How long flags of an earlier run wait for Unleash to send those of now, before they answer. */
const CONFIRMATION_MS = 1_000;

const CLOSED =
  'The provider was closed. OpenFeature ignores that an instance is registered again where it still is: make a new one.';

/**
 * Turns the events of one unleash-client into OpenFeature's: `READY` when the data or the connection is back, `STALE`
 * when the connection is lost and the data kept, `CONFIGURATION_CHANGED` with the flags that roll out differently. The
 * `READY` and `ERROR` of initialization are OpenFeature's own, from how {@link Lifecycle.open} ends.
 *
 * The connection counts as lost from the first poll that fails (network, timeout, any status that is not 2xx or 304,
 * after unleash-client's own two retries), or from when the data is old, until the next one that succeeds.
 */
export class Lifecycle {
  readonly #parts: LifecycleParts;
  #opening: Promise<void> | undefined;
  #closing: Promise<void> | undefined;
  #settle: { resolve(): void; reject(error: Error): void } | undefined;
  #started = false;
  #ready = false;
  #lost = false;
  /** The flags are those of an earlier run, and Unleash is still to be asked. */
  #isUnconfirmed = false;
  #isReportedUnconfirmed = false;
  /** OpenFeature knows that the provider is ready. */
  #isAnnounced = false;
  #confirmation: NodeJS.Timeout | undefined;
  #successes = 0;
  #lastProblem: Problem | undefined;
  #lostAt: number | undefined;
  readonly #watch: DataWatch;

  constructor(parts: LifecycleParts) {
    this.#parts = parts;
    const { client, transport, settings } = parts;
    this.#watch = new DataWatch({
      client,
      transport,
      maxDataAgeMs: settings.maxDataAgeMs,
      isLost: () => this.#lost,
      onLost: (message) => this.#onLost({ kind: 'lost', message }),
      onError: this.#onError,
    });
  }

  /** From then on it only ends. */
  get isClosing(): boolean {
    return this.#closing !== undefined;
  }

  /** The client, from its first data on until it is closed. */
  get client(): Unleash | undefined {
    return this.#ready && this.#closing === undefined ? this.#parts.client : undefined;
  }

  /** The connection is lost, or the data is old or of an earlier run: answers come from the last known definitions. */
  get stale(): boolean {
    return this.#lost || this.#isUnconfirmed || this.#watch.isOld;
  }

  /** How well the client knows Unleash's state. */
  get health(): FlagSourceHealth {
    const { ageMs: dataAgeMs, isOld, problem } = this.#watch;
    const message = this.#lastProblem?.message;
    if (this.isClosing) return { status: 'error', message: CLOSED };
    const noData = `No flag data has arrived from Unleash. ${this.#cause ?? ''}`.trim();
    if (this.client === undefined) return { status: 'error', message: noData, dataAgeMs };
    if (this.#lost) {
      const status = this.#lastProblem?.kind === 'refused' ? 'error' : 'stale';
      return { status, message, since: this.#lostAt, dataAgeMs };
    }
    if (this.#isUnconfirmed) return { status: 'stale', message: NOT_CONFIRMED, dataAgeMs };
    return isOld ? { status: 'stale', message: problem, dataAgeMs } : { status: 'ok', dataAgeMs };
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

  /**
   * Asks Unleash now, and resolves when what it answered is evaluated. An open stream has brought everything already.
   *
   * @throws GeneralError when Unleash cannot be asked, or does not answer.
   */
  async refresh(): Promise<void> {
    const { client, neverFetches } = this.#parts;
    if (this.isClosing) throw new GeneralError(CLOSED);
    await this.#opening?.catch(() => {});
    await refreshNow(client, neverFetches, () => ({
      successes: this.#successes,
      isReady: this.#ready,
      problem: this.#lastProblem?.message,
    }));
  }

  /** Sends the remaining usage metrics, for a limited time, and stops every timer of an own client. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #open(): Promise<void> {
    const { client, settings } = this.#parts;
    for (const [event, listener] of this.#listeners) client.on(event, listener);
    pollOneAtATime(client);
    this.#isUnconfirmed = isDisconnected(client) && !fetchesNothing(client);
    this.#watch.start();
    const timer = setTimeout(
      () => (this.#ready ? this.#announce() : this.#timeOut()),
      settings.initializationTimeoutMs,
    );
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
    } else if (neverFetches) {
      this.#settle.reject(
        new ProviderNotReadyError(
          'refreshInterval is 0: nothing is fetched, and neither a bootstrap nor a backup has flags.',
        ),
      );
    }
  }

  get #cause(): string | undefined {
    return this.#lastProblem?.message ?? this.#parts.transport?.lastFailure;
  }

  #timeOut(): void {
    const { initializationTimeoutMs } = this.#parts.settings;
    const cause = this.#cause === undefined ? '' : ` Last problem: ${this.#cause}`;
    const message = `No flag data from Unleash within ${initializationTimeoutMs} ms; the provider keeps trying.${cause}`;
    this.#settle?.reject(new ProviderNotReadyError(message));
  }

  readonly #onReady = (): void => {
    if (this.#ready || this.#closing !== undefined) return;
    this.#ready = true;
    this.#refresh();
    if (this.#settle === undefined) {
      this.#parts.events.emit(ProviderEvents.Ready, { message: 'The first flag data has arrived' });
    }
    if (this.#settle === undefined || this.#lost || !this.#isUnconfirmed) this.#announce();
    else this.#confirmation = setTimeout(() => this.#announce(), CONFIRMATION_MS);
  };

  /** Evaluations have data, from Unleash if it answers soon enough. */
  #announce(): void {
    clearTimeout(this.#confirmation);
    if (this.#isAnnounced || this.#closing !== undefined) return;
    this.#isAnnounced = true;
    this.#settle?.resolve();
    // OpenFeature marks the provider as ready a little after `open` resolved; earlier events are lost.
    if (this.#lost || this.#isUnconfirmed) setImmediate(this.#reportStale);
  }

  readonly #onChanged = (): void => {
    this.#onSuccess();
    if (!this.#ready || this.#closing !== undefined) return;
    const changed = this.#refresh();
    if (changed.length === 0) return;
    this.#parts.events.emit(ProviderEvents.ConfigurationChanged, {
      flagsChanged: [...changed],
      message: 'Flag definitions changed in Unleash',
    });
  };

  #refresh(): readonly string[] {
    const { client, catalog, environment, onChanged } = this.#parts;
    const changed = catalog.refresh(client, staticContextOf(client), environment);
    if (changed.length > 0) onChanged(changed);
    return changed;
  }

  readonly #onError = (error: unknown): void => this.#onProblem('error', error);

  #onProblem(event: 'error' | 'warn', subject: unknown): void {
    const { logger } = this.#parts.settings;
    const problem = connectionProblem(event, subject, this.#parts.advice);
    if (problem.kind === 'other') {
      if (event === 'error') logger.warn({ problem: problem.message }, 'unleash-client reported an error');
      else logger.debug({ problem: problem.message }, 'unleash-client reported a warning');
      return;
    }
    this.#onLost(problem);
  }

  #onLost(problem: Problem): void {
    const { logger } = this.#parts.settings;
    const isNew = !this.#lost || (problem.kind === 'refused' && this.#lastProblem?.kind !== 'refused');
    this.#lastProblem = problem;
    this.#lost = true;
    this.#watch.failed(problem.kind === 'refused');
    if (isNew) {
      this.#lostAt = Date.now();
      logger.warn({ problem: problem.message }, 'The connection to Unleash is lost');
      if (this.#isAnnounced) this.#emitStale();
      else if (this.#ready) this.#announce();
    }
    this.#failIfNoDataWillCome();
  }

  readonly #reportStale = (): void => {
    if (this.#lost) this.#emitStale();
    else if (this.#isUnconfirmed && this.#closing === undefined) {
      this.#isReportedUnconfirmed = true;
      this.#parts.events.emit(ProviderEvents.Stale, { message: NOT_CONFIRMED });
    }
  };

  #emitStale(): void {
    if (this.#closing !== undefined) return;
    this.#parts.events.emit(ProviderEvents.Stale, {
      message: `The connection to Unleash is lost; flags keep their last known state. ${this.#lastProblem?.message ?? ''}`,
    });
  }

  readonly #onSuccess = (): void => {
    const { client } = this.#parts;
    // `changed` can also mean that a bootstrap was read.
    if (internalsOf(client).repository.connected === false || this.#closing !== undefined) return;
    this.#successes++;
    this.#watch.confirm();
    this.#isUnconfirmed = false;
    if (this.#ready) this.#announce();
    if (this.#isReportedUnconfirmed && !this.#lost) {
      this.#isReportedUnconfirmed = false;
      this.#parts.events.emit(ProviderEvents.Ready, { message: 'Unleash has confirmed the flags' });
    }
    if (!this.#lost || !this.#started) return;
    this.#lost = false;
    this.#isReportedUnconfirmed = false;
    this.#lostAt = undefined;
    this.#lastProblem = undefined;
    this.#parts.settings.logger.info({}, 'The connection to Unleash is back');
    if (this.#ready) {
      this.#parts.events.emit(ProviderEvents.Ready, { message: 'The connection to Unleash is back' });
    }
  };

  readonly #listeners: readonly (readonly [UnleashEvents, (payload?: unknown) => void])[] = [
    [UnleashEvents.Ready, this.#onReady],
    [UnleashEvents.Changed, this.#onChanged],
    [UnleashEvents.Unchanged, this.#onSuccess],
    [UnleashEvents.Error, this.#onError],
    [UnleashEvents.Warn, (warning) => this.#onProblem('warn', warning)],
    [UnleashEvents.Impression, (event) => this.#parts.onImpression(event)],
  ];

  async #close(): Promise<void> {
    const { client, transport, settings } = this.#parts;
    this.#settle?.reject(new ProviderNotReadyError('The provider was closed before any flag data arrived.'));
    clearTimeout(this.#confirmation);
    this.#watch.stop();
    if (transport !== undefined) await sendLastMetrics(client, settings.closeTimeoutMs);
    for (const [event, listener] of this.#listeners) client.off(event, listener);
    if (transport !== undefined) endClient(client, transport);
  }
}
