import type { Control, ControlReply } from '../model/control.js';
import type { Unsubscribe } from '../model/flags.js';
import type { RolloutView } from '../model/rollout-view.js';
import type { RolloutHistory } from '../rollups/rollup.js';
import type { DecisionView } from './api.js';

/** A part of a rollout, in milliseconds since 1970. */
export interface TimeRange {
  /** What was before is left out. @default the beginning */
  readonly from?: number | undefined;
  /** What came after is left out. @default now */
  readonly to?: number | undefined;
}

/** What is asked of a history. */
export interface HistoryRequest extends TimeRange {
  /** How long the points are that it is for, by the length of the part, in milliseconds: longer rollups will do. @default the shortest */
  readonly stepFor?: ((spanMs: number) => number) | undefined;
}

/**
 * One guarded flag, wherever the dashboard has it from: a guard in this process, a folder, or a fleet's shared store. What a method
 * rejects with is shown to the reader as it is, so it names no secret.
 */
export interface RolloutSource {
  /** The flag, as it is named in Unleash. */
  readonly flagKey: string;
  /** A guard of this process that has ended. */
  readonly isClosed?: boolean | undefined;
  /** Where the rollout stands; undefined before anything is known. Cheap enough for each second. */
  view(): Promise<RolloutView | undefined>;
  /** What happened, the unfinished minute included. More than the range may be returned. */
  history(request: HistoryRequest): Promise<RolloutHistory>;
  /** What was decided, newest first; bounded. */
  decisions(): Promise<readonly DecisionView[]>;
  /** Calls the listener whenever the view or the history may have changed, within half a second. */
  subscribe(listener: () => void): Unsubscribe;
  /** Does what an operator asks. Absent where this source can only show. */
  readonly control?: ((control: Control) => Promise<ControlReply>) | undefined;
}
