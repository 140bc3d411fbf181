import { type DeliveryPolicy, type DeliveryQueue, deliveryQueues } from '../../notify/delivery-queue.js';
import { Limiter } from '../../support/async/limiter.js';
import type { Clock } from '../../support/clock.js';
import { fetchOver } from '../../support/connection/connection.js';
import type { HttpOptions } from '../../support/connection/http-options.js';
import { Intervals } from '../../support/intervals.js';
import { RunningTime } from '../../support/running-time.js';
import { AccessReader } from '../../unleash/access-reader.js';
import { UnleashAdminClient } from '../../unleash/admin-client.js';
import type { ResolvedOptions } from '../options/resolve-options.js';
import { FlagEvents } from './flag-events.js';

/** Checks of flags in Unleash that run at once: a thousand guards that start together must not flood it. */
const CHECKS_AT_ONCE = 4;

/** For so long an answer about the token counts for all guards, in milliseconds: a thousand start one after another. */
const REUSE_ACCESS_MS = 60_000;

/** How long a notification that may be about all flags waits for the others, in milliseconds. */
const GATHER_MS = 1_000;

/** So many notifications of each flag may wait: all may be stopped at once, and a decision is lost of none. */
const QUEUED_PER_FLAG = 4;
const QUEUED_AT_LEAST = 100;

/** What reaches Unleash's admin API, for guards of one token. */
export interface AdminResources {
  readonly client: UnleashAdminClient;
  readonly access: AccessReader;
  /** For requests that can wait; a stop never waits. */
  readonly checks: Limiter;
  /** Called after each reply with the status 401. */
  readonly unauthorized: Set<() => void>;
}

/** Unleash's connection, and everyone else's: an agent that the provider was given need not know anyone but Unleash. */
interface Connections {
  readonly ofUnleash: typeof globalThis.fetch;
  readonly ofOthers: typeof globalThis.fetch;
}

/** What the guards of several flags share. A guard that is alone has its own. */
export interface GuardResources {
  readonly ticks: Intervals;
  /** For everything else that is regular. */
  readonly intervals: Intervals;
  readonly runningTime: RunningTime;
  readonly flagEvents: FlagEvents;
  readonly fetch: Connections;
  /** One for each notifier; undefined while they are not shared. */
  readonly queues: readonly DeliveryQueue[] | undefined;
  /** Undefined where the memory is not watched. */
  readonly readMemoryBytes: (() => number) | undefined;
  /** Undefined without a token: then other processes of the fleet turn the flag off. */
  readonly admin: AdminResources | undefined;
}

/** What is needed to make {@link GuardResources}; a guard's context fits. */
export type ResourceOptions = Pick<
  ResolvedOptions,
  'flags' | 'unleash' | 'http' | 'fetch' | 'notify' | 'tickMs' | 'readMemoryBytes'
> & {
  /** One that does not throw. */
  readonly clock: Clock;
};

/** @param sharedBy - How many flags' guards use them; undefined for a guard that is alone. */
export function guardResources(options: ResourceOptions, sharedBy?: number): GuardResources {
  const { clock, flags, notify, tickMs, readMemoryBytes } = options;
  const fetch = connectionsOf(options);
  const isShared = sharedBy !== undefined;
  return {
    ticks: new Intervals(),
    intervals: new Intervals(),
    runningTime: new RunningTime(clock),
    flagEvents: new FlagEvents(flags),
    fetch,
    queues: isShared ? deliveryQueues(notify, fetch.ofOthers, policyFor(sharedBy)) : undefined,
    // All tick within a moment.
    readMemoryBytes:
      isShared && readMemoryBytes ? atMostEvery(tickMs / 2, readMemoryBytes, clock) : readMemoryBytes,
    admin: adminResources(options, fetch.ofUnleash, isShared),
  };
}

function policyFor(flags: number): DeliveryPolicy {
  return { gatherMs: GATHER_MS, maxQueued: Math.max(QUEUED_AT_LEAST, QUEUED_PER_FLAG * flags) };
}

/** Reads no more often than that, in milliseconds; what is known meanwhile is the answer. */
function atMostEvery(everyMs: number, read: () => number, clock: Clock): () => number {
  let known: { readonly value: number; readonly at: number } | undefined;
  return () => {
    const at = clock.monotonic();
    if (known === undefined || at - known.at >= everyMs) known = { value: read(), at };
    return known.value;
  };
}

function connectionsOf({ flags, http, fetch }: ResourceOptions): Connections {
  const ofSource = flags.http as HttpOptions | undefined;
  const ofUnleash = fetchOver({ fetch, http: http ?? ofSource });
  if (http !== undefined || ofSource?.agent === undefined) return { ofUnleash, ofOthers: ofUnleash };
  return { ofUnleash, ofOthers: fetchOver({ fetch }) };
}

function adminResources(
  { unleash, clock }: ResourceOptions,
  fetch: Connections['ofUnleash'],
  isShared: boolean,
): AdminResources | undefined {
  const { token } = unleash;
  if (token === undefined) return undefined;
  const unauthorized = new Set<() => void>();
  const onUnauthorized = () => {
    access.forget();
    for (const listener of unauthorized) listener();
  };
  const client = new UnleashAdminClient({ ...unleash, token, fetch, clock, onUnauthorized });
  const access = new AccessReader(client, clock, isShared ? REUSE_ACCESS_MS : 0);
  return { client, access, checks: new Limiter(CHECKS_AT_ONCE), unauthorized };
}
