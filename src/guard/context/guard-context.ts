import type { FlagFacts } from '../../model/flags.js';
import { answerOf, atOnce, type OnFault } from '../../support/async/callbacks.js';
import { type Clock, systemClock } from '../../support/clock.js';
import type { RunningTime } from '../../support/running-time.js';
import type { ResolvedOptions } from '../options/resolve-options.js';
import { GuardRecords } from './guard-records.js';
import { type GuardResources, guardResources } from './guard-resources.js';

/** What every part of a guard works with: the user's options, complete (clock, random, fetch and logger among them), and its records. */
export interface GuardContext extends ResolvedOptions {
  readonly records: GuardRecords;
  /** Notices when this process was frozen or blocked; beats while the guard runs. */
  readonly runningTime: RunningTime;
  /** What it shares with the guards of other flags, if there are any. */
  readonly resources: GuardResources;
  /** The flag's definition; undefined without one, and where the provider fails, which the tick reports. */
  readonly flagFacts: () => FlagFacts | undefined;
  /** What the triggers call critical beyond the defaults. */
  readonly criticalErrorTypes: ReadonlySet<string>;
}

/** The context of one guard. Its functions that the user passed in are safe to call. */
export function guardContext(options: ResolvedOptions, shared?: GuardResources): GuardContext {
  const { flagKey, flags, rollback, review, random } = options;
  const clock = safeClock(options.clock, (what, error) => records.fault(what, error));
  const records = new GuardRecords({ ...options, clock });
  const resources = shared ?? guardResources({ ...options, clock });
  const { readMemoryBytes } = resources;
  return {
    ...options,
    clock,
    random: () => {
      const drawn = answerOf('random', random, 0.5, records.fault);
      return drawn >= 0 && drawn <= 1 ? drawn : 0.5;
    },
    readMemoryBytes: readMemoryBytes && (() => numberOf(readMemoryBytes)),
    records,
    runningTime: resources.runningTime,
    resources,
    flagFacts: () => {
      try {
        return flags.flag(flagKey);
      } catch {
        return undefined;
      }
    },
    criticalErrorTypes: new Set(
      [...rollback, ...review].flatMap(({ criticalErrorTypes }) => criticalErrorTypes ?? []),
    ),
  };
}

/** The user's clock; where it fails, the machine's answers. */
export function safeClock(clock: Clock, onFault: OnFault): Clock {
  if (clock === systemClock) return clock;
  const safe = (name: keyof Clock) => {
    let isReporting = false;
    const report: OnFault = (what, error) => {
      isReporting = true;
      onFault(what, error);
      isReporting = false;
    };
    return () => {
      // A fault has a time, too.
      if (isReporting) return systemClock[name]();
      const time = answerOf(`clock.${name}()`, () => numberOf(() => clock[name]()), Number.NaN, report);
      return Number.isNaN(time) ? systemClock[name]() : time;
    };
  };
  return { now: safe('now'), monotonic: safe('monotonic') };
}

/** @throws what it throws, or TypeError when the answer is no number. */
function numberOf(run: () => number): number {
  const answer: unknown = atOnce(run());
  if (typeof answer === 'number' && Number.isFinite(answer)) return answer;
  throw new TypeError(
    `it returned ${typeof answer === 'number' ? answer : `a ${typeof answer}`} instead of a number`,
  );
}
