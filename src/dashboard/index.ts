import type { DashboardOptions } from './dashboard-options.js';
import { type DashboardHandler, dashboardHandler } from './handler.js';
import type { RolloutSource } from './source.js';

export type { ControlReply, DecisionView } from './api.js';
export type { ControlAccess, DashboardOptions } from './dashboard-options.js';
export type { DashboardHandler } from './handler.js';
export type { RolloutSource, TimeRange } from './source.js';

/** What a dashboard can show; a `RolloutGuard` fits. */
export type Shown = RolloutSource | { readonly rolloutSource: RolloutSource };

/**
 * One dashboard of several flags: `app.use('/rollouts', dashboard([guardA, guardB]))`. A guard's own `guard.dashboard()` shows its flag
 * alone. Reading is not restricted unless there is a `token`: mount it where only operators come, or behind the application's sign-in.
 *
 * @param shown - Each flag once.
 * @throws ConfigError that lists everything that is wrong with the options.
 */
export function dashboard(shown: readonly Shown[], options?: DashboardOptions): DashboardHandler {
  const sources = shown.map((each) => ('rolloutSource' in each ? each.rolloutSource : each));
  return dashboardHandler(() => sources, options);
}
