import type { Unsubscribe } from '../../model/flags.js';
import type { RolloutView } from '../../model/rollout-view.js';
import { messageOf } from '../../support/async/callbacks.js';
import type { DecisionView, Series } from '../api.js';
import { type SeriesRequest, seriesOf, stepFor, thresholdsOf } from '../series.js';
import type { HistoryRequest, RolloutSource } from '../source.js';

/** How long an answer is shared by all who ask, in milliseconds. */
const SHARED_MS = { view: 200, series: 900, decisions: 900 };
/** Different parts of one rollout that are asked for at once. */
const MAX_SHARED = 32;

/** What is known of one flag's source, for all readers at once: however many ask, the source is asked about once a second. */
export class FlagFeed {
  readonly source: RolloutSource;
  readonly #shared = new Map<string, { readonly at: number; readonly answer: Promise<unknown> }>();
  #problem: string | undefined;
  #latest: RolloutView | undefined;

  constructor(source: RolloutSource) {
    this.source = source;
  }

  /** Why the source cannot be read now. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /** The latest view that could be read; undefined before the first. */
  async view(): Promise<RolloutView | undefined> {
    try {
      this.#latest = (await this.#share('view', SHARED_MS.view, () => this.source.view())) ?? this.#latest;
      this.#problem = undefined;
    } catch (error) {
      this.#problem = messageOf(error);
    }
    return this.#latest;
  }

  series(request: SeriesRequest): Promise<Series> {
    const key = `series ${request.from} ${request.to} ${request.points} ${request.stepMs}`;
    return this.#share(key, SHARED_MS.series, async () => {
      const [history, view] = await Promise.all([
        this.source.history(historyRequestOf(request)),
        this.view(),
      ]);
      return seriesOf(history, request, view === undefined ? [] : thresholdsOf(view), view?.at ?? Date.now());
    });
  }

  decisions(): Promise<readonly DecisionView[]> {
    return this.#share('decisions', SHARED_MS.decisions, () => this.source.decisions());
  }

  subscribe(listener: () => void): Unsubscribe {
    // What was read before may be older than the last change that is not reported any more.
    this.#shared.delete('view');
    return this.source.subscribe(() => {
      this.#shared.delete('view');
      listener();
    });
  }

  /** One answer for all who ask at about the same time. One that fails is not kept. */
  #share<T>(key: string, forMs: number, ask: () => Promise<T>): Promise<T> {
    const now = performance.now();
    const known = this.#shared.get(key);
    if (known !== undefined && now - known.at < forMs) return known.answer as Promise<T>;
    const answer = (async () => ask())();
    this.#shared.delete(key);
    this.#shared.set(key, { at: now, answer });
    if (this.#shared.size > MAX_SHARED) this.#shared.delete(this.#shared.keys().next().value!);
    answer.catch(() => {
      if (this.#shared.get(key)?.answer === answer) this.#shared.delete(key);
    });
    return answer;
  }
}

function historyRequestOf({ from, to, points, stepMs }: SeriesRequest): HistoryRequest {
  return { from, to, stepFor: (spanMs) => stepMs ?? stepFor(spanMs, points) };
}
