import { z } from 'zod';
import { isRecord, parseConfig } from '../support/config-error.js';
import type { DashboardOptions } from './dashboard-options.js';
import { type DashboardHandler, dashboardHandler } from './handler.js';
import type { RolloutSource } from './source.js';

export type { DecisionFailure } from '../model/event-entry.js';
export type { ControlReply, DecisionView } from './api.js';
export type { ControlAccess, DashboardOptions } from './dashboard-options.js';
export type { DashboardHandler } from './handler.js';
export type { HistoryRequest, RolloutSource, TimeRange } from './source.js';

/** What a dashboard can show; a `RolloutGuard` fits. */
export type Shown =
  | RolloutSource
  | {
      /** What is shown. */
      readonly rolloutSource: RolloutSource;
    };

const SHOWN = 'guards, for example [guardA, guardB], or what guardFlags returned';

const sourceSchema = z.object({ flagKey: z.string(), view: z.function() });
const shownSchema = z.object({
  shown: z
    .array(
      z.union([z.object({ rolloutSource: sourceSchema }), sourceSchema], {
        error: 'a guard, or another source of a rollout',
      }),
      { error: SHOWN },
    )
    .superRefine((shown, context) => {
      const keys = shown.map((each) => ('rolloutSource' in each ? each.rolloutSource.flagKey : each.flagKey));
      for (const [index, key] of keys.entries())
        if (keys.indexOf(key) !== index)
          context.addIssue({ code: 'custom', path: [index], message: 'each flag once' });
    }),
});

/**
 * One dashboard of several flags: `app.use('/rollouts', dashboard([guardA, guardB]))`. A guard's own `guard.dashboard()` shows its flag
 * alone, and `guarded.dashboard()` those of `guardFlags`, which may also be given here. Reading is not restricted unless there is a `token`: mount it where only operators come, or behind the application's sign-in.
 *
 * @param shown - Each flag once.
 * @throws ConfigError that lists everything that is wrong.
 */
export function dashboard(
  shown: readonly Shown[] | { readonly guards: Readonly<Record<string, Shown>> },
  options?: DashboardOptions,
): DashboardHandler {
  const each = isRecord(shown) && isRecord(shown.guards) ? Object.values(shown.guards) : shown;
  parseConfig(shownSchema, { shown: each }, 'dashboard');
  const sources = (each as readonly Shown[]).map((each) =>
    'rolloutSource' in each ? each.rolloutSource : each,
  );
  return dashboardHandler(() => sources, options);
}
