import { EventEmitter } from 'node:events';
import { type Unleash, type UnleashConfig, UnleashEvents } from 'unleash-client';
import { z } from 'zod';
import { messageOf } from '../../src/support/async/callbacks.js';
import { exchange, MIB, NoAnswerError, notOfProxy } from '../../src/support/connection/http.js';
import { parseJson } from '../../src/support/json.js';

type Repository = NonNullable<UnleashConfig['repository']>;
type Feature = NonNullable<ReturnType<Repository['getToggle']>>;
type Segment = NonNullable<ReturnType<Repository['getSegment']>>;

/** Longest pause after failed polls, as a multiple of the interval: as unleash-client. */
const LONGEST_BACKOFF = 11;

/** How many flags are read at the same time. */
const CONCURRENCY = 4;

const MAX_BYTES = 8 * MIB;

const list = <T extends z.ZodType>(item: T) =>
  z
    .array(item)
    .nullish()
    .transform((items) => items ?? []);

/** Strategies, constraints and variants are what SDKs get too, and are passed on. */
const strategySchema = z.lazy(() =>
  z.looseObject({
    name: z.string(),
    disabled: z.boolean().nullish(),
    segments: list(z.number()),
  }),
);

const featureSchema = z.lazy(() =>
  z.object({
    name: z.string(),
    type: z.string(),
    project: z.string(),
    environments: z.array(
      z.object({ name: z.string(), enabled: z.boolean(), strategies: list(strategySchema) }),
    ),
    dependencies: list(
      z.looseObject({
        feature: z.string(),
        enabled: z.boolean().optional(),
        variants: z.array(z.string()).optional(),
      }),
    ),
  }),
);

const segmentsSchema = z.lazy(() => z.object({ segments: z.array(z.looseObject({ id: z.number() })) }));

/** Options of {@link AdminRepository}. */
interface AdminRepositoryOptions {
  /** Ends in `/api`. */
  readonly apiUrl: string;
  readonly token: string;
  readonly project: string;
  readonly environment: string;
  readonly refreshIntervalMs: number;
  readonly timeoutMs: number;
  readonly fetch: typeof globalThis.fetch;
}

/**
 * The definitions of some flags for unleash-client, read through the admin API: one request for each flag and for its parents,
 * one more for segments. Variants of a flag, which Unleash has replaced by those of strategies, are not among them.
 */
export class AdminRepository extends EventEmitter implements Repository {
  /** Nothing has come from the server yet. */
  connected = false;
  failures = 0;
  timer: NodeJS.Timeout | undefined;
  readonly #options: AdminRepositoryOptions;
  readonly #keys = new Set<string>();
  #features: ReadonlyMap<string, Feature> = new Map();
  #segments: ReadonlyMap<number, Segment> = new Map();
  #seen = '';
  #isRunning = false;
  #isReading = false;
  #isIncomplete = false;

  constructor(options: AdminRepositoryOptions) {
    super();
    this.#options = options;
  }

