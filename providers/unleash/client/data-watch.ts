import type { Unleash } from 'unleash-client';
import {
  canPoll,
  forgetAnswer,
  internalsOf,
  pollNow,
  refreshIntervalOf,
  resetBackoff,
  resumeMetrics,
  streamStateOf,
} from './client-access.js';
import type { Transport } from './transport.js';

/** How often the age of the data is checked at least and at most, in milliseconds. */
const LONGEST_CHECK_MS = 5_000;
const SHORTEST_CHECK_MS = 100;

/** unleash-client backs off to eleven times the interval. */
const LONGEST_BACKOFF = 11;

/** Longer than any pause within one poll of unleash-client: two retries, a second and two after the attempt before. */
const LONGEST_PAUSE_MS = 5_000;

/** Options of {@link DataWatch}. */
interface DataWatchOptions {
  readonly client: Unleash;
  /** Present for a client of the provider's own. */
  readonly transport: Transport | undefined;
  /** Undefined: a few polls. */
  readonly maxDataAgeMs: number | undefined;
  /** Whether the connection is known to be lost. */
  readonly isLost: () => boolean;
  readonly onLost: (problem: string) => void;
  readonly onError: (error: unknown) => void;
}

/**
 * Watches the age of the data, which shows what no event reports: a server, storage or stream that hangs, and a process
 * that was frozen. Starts polls again that have ended: unleash-client stops for good when Unleash refuses the token once.
 */
export class DataWatch {
  readonly #options: DataWatchOptions;
  readonly #maxAgeMs: number;
  #confirmedAt = performance.now();
  #isConfirmed = false;
  #refusals = 0;
  #interruptions = 0;
  #retry: NodeJS.Timeout | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: DataWatchOptions) {
    this.#options = options;
    const interval = refreshIntervalOf(options.client);
    this.#maxAgeMs =
      options.maxDataAgeMs ??
      (interval === undefined ? Number.POSITIVE_INFINITY : Math.max(3 * interval, interval + 3_000));
  }

  /** Since Unleash last confirmed the definitions, in milliseconds; undefined before it ever did. */
  get ageMs(): number | undefined {
    return this.#isConfirmed ? performance.now() - this.#confirmedAt : undefined;
  }

  /** Unleash has not confirmed the definitions for longer than they count as current. */
  get isOld(): boolean {
    // Evaluations ask: the clock is read only where an age matters.
    return (
      this.#maxAgeMs !== Number.POSITIVE_INFINITY && performance.now() - this.#confirmedAt > this.#maxAgeMs
    );
  }

  /** One sentence for an operator. */
  get problem(): string {
    const seconds = Math.round((performance.now() - this.#confirmedAt) / 1_000);
    const cause = this.#options.transport?.lastFailure ?? '';
    return `Unleash has not confirmed the flags for ${seconds} s. ${cause}`.trim();
  }

  start(): void {
    this.#confirmedAt = performance.now();
    if (this.#maxAgeMs === Number.POSITIVE_INFINITY) return;
    const checkMs = Math.max(SHORTEST_CHECK_MS, Math.min(this.#maxAgeMs / 3, LONGEST_CHECK_MS));
    this.#timer = setInterval(() => this.#check(), checkMs).unref();
  }

  stop(): void {
    clearTimeout(this.#retry);
    clearInterval(this.#timer);
  }

  /** Unleash confirmed the definitions, or sent new ones. */
  confirm(): void {
    this.#confirmedAt = performance.now();
    this.#isConfirmed = true;
    this.#refusals = 0;
    this.#interruptions = 0;
    const { client, transport, isLost } = this.#options;
    // After an outage unleash-client would poll less often for a long time.
    if (isLost()) resetBackoff(client);
    const metricsIntervalMs = transport?.metricsIntervalMs ?? 0;
    if (metricsIntervalMs > 0) resumeMetrics(client, metricsIntervalMs);
  }

  /** A poll failed. */
  failed(isRefused: boolean): void {
    const { client, transport } = this.#options;
    if (isRefused) this.#refused();
    // An answer that cannot be read would be confirmed from now on.
    else if (transport?.isAnswered !== false) forgetAnswer(client);
  }

  /** Unleash refused the token: the next poll comes later each time. */
  #refused(): void {
    const { client } = this.#options;
    const interval = refreshIntervalOf(client);
    if (interval === undefined || !canPoll(client)) return;
    this.#refusals = Math.min(this.#refusals + 1, LONGEST_BACKOFF - 1);
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => this.#poll(), interval * (this.#refusals + 1)).unref();
  }

  #check(): void {
    const { client, isLost, onLost } = this.#options;
    const stream = streamStateOf(client);
    if (stream === undefined) this.#keepPolling();
    else this.#checkStream(stream);
    if (!isLost() && this.isOld) onLost(this.problem);
  }

  /** Polls when there was no poll for longer than unleash-client ever waits. */
  #keepPolling(): void {
    const { client, transport, isLost } = this.#options;
    const interval = refreshIntervalOf(client);
    if (transport === undefined || interval === undefined) return;
    const longest = interval * (isLost() ? LONGEST_BACKOFF : 1);
    if (transport.idleMs > longest + interval + LONGEST_PAUSE_MS) this.#poll();
  }

  /** A stream that is open answers for the data: its reader notices when nothing arrives for a minute. */
  #checkStream(state: 'open' | 'interrupted'): void {
    const { client, isLost, onLost, onError } = this.#options;
    if (state === 'open') {
      this.#interruptions = 0;
      if (!isLost()) this.#confirmedAt = performance.now();
      return;
    }
    this.#interruptions++;
    // A stream that was cut is back in a moment.
    if (this.#interruptions !== 2) return;
    onLost('The stream of Unleash is interrupted.');
    const { repository } = internalsOf(client);
    repository.setMode?.('polling').catch(onError);
  }

  #poll(): void {
    pollNow(this.#options.client).catch(this.#options.onError);
  }
}
