import type { Context, Unleash, Variant } from 'unleash-client';

/** A source of headers for unleash-client's requests. */
export type HeadersFunction = () => Promise<Record<string, string | undefined>>;

/** Where unleash-client keeps the last known flags. */
export interface Storage {
  get(key: string): Promise<unknown>;
  set(key: string, data: unknown): Promise<void>;
}

/** What polls: a part of the repository, or in versions before 6.9 the repository itself. */
interface Poller {
  timer?: NodeJS.Timeout;
  failures?: number;
  fetch?(): Promise<void>;
}

/**
 * What this provider uses of unleash-client 6 beyond its public interface. Versions differ, and a repository of the user's
 * own may lack all of it: every use is optional, and {@link missingIn} names what goes without.
 */
interface Internals {
  readonly staticContext?: Readonly<Record<string, string>>;
  readonly repository: Poller & {
    /** Whether the definitions came from the server, rather than from a backup or bootstrap. */
    readonly connected?: boolean;
    /** That of the latest answer, also of one that could not be read. */
    etag?: string | undefined;
    readonly refreshInterval?: number;
    storageProvider?: Storage;
    setMode?(mode: 'polling' | 'streaming'): Promise<void>;
    getMode?(): 'polling' | 'streaming';
    readonly fetcher?: {
      readonly options?: { readonly refreshInterval?: number };
      readonly pollingFetcher?: Poller;
      readonly streamingFetcher?: { readonly eventSource?: { readonly readyState: number } };
    };
    getSegment(id: number): object | undefined;
    on(event: string, listener: () => void): unknown;
  };
  readonly metrics?: {
    readonly timer?: NodeJS.Timeout;
    customHeadersFunction?: HeadersFunction;
    disabled?: boolean;
    metricsInterval?: number;
    startTimer?(): void;
  };
}

/** Gives access to what unleash-client keeps private. */
export function internalsOf(client: Unleash): Internals {
  return client as unknown as Internals;
}

function pollerOf(client: Unleash): Poller {
  const { repository } = internalsOf(client);
  return repository.fetcher?.pollingFetcher ?? repository;
}

/**
 * What the provider cannot do with this unleash-client, for one line in the log; empty for the versions that are known.
 *
 * @param client - With a repository of its own.
 */
export function missingIn(client: Unleash): readonly string[] {
  const { repository, metrics, staticContext } = internalsOf(client);
  const { fetch, failures } = pollerOf(client);
  const has: Readonly<Record<string, boolean>> = {
    'polls on demand and after a refused token': fetch !== undefined,
    'the usual interval after an outage': failures !== undefined,
    'a backup apart from fresh flags': repository.connected !== undefined,
    'usage metrics after they were refused once': metrics?.startTimer !== undefined,
    'a storage that hangs': repository.storageProvider !== undefined,
    'appName and environment in constraints': staticContext !== undefined,
  };
  return Object.keys(has).filter((what) => !has[what]);
}

/** What unleash-client adds to every context: `appName` and `environment`. */
export function staticContextOf(client: Unleash): Context {
  return { ...internalsOf(client).staticContext };
}

/** How often the client polls, in milliseconds; undefined when it does not, or that is unknown. */
export function refreshIntervalOf(client: Unleash): number | undefined {
  const interval = configuredInterval(client);
  return interval !== undefined && interval > 0 ? interval : undefined;
}

/** Whether the client is made never to fetch anything. */
export function fetchesNothing(client: Unleash): boolean {
  return configuredInterval(client) === 0 && streamStateOf(client) === undefined;
}

function configuredInterval(client: Unleash): number | undefined {
  const { repository } = internalsOf(client);
  return repository.fetcher?.options?.refreshInterval ?? repository.refreshInterval;
}

/** Definitions are there, from wherever. */
export function hasData(client: Unleash): boolean {
  return client.isSynchronized() || client.getFeatureToggleDefinitions().length > 0;
}

/** The flags are those of a backup or bootstrap: nothing has come from the server yet. */
export function isDisconnected(client: Unleash): boolean {
  return internalsOf(client).repository.connected === false;
}

/** Whether the client can be made to poll. */
export function canPoll(client: Unleash): boolean {
  return pollerOf(client).fetch !== undefined && configuredInterval(client) !== 0;
}

/** The poll that is under way, for each client that {@link pollOneAtATime} knows. */
const underWay = new WeakMap<Unleash, Promise<void>>();

/** Lets a poll that begins while another one is under way be that one: unleash-client would poll twice from then on. */
export function pollOneAtATime(client: Unleash): void {
  const poller = pollerOf(client);
  if (poller.fetch === undefined || Object.hasOwn(poller, 'fetch')) return;
  const fetch = poller.fetch.bind(poller);
  poller.fetch = () => {
    const poll = underWay.get(client) ?? fetch().finally(() => underWay.delete(client));
    underWay.set(client, poll);
    return poll;
  };
}

/** Makes Unleash answer the next poll with all flags, whether they have changed or not. */
export function forgetAnswer(client: Unleash): void {
  const { repository } = internalsOf(client);
  if ('etag' in repository) repository.etag = undefined;
}

/** Polls at once, in place of the next poll; joins one that is under way. */
export function pollNow(client: Unleash): Promise<void> {
  const poller = pollerOf(client);
  clearTimeout(poller.timer);
  return poller.fetch?.() ?? Promise.resolve();
}

/** Polls after the poll that is under way, which may have been answered before this call. */
export async function pollAfresh(client: Unleash): Promise<void> {
  await underWay.get(client);
  await pollNow(client);
}

/** Forgets failed polls, after which unleash-client would poll less often for a long time. */
export function resetBackoff(client: Unleash): void {
  const poller = pollerOf(client);
  if (poller.failures !== undefined) poller.failures = 0;
}

/** Sends usage metrics again, which unleash-client stops for good when they are refused once. */
export function resumeMetrics(client: Unleash, intervalMs: number): void {
  const { metrics } = internalsOf(client);
  if (!metrics?.disabled || metrics.startTimer === undefined) return;
  metrics.disabled = false;
  metrics.metricsInterval = intervalMs;
  metrics.startTimer();
}

/** `open` or `interrupted` while the client streams changes, undefined while it polls. */
export function streamStateOf(client: Unleash): 'open' | 'interrupted' | undefined {
  const { repository } = internalsOf(client);
  if (repository.getMode?.() !== 'streaming') return undefined;
  return repository.fetcher?.streamingFetcher?.eventSource?.readyState === 1 ? 'open' : 'interrupted';
}

/**
 * The variant of a flag for a boolean evaluation: it counts as unleash-client's `isEnabled` does, once, and not as an
 * assigned variant.
 */
export function variantUncounted(client: Unleash, flagKey: string, context: Context): Variant {
  return client.getVariant.call(withoutVariantCounts(client), flagKey, context);
}

const views = new WeakMap<Unleash, Unleash>();

/** The same client, which counts no variants. */
function withoutVariantCounts(client: Unleash): Unleash {
  let view = views.get(client);
  if (view === undefined) {
    view = Object.create(client, { countVariant: { value: () => {} } }) as Unleash;
    views.set(client, view);
  }
  return view;
}
