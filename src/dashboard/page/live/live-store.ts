import type { RolloutView } from '../../../model/rollout-view.js';
import type { Overview } from '../../api.js';
import { ApiError, fetchOverview, serverNow } from './api-client.js';

/** What the page knows. A new object whenever something has changed. */
export interface LiveState {
  /** `failed`: the first answer was an error. `lost`: there was an answer, and the connection is gone. */
  readonly connection: 'loading' | 'live' | 'lost' | 'failed';
  /** Why, for a reader. */
  readonly problem?: string;
  /** By flag key. */
  readonly views: ReadonlyMap<string, RolloutView>;
  readonly controls: Overview['controls'];
  readonly csrfToken?: string | undefined;
  /** When the page last got a view, by the server's clock. */
  readonly updatedAt?: number;
  /** How often each flag's series has got another point. */
  readonly points: ReadonlyMap<string, number>;
  /** Flags that cannot be read now, and why. */
  readonly problems: NonNullable<Overview['problems']>;
  /** How often everything was asked for. */
  readonly loads: number;
}

const RETRY_MS = [1_000, 2_000, 5_000, 10_000] as const;
/** A page whose timers paused for so long was asleep: its connection may be dead without a sign. */
const ASLEEP_MS = 15_000;

/** Follows the server: everything at the start and after each pause, then what changes. */
export class LiveStore {
  #state: LiveState = {
    connection: 'loading',
    views: new Map(),
    controls: [],
    points: new Map(),
    problems: [],
    loads: 0,
  };
  readonly #listeners = new Set<() => void>();
  #source: EventSource | undefined;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #followed: string | undefined;
  #attempts = 0;
  #generation = 0;
  #frame: ReturnType<typeof setTimeout> | undefined;
  /** The views that are shown next, of which the page has seen none. */
  #nextViews: Map<string, RolloutView> | undefined;

  /** @param followed - The flag to follow; undefined: all. */
  constructor(followed: string | undefined) {
    this.#followed = followed;
  }

  get state(): LiveState {
    return this.#state;
  }

  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Connects, and reconnects whenever the page may have missed something, for as long as it is open. */
  start(): void {
    let lastTick = Date.now();
    setInterval(() => {
      const pausedMs = Date.now() - lastTick;
      lastTick = Date.now();
      if (pausedMs > ASLEEP_MS) this.connect();
    }, 1_000);
    document.addEventListener('visibilitychange', () => {
      if (document.visibilityState === 'visible' && this.#state.connection !== 'live') this.connect();
    });
    window.addEventListener('online', () => this.connect());
    window.addEventListener('offline', () => this.#lose('This device is offline.'));
    this.connect();
  }

  /** Follows this flag alone from now on; undefined: all of them. A flag's page needs nothing of the others. */
  follow(flagKey: string | undefined): void {
    if (flagKey === this.#followed) return;
    this.#followed = flagKey;
    this.connect();
  }

  /** Asks for everything, and follows what changes from then on. */
  connect(): void {
    this.#generation += 1;
    this.#disconnect();
    void this.#load(this.#generation);
  }

  async #load(generation: number): Promise<void> {
    try {
      const { flags, controls, csrfToken, problems = [] } = await fetchOverview();
      if (generation !== this.#generation) return;
      this.#nextViews = undefined;
      const { problem: _, ...rest } = this.#state;
      this.#state = {
        ...rest,
        views: new Map(flags.map((view) => [view.flagKey, view])),
        controls,
        csrfToken,
        problems,
        updatedAt: serverNow(),
        loads: rest.loads + 1,
      };
      this.#publish();
      this.#listen(generation);
    } catch (error) {
      if (generation !== this.#generation) return;
      this.#lose(error instanceof ApiError ? error.message : 'The dashboard cannot be reached.');
      this.#reconnectSoon();
    }
  }

  /** The stream begins with all views: nothing is missed since they were loaded. */
  #listen(generation: number): void {
    const followed = this.#followed;
    const isKnown = followed !== undefined && this.#state.views.has(followed);
    const source = new EventSource(`api/events${isKnown ? `?flag=${encodeURIComponent(followed)}` : ''}`);
    this.#source = source;
    source.addEventListener('view', (event) => this.#onView(event));
    source.addEventListener('rollup', (event) => this.#onPoint(event));
    source.onopen = () => {
      this.#attempts = 0;
      this.#state = { ...this.#state, connection: 'live' };
      this.#publish();
    };
    source.onerror = () => {
      if (generation !== this.#generation) return;
      this.#disconnect();
      this.#lose('The connection is lost.');
      this.#reconnectSoon();
    };
  }

  #reconnectSoon(): void {
    const delayMs = RETRY_MS[Math.min(this.#attempts, RETRY_MS.length - 1)]!;
    this.#attempts += 1;
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => this.connect(), delayMs);
  }

  #lose(problem: string): void {
    this.#state = { ...this.#state, connection: this.#state.loads === 0 ? 'failed' : 'lost', problem };
    this.#publish();
  }

  #onView({ data }: MessageEvent<string>): void {
    const view = JSON.parse(data) as RolloutView;
    // Not one map for each of a thousand flags.
    this.#nextViews ??= new Map(this.#state.views);
    this.#nextViews.set(view.flagKey, view);
    this.#state = { ...this.#state, views: this.#nextViews, updatedAt: serverNow() };
    this.#publish();
  }

  #onPoint({ data }: MessageEvent<string>): void {
    const flagKey = JSON.parse(data) as string;
    const points = new Map(this.#state.points).set(flagKey, (this.#state.points.get(flagKey) ?? 0) + 1);
    this.#state = { ...this.#state, points };
    this.#publish();
  }

  /** Many flags change in the same second: they are drawn together. */
  #publish(): void {
    this.#frame ??= setTimeout(
      () => {
        this.#frame = undefined;
        this.#nextViews = undefined;
        for (const listener of this.#listeners) listener();
      },
      Math.max(16, this.#state.views.size / 2),
    );
  }

  #disconnect(): void {
    clearTimeout(this.#retry);
    this.#source?.close();
    this.#source = undefined;
  }
}
