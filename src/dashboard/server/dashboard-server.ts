import type { IncomingMessage, ServerResponse } from 'node:http';
import { setImmediate } from 'node:timers/promises';
import { controlSchema } from '../../model/control.js';
import type { RolloutView } from '../../model/rollout-view.js';
import { messageOf } from '../../support/async/callbacks.js';
import type { Overview } from '../api.js';
import type { ResolvedDashboardOptions } from '../dashboard-options.js';
import type { SeriesRequest } from '../series.js';
import type { RolloutSource } from '../source.js';
import { Access } from './access.js';
import { readControl } from './control-request.js';
import { EventHub } from './event-hub.js';
import { FlagFeed } from './flag-feed.js';
import { PageFiles } from './page-files.js';
import { RateLimit } from './rate-limit.js';
import { Refusal, redirect, secure, sendJson, sendProblem } from './reply.js';
import { pathOf, type RequestPath } from './request-path.js';

/** Controls of one dashboard within a minute. */
const MOST_CONTROLS = 30;
const MINUTE_MS = 60_000;
/** Views that are made without a pause: users' requests are served in between. */
const VIEWS_AT_ONCE = 20;
const POINTS = { usual: 600, most: 2_000 };
const controlTypes = () => controlSchema.unwrap().options.map((option) => option.unwrap().shape.type.value);

/** Answers a dashboard's requests, whatever server they come through. */
export class DashboardServer {
  readonly #options: ResolvedDashboardOptions;
  readonly #sources: () => readonly RolloutSource[];
  readonly #access: Access;
  readonly #files: PageFiles;
  readonly #hub: EventHub;
  readonly #controls = new RateLimit(MOST_CONTROLS, MINUTE_MS);
  #feeds = new Map<string, FlagFeed>();

  constructor(
    sources: () => readonly RolloutSource[],
    options: ResolvedDashboardOptions,
    files = new PageFiles(),
  ) {
    this.#options = options;
    this.#sources = sources;
    this.#access = new Access(options);
    this.#files = files;
    this.#hub = new EventHub(() => this.#currentFeeds(), options.maxReaders);
  }