  /** From now on the flag is among the definitions. */
  add(key: string): void {
    if (this.#keys.has(key)) return;
    this.#keys.add(key);
    this.#isIncomplete = true;
    if (this.#isRunning && !this.#isReading) this.#schedule(0);
  }

  async start(): Promise<void> {
    this.#isRunning = true;
    await this.fetch();
  }

  stop(): void {
    this.#isRunning = false;
    this.connected = false;
    this.#seen = '';
    clearTimeout(this.timer);
    this.removeAllListeners();
  }

  /** Polls; never rejects. */
  async fetch(): Promise<void> {
    if (!this.#isRunning || this.#isReading) return;
    clearTimeout(this.timer);
    this.#isReading = true;
    this.#isIncomplete = false;
    try {
      await this.#read();
      this.failures = 0;
    } catch (error) {
      this.failures = Math.min(this.failures + 1, LONGEST_BACKOFF - 1);
      if (this.#isRunning) this.emit(UnleashEvents.Error, new Error(messageOf(error)));
    } finally {
      this.#isReading = false;
      const { refreshIntervalMs } = this.#options;
      if (this.#isRunning) this.#schedule(this.#isIncomplete ? 0 : refreshIntervalMs * (this.failures + 1));
    }
  }

  getToggle(name: string): Feature | undefined {
    return this.#features.get(name);
  }

  getToggles(): Feature[] {
    return [...this.#features.values()];
  }

  getSegment(id: number): Segment | undefined {
    return this.#segments.get(id);
  }

  getTogglesWithSegmentData(): ReturnType<Unleash['getFeatureToggleDefinitions']> {
    return this.getToggles().map(({ strategies, ...feature }) => ({
      ...feature,
      strategies: (strategies ?? []).map(({ segments, ...strategy }) => ({
        ...strategy,
        segments: (segments ?? []).map((id) => this.getSegment(id)),
      })),
    }));
  }

  #schedule(delayMs: number): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.fetch(), delayMs).unref();
  }

  async #read(): Promise<void> {
    const features = await this.#readFeatures([...this.#keys]);
    const parents = new Set(
      [...features.values()].flatMap(({ dependencies }) => dependencies?.map(({ feature }) => feature) ?? []),
    );
    const missing = [...parents].filter((key) => !features.has(key));
    for (const [key, feature] of await this.#readFeatures(missing)) features.set(key, feature);
    const hasSegments = [...features.values()].some(({ strategies }) =>
      strategies?.some(({ segments }) => segments !== undefined && segments.length > 0),
    );
    const segments = hasSegments ? await this.#readSegments() : [];
    if (!this.#isRunning) return;
    const seen = JSON.stringify([[...features], segments]);
    const isFirst = !this.connected;
    this.connected = true;
    if (seen === this.#seen) {
      this.emit(UnleashEvents.Unchanged);
      return;
    }
    this.#seen = seen;
    this.#features = features;
    this.#segments = new Map(segments.map((segment) => [segment.id, segment]));
    if (isFirst) this.emit(UnleashEvents.Ready);
    this.emit(UnleashEvents.Changed, this.getToggles());
  }

  async #readFeatures(keys: readonly string[]): Promise<Map<string, Feature>> {
    const features = new Map<string, Feature>();
    const waiting = keys.values();
    const reader = async () => {
      for (const key of waiting) {
        const feature = await this.#readFeature(key);
        if (feature !== undefined) features.set(key, feature);
      }
    };
    await Promise.all(Array.from({ length: CONCURRENCY }, reader));
    // In the order of the keys, whatever came first: the same flags are then seen to be the same.
    return new Map([...features].sort(([a], [b]) => (a < b ? -1 : 1)));
  }

  /** Undefined for a flag that does not exist. */
  async #readFeature(key: string): Promise<Feature | undefined> {
    const { project, environment } = this.#options;
    const path = `/admin/projects/${encodeURIComponent(project)}/features/${encodeURIComponent(key)}`;
    const reply = await this.#get(path);
    if (reply === undefined) return undefined;
    const { environments, ...feature } = parsed(featureSchema, reply, path);
    const here = environments.find(({ name }) => name === environment);
    if (here === undefined) {
      const names = environments.map(({ name }) => name).join(', ');
      throw new Error(
        `Unleash has no environment "${environment}" for flag "${key}"; its project has: ${names}.`,
      );
    }
    const strategies = here.strategies.filter(({ disabled }) => !disabled);
    return { ...feature, enabled: here.enabled, strategies, variants: [] } as unknown as Feature;
  }

  async #readSegments(): Promise<readonly Segment[]> {
    const path = '/admin/segments';
    const reply = await this.#get(path);
    return reply === undefined
      ? []
      : (parsed(segmentsSchema, reply, path).segments as unknown as readonly Segment[]);
  }

  /** @returns the body, or undefined when there is nothing. */
  async #get(path: string): Promise<string | undefined> {
    const { apiUrl, token, timeoutMs, fetch } = this.#options;
    const headers = { authorization: token, accept: 'application/json' };
    const request = { method: 'GET', url: apiUrl + path, headers, maxBytes: MAX_BYTES } as const;
    const { ok, status, body } = await exchange(fetch, request, timeoutMs)
      .then(notOfProxy)
      .catch((error) => {
        const help = error instanceof NoAnswerError ? error.helpAfter : '';
        throw new Error(`Unleash did not answer GET ${path}: ${messageOf(error)}.${help}`);
      });
    if (ok) return body;
    if (status === 404) return undefined;
    if (status === 401 || status === 403) {
      throw new Error(
        `Unleash refused the token of the guarded provider (${status} to GET ${path}): it ` +
          `${status === 401 ? 'is wrong, deleted or expired' : 'may not read that'}. It needs a client token, or a token for ` +
          'the admin API that may read the flags of the project. It is tried again, ever more seldom.',
      );
    }
    throw new Error(`Unleash answered ${status} to GET ${path}.`);
  }
}

function parsed<T extends z.ZodType>(schema: T, body: string, path: string): z.output<T> {
  const { success, data } = schema.safeParse(parseJson(body));
  if (success) return data;
  throw new Error(
    `Unleash answered GET ${path} with something unexpected. Check that the URL is that of Unleash itself.`,
  );
}
