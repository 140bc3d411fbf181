import { foldersIn } from '../../journal/guard-folder.js';
import { mergeHistories } from '../../rollups/history.js';
import { readHistory } from '../../rollups/read-history.js';
import type { RolloutHistory, TimeRange } from '../../rollups/rollup.js';
import { type RolloutStatus, readRolloutStatuses } from '../status/rollout-status.js';
import { WATCHED_MS } from './recent.js';
import { type Paint, type Size, screenOf, type Watched } from './screen.js';

/** Rollups change each minute, and reading them takes longer than reading where the rollout stands. */
const HISTORY_MS = 10_000;

/** Where a rollout is read from. */
export interface WatchedPlace {
  /** For an operator. */
  readonly name: string;
  /** @throws `NoGuardError` when there is none yet. */
  readonly statuses: () => Promise<readonly RolloutStatus[]>;
  readonly history: (range: TimeRange) => Promise<RolloutHistory>;
}

/** The folder of a guard, and of further ones within it. */
export function folderPlace(folder: string): WatchedPlace {
  return {
    name: folder,
    statuses: () => readRolloutStatuses(folder),
    history: async (range) => {
      const folders = await foldersIn(folder);
      return mergeHistories(
        await Promise.all(folders.map((each) => readHistory(each, range).catch(() => NOTHING))),
      );
    },
  };
}

/** Reads a rollout again and again, for a terminal. */
export class Watching {
  readonly #place: WatchedPlace;
  #history: RolloutHistory = { rollups: [], annotations: [] };
  #historyAt = Number.NEGATIVE_INFINITY;
  #annotations: RolloutHistory['annotations'] | undefined;

  constructor(place: WatchedPlace) {
    this.#place = place;
  }

  /** Where the rollout is read from. */
  get name(): string {
    return this.#place.name;
  }

  /** @throws as {@link WatchedPlace.statuses}. */
  statuses(): Promise<readonly RolloutStatus[]> {
    return this.#place.statuses();
  }

  /** @throws as {@link WatchedPlace.statuses}. */
  async read(): Promise<Watched> {
    const statuses = await this.statuses();
    const now = Date.now();
    if (now - this.#historyAt >= HISTORY_MS) {
      this.#historyAt = now;
      this.#history = await this.#readHistory(now);
    }
    return { statuses, history: this.#history, now };
  }

  screen(watched: Watched, size: Size, paint: Paint): string[] {
    return screenOf({ ...watched, now: Date.now() }, size, paint);
  }

  /** All annotations at first, and then those that are new: the latest may be old. */
  async #readHistory(now: number): Promise<RolloutHistory> {
    const from = this.#annotations === undefined ? undefined : now - WATCHED_MS;
    const found = await this.#place.history({ from });
    const known = { rollups: [], annotations: this.#annotations ?? [] };
    const { rollups, annotations } = mergeHistories([found, known]);
    this.#annotations = annotations.slice(-MAX_ANNOTATIONS);
    return {
      rollups: rollups.filter(({ at, durationMs }) => at + durationMs > now - WATCHED_MS),
      annotations: this.#annotations,
    };
  }
}

const NOTHING: RolloutHistory = { rollups: [], annotations: [] };
/** More than any terminal shows. */
const MAX_ANNOTATIONS = 50;