  /** Replies to one request. Never rejects. */
  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    // A reader that goes away is nobody's fault.
    response.on('error', () => {});
    try {
      secure(response);
      await this.#handle(request, response);
    } catch (error) {
      if (response.headersSent) {
        response.destroy();
        return;
      }
      const refusal = error instanceof Refusal ? error : new Refusal(500, messageOf(error));
      await sendProblem(request, response, refusal).catch(() => response.destroy());
    }
  }

  /** Ends every stream. */
  close(): void {
    this.#hub.close();
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.#access.checkHost(request);
    const path = pathOf(request, this.#options.baseUrl);
    const { segments, query } = path;
    const [first, ...rest] = segments;
    if (first !== 'api') {
      allow(request, 'GET', 'HEAD');
      await this.#page(request, response, path);
    } else if (rest.length === 3 && rest[0] === 'flags' && rest[2] === 'controls') {
      allow(request, 'POST');
      await this.#control(request, response, this.#feedOf(rest[1]));
    } else {
      allow(request, 'GET', 'HEAD');
      const rights = await this.#access.rightsOf(request, response);
      if (rest.length === 1 && rest[0] === 'events') return this.#events(request, response, query);
      await sendJson(request, response, await this.#read(rest, query, rights));
    }
  }

  async #page(request: IncomingMessage, response: ServerResponse, path: RequestPath): Promise<void> {
    const { segments, query, folder } = path;
    if (segments.length > 0) return this.#files.serve(request, response, segments.join('/'));
    const isSignedIn = this.#access.signIn(request, response, query);
    // What the page asks for is relative to its folder.
    if (isSignedIn || folder !== undefined) return redirect(response, folder ?? './');
    await this.#files.serve(request, response, 'index.html');
  }

  async #read(
    [first, key, what, id, ...rest]: readonly string[],
    query: URLSearchParams,
    rights: Awaited<ReturnType<Access['rightsOf']>>,
  ): Promise<unknown> {
    if (first === 'flags' && rest.length === 0) {
      if (key === undefined) return this.#overview(rights);
      const feed = this.#feedOf(key);
      if (what === undefined) return viewOf(feed);
      if (what === 'series' && id === undefined) return feed.series(seriesRequestOf(query));
      if (what === 'decisions') return decisionsOf(feed, id);
    }
    throw new Refusal(404, 'There is no such address.');
  }

  async #overview({ by, csrfToken }: Awaited<ReturnType<Access['rightsOf']>>): Promise<Overview> {
    const feeds = [...this.#currentFeeds().values()];
    const views: (RolloutView | undefined)[] = [];
    for (let from = 0; from < feeds.length; from += VIEWS_AT_ONCE) {
      if (from > 0) await setImmediate();
      const some = feeds.slice(from, from + VIEWS_AT_ONCE);
      views.push(...(await Promise.all(some.map((feed) => feed.view()))));
    }
    const canControl = by !== undefined && feeds.some(({ source }) => source.control !== undefined);
    const problems = feeds.flatMap(({ problem: message, source: { flagKey } }) =>
      message === undefined ? [] : [{ flagKey, message }],
    );
    return {
      flags: views.filter((view) => view !== undefined),
      controls: canControl ? controlTypes() : [],
      ...(canControl && csrfToken !== undefined && { csrfToken }),
      ...(problems.length > 0 && { problems }),
    };
  }

  #events(request: IncomingMessage, response: ServerResponse, query: URLSearchParams): void {
    const flagKey = query.get('flag') ?? undefined;
    if (flagKey !== undefined) this.#feedOf(flagKey);
    if (request.method === 'HEAD') {
      response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8' }).end();
      return;
    }
    if (this.#hub.isOver) throw new Refusal(503, 'The guard was closed.', { 'retry-after': '10' });
    if (this.#hub.isFull) {
      throw new Refusal(503, 'Too many pages are open: the option "maxReaders" limits them.', {
        'retry-after': '10',
      });
    }
    this.#hub.open(response, flagKey);
  }

  async #control(request: IncomingMessage, response: ServerResponse, { source }: FlagFeed): Promise<void> {
    const rights = await this.#access.rightsOf(request, response);
    const { controls } = this.#options;
    if (controls === undefined || source.control === undefined) {
      throw new Refusal(403, 'This dashboard is read-only.');
    }
    if (rights.by === undefined) {
      const status = 'token' in controls ? 401 : 403;
      throw new Refusal(status, 'You may read this dashboard, and not use its controls.');
    }
    this.#access.checkOrigin(request, rights);
    if (!this.#controls.use('')) {
      throw new Refusal(429, 'Too many controls within a minute. Wait a moment.', { 'retry-after': '60' });
    }
    await sendJson(request, response, await source.control(await readControl(request, rights.by)));
  }

  #feedOf(key: string | undefined): FlagFeed {
    const feed = this.#currentFeeds().get(key ?? '');
    if (feed === undefined) throw new Refusal(404, `No flag ${JSON.stringify(key)} is guarded here.`);
    return feed;
  }

  /** Flags may be added and removed while the dashboard is open. */
  #currentFeeds(): ReadonlyMap<string, FlagFeed> {
    const feeds = new Map<string, FlagFeed>();
    for (const source of this.#sources()) {
      const { flagKey } = source;
      const known = this.#feeds.get(flagKey);
      feeds.set(flagKey, known?.source === source ? known : new FlagFeed(source));
    }
    this.#feeds = feeds;
    return feeds;
  }
}

async function viewOf(feed: FlagFeed): Promise<unknown> {
  const view = await feed.view();
  if (view !== undefined) return view;
  throw new Refusal(503, feed.problem ?? 'Nothing is known of the flag yet.');
}

async function decisionsOf(feed: FlagFeed, id: string | undefined): Promise<unknown> {
  const decisions = await feed.decisions();
  if (id === undefined) return decisions;
  const found = decisions.find(({ decision }) => decision.id === id);
  if (found === undefined) throw new Refusal(404, 'There is no such decision, or not any more.');
  return found;
}

function allow(request: IncomingMessage, ...methods: readonly string[]): void {
  if (methods.includes(request.method ?? '')) return;
  throw new Refusal(405, `Use ${methods.join(' or ')}.`, { allow: methods.join(', ') });
}

/** @throws Refusal for what is no time or number. */
function seriesRequestOf(query: URLSearchParams): SeriesRequest {
  const [from, to, stepMs] = [numberOf(query, 'from'), numberOf(query, 'to'), numberOf(query, 'stepMs')];
  const points = numberOf(query, 'points') ?? (stepMs === undefined ? POINTS.usual : POINTS.most);
  if (from !== undefined && to !== undefined && from >= to)
    throw new Refusal(400, '"from" is not before "to".');
  if (!Number.isInteger(points) || points < 2 || points > POINTS.most) {
    throw new Refusal(400, `"points" is not a whole number from 2 to ${POINTS.most}.`);
  }
  if (stepMs !== undefined && (!Number.isInteger(stepMs / MINUTE_MS) || stepMs <= 0)) {
    throw new Refusal(400, '"stepMs" is not a multiple of 60000.');
  }
  return { from, to, points, stepMs };
}

function numberOf(query: URLSearchParams, name: string): number | undefined {
  const text = query.get(name);
  if (text === null || text === '') return undefined;
  const value = Number(text);
  if (!Number.isFinite(value)) throw new Refusal(400, `"${name}" is not a number.`);
  return value;
}
