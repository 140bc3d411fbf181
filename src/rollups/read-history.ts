import { historyOf } from './history.js';
import type { RolloutHistory, TimeRange } from './rollup.js';
import { readKept } from './rollup-files.js';

/**
 * The rollout as one guard's folder has it: what its process recorded, in the finest rollups that are kept, the running minute
 * included. Empty when there are no rollups. Of several folders, `mergeHistories` makes one.
 *
 * @throws `UnusableFileError` when the rollups are damaged, or of another version.
 */
export async function readHistory(folder: string, range: TimeRange = {}): Promise<RolloutHistory> {
  const kept = await readKept(folder);
  return kept === undefined ? { rollups: [], annotations: [] } : historyOf(kept, range);
}
