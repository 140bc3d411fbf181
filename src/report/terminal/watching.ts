import { foldersIn } from '../../journal/guard-folder.js';
import { mergeHistories } from '../../rollups/history.js';
import { readHistory } from '../../rollups/read-history.js';
import type { RolloutHistory } from '../../rollups/rollup.js';
import { type RolloutStatus, readRolloutStatuses } from '../status/rollout-status.js';
import { WATCHED_MS } from './recent.js';
import { type Paint, type Size, screenOf, type Watched } from './screen.js';

/** Rollups change each minute, and reading them takes longer than reading where the rollout stands. */
const HISTORY_MS = 10_000;

/** Reads a rollout again and again, for a terminal. */
export class Watching {
  readonly folder: string;
  #history: RolloutHistory = { rollups: [], annotations: [] };
  #historyAt = Number.NEGATIVE_INFINITY;
  #annotations: RolloutHistory['annotations'] | undefined;

  constructor(folder: string) {
    this.folder = folder;
  }

  /** @throws as `readRolloutStatuses`. */
  statuses(): Promise<readonly RolloutStatus[]> {
    return readRolloutStatuses(this.folder);
  }

  /** @throws as `readRolloutStatuses`. */
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
    const folders = await foldersIn(this.folder);
    const found = await Promise.all(
      folders.map((folder) => readHistory(folder, { from }).catch(() => NOTHING)),
    );
    const { rollups, annotations } = mergeHistories([
      ...found,
      { rollups: [], annotations: this.#annotations ?? [] },
    ]);
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
