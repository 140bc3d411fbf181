import { RunningTime } from '../support/running-time.js';
import { GuardRecords } from './guard-records.js';
import type { ResolvedOptions } from './options.js';

/** What every part of a guard works with: the user's options, complete (clock, random, fetch and logger among them), and its records. */
export interface GuardContext extends ResolvedOptions {
  readonly records: GuardRecords;
  /** Notices when this process was frozen or blocked; beats while the guard runs. */
  readonly runningTime: RunningTime;
  /** What the triggers call critical beyond the defaults. */
  readonly criticalErrorTypes: ReadonlySet<string>;
}

/** The context of one guard. */
export function guardContext(options: ResolvedOptions): GuardContext {
  const { rollback, review } = options;
  return {
    ...options,
    records: new GuardRecords(options),
    runningTime: new RunningTime(options.clock),
    criticalErrorTypes: new Set(
      [...rollback, ...review].flatMap(({ criticalErrorTypes }) => criticalErrorTypes ?? []),
    ),
  };
}
