import type { Unleash } from 'unleash-client';

/** A source of headers for unleash-client's requests. */
export type HeadersFunction = () => Promise<Record<string, string | undefined>>;

/** Where unleash-client keeps the last known flags. */
export interface Storage {
  get(key: string): Promise<unknown>;
  set(key: string, data: unknown): Promise<void>;
}

/**
 * What this provider uses of unleash-client beyond its public interface; the dependency's range, `~6.12.1`, is that narrow
 * because of it. A repository of the user's own may lack all of it.
 */
interface Internals {
  readonly staticContext: Readonly<Record<string, string>>;
  readonly repository: {
    /** Whether the definitions came from the server, rather than from a backup or bootstrap. */
    readonly connected?: boolean;
    storageProvider?: Storage;
    fetch?(): Promise<void>;
    setMode?(mode: 'polling' | 'streaming'): Promise<void>;
    getMode?(): 'polling' | 'streaming';
    readonly fetcher?: {
      readonly options: { readonly refreshInterval: number };
      readonly pollingFetcher: { readonly timer?: NodeJS.Timeout; failures: number };
      readonly streamingFetcher: { readonly eventSource?: { readonly readyState: number } };
    };
    on(event: string, listener: () => void): unknown;
  };
  readonly metrics: {
    readonly timer?: NodeJS.Timeout;
    customHeadersFunction?: HeadersFunction;
    disabled: boolean;
    metricsInterval: number;
    startTimer(): void;
  };
}

/** Gives access to what unleash-client keeps private. */
export function internalsOf(client: Unleash): Internals {
  return client as unknown as Internals;
}

/** How often the client polls, in milliseconds; undefined when it does not, or that is unknown. */
export function refreshIntervalOf(client: Unleash): number | undefined {
  const interval = internalsOf(client).repository.fetcher?.options.refreshInterval;
  return interval !== undefined && interval > 0 ? interval : undefined;
}

/** Whether the client can be made to poll. */
export function canPoll(client: Unleash): boolean {
  return internalsOf(client).repository.fetch !== undefined && refreshIntervalOf(client) !== undefined;
}

/** Polls at once, in place of the next poll. Only for a client that has no poll under way: it would poll twice from then on. */
export function pollNow(client: Unleash): Promise<void> {
  const { repository } = internalsOf(client);
  clearTimeout(repository.fetcher?.pollingFetcher.timer);
  return repository.fetch?.() ?? Promise.resolve();
}

/** Forgets failed polls, after which unleash-client would poll less often for a long time. */
export function resetBackoff(client: Unleash): void {
  const poller = internalsOf(client).repository.fetcher?.pollingFetcher;
  if (poller !== undefined) poller.failures = 0;
}

/** Sends usage metrics again, which unleash-client stops for good when they are refused once. */
export function resumeMetrics(client: Unleash, intervalMs: number): void {
  const { metrics } = internalsOf(client);
  if (!metrics.disabled) return;
  metrics.disabled = false;
  metrics.metricsInterval = intervalMs;
  metrics.startTimer();
}

/** `open` or `interrupted` while the client streams changes, undefined while it polls. */
export function streamStateOf(client: Unleash): 'open' | 'interrupted' | undefined {
  const { repository } = internalsOf(client);
  if (repository.getMode?.() !== 'streaming') return undefined;
  return repository.fetcher?.streamingFetcher.eventSource?.readyState === 1 ? 'open' : 'interrupted';
}
