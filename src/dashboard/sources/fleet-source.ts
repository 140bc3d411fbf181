import { agedView } from '../../journal/view-file.js';
import type { Unsubscribe } from '../../model/flags.js';
import type { RolloutView } from '../../model/rollout-view.js';
import type { RolloutHistory } from '../../rollups/rollup.js';
import type { DecisionView } from '../api.js';
import type { HistoryRequest, RolloutSource, TimeRange } from '../source.js';

/** How often the shared store is asked while somebody reads, in milliseconds. */
const WATCH_MS = 500;

/** The fleet of one flag in a shared store. */
export interface FleetFlag {
  readonly flagKey: string;
  readonly environment: string;
  readonly service?: string | undefined;
}

/** Reads what fleets keep in their shared store; `RedisReader` fits. */
export interface FleetReader {
  flags(): Promise<readonly FleetFlag[]>;
  view(flag: FleetFlag): Promise<RolloutView | undefined>;
  history(flag: FleetFlag, range?: TimeRange): Promise<RolloutHistory>;
}

/** A whole fleet as its leader shows it in the shared store. */
export class FleetSource implements RolloutSource {
  readonly flagKey: string;
  readonly flag: FleetFlag;
  readonly #reader: FleetReader;
  readonly #listeners = new Set<() => void>();
  #timer: NodeJS.Timeout | undefined;

  constructor(reader: FleetReader, flag: FleetFlag) {
    this.flagKey = flag.flagKey;
    this.flag = flag;
    this.#reader = reader;
  }

  async view(): Promise<RolloutView | undefined> {
    const found = await this.#reader.view(this.flag);
    if (found === undefined) return undefined;
    const { decisions: _, ...view } = found;
    return agedView(view, Date.now());
  }

  history(request: HistoryRequest): Promise<RolloutHistory> {
    return this.#reader.history(this.flag, request);
  }

  async decisions(): Promise<readonly DecisionView[]> {
    return (await this.#reader.view(this.flag))?.decisions ?? [];
  }

  subscribe(listener: () => void): Unsubscribe {
    this.#listeners.add(listener);
    this.#timer ??= setInterval(() => {
      for (const each of this.#listeners) each();
    }, WATCH_MS).unref();
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size > 0) return;
      clearInterval(this.#timer);
      this.#timer = undefined;
    };
  }
}

/** Finds the fleets of a shared store, again and again: they may begin later. */
export class FleetFinder {
  readonly #reader: FleetReader;
  readonly #wanted: { readonly environment?: string | undefined; readonly service?: string | undefined };
  #sources: readonly FleetSource[] = [];

  constructor(
    reader: FleetReader,
    wanted: { readonly environment?: string | undefined; readonly service?: string | undefined } = {},
  ) {
    this.#reader = reader;
    this.#wanted = wanted;
  }

  get sources(): readonly FleetSource[] {
    return this.#sources;
  }

  /** @throws when one flag has several fleets: those of other environments or services need a dashboard of their own. */
  async search(): Promise<void> {
    const { environment, service } = this.#wanted;
    const found = (await this.#reader.flags()).filter(
      (flag) =>
        (environment === undefined || flag.environment === environment) &&
        (service === undefined || flag.service === service),
    );
    for (const { flagKey } of found) {
      const places = found.filter((flag) => flag.flagKey === flagKey).map(placeOf);
      if (places.length > 1) {
        throw new Error(`The flag ${flagKey} has several fleets: ${places.join('; ')}. Say which is meant.`);
      }
    }
    this.#sources = found.map((flag) => {
      const known = this.#sources.find(
        (source) => placeOf(source.flag) === placeOf(flag) && source.flagKey === flag.flagKey,
      );
      return known ?? new FleetSource(this.#reader, flag);
    });
  }
}

function placeOf({ environment, service }: FleetFlag): string {
  return `environment ${environment}${service === undefined ? '' : `, service ${service}`}`;
}
