import { setImmediate } from 'node:timers/promises';
import type { AlertsOptions } from '../alerts/alert-options.js';
import { type AlertsHandler, alertsHandler } from '../alerts/alerts-handler.js';
import type { DashboardOptions } from '../dashboard/dashboard-options.js';
import { type DashboardHandler, dashboardHandler } from '../dashboard/handler.js';
import { type MetricsHandler, metricsHandler } from '../dashboard/metrics-handler.js';
import { prometheusText } from '../dashboard/prometheus-text.js';
import type { Health } from '../model/health.js';
import { messageOf } from '../support/async/callbacks.js';
import { eachInSlices } from '../support/async/slices.js';
import { systemClock } from '../support/clock.js';
import { formatNames } from '../support/wording.js';
import { resolveFlags } from './assemble.js';
import type { GuardResources } from './context/guard-resources.js';
import type { GuardRun } from './guard-run.js';
import type { GuardStatus } from './guard-status.js';
import { RolloutGuard } from './rollout-guard.js';
import type { FlagGuardsOptions } from './several/flag-options.js';
import type { SharedLog } from './several/shared-log.js';

/** A message names so many flags. */
const MOST_NAMED = 10;

/** Guards that start, write or close at once: each reads or writes its folder. */
const AT_ONCE = 8;

/** For so long guards write or close in turn; then all that are left begin. */
const TURNS_MS = 2_000;
/** By then all have ended, whatever hangs. */
const END_MS = 4_500;
/** Each has so much time, though a process that was frozen has none left. */
const LEAST_MS = 1_000;

/** Whether the guards of several flags can do their work. */
export interface FlagsHealth<FlagKey extends string = string> {
  /** `blind` when any of the guards is. */
  readonly status: Health['status'];
  /** The health of each guard, by flag. */
  readonly flags: Readonly<Record<FlagKey, Health>>;
}

/**
 * Guards for several flags that share all that is not about one flag: provider, admin client, token check, notifiers, timers, the
 * connection to the fleet, and the folder in which each has its own. Each decides for its own flag only, and what goes wrong with one
 * leaves the others alone.
 */
export class FlagGuards<FlagKey extends string = string> {
  /** The guards, by flag. */
  readonly guards: Readonly<Record<FlagKey, RolloutGuard>>;
  readonly #byFlag: ReadonlyMap<string, RolloutGuard>;
  readonly #log: SharedLog;
  readonly #resources: GuardResources;
  #starting: Promise<void> | undefined;
  #closing: Promise<void> | undefined;

  /** @throws {@link ConfigError} that lists everything that is wrong, with its flag and field. */
  constructor(options: FlagGuardsOptions<FlagKey>) {
    const { flags, log, resources } = resolveFlags(options);
    this.#log = log;
    this.#resources = resources;
    this.#byFlag = new Map(
      flags.map((options) => [options.flagKey, new RolloutGuard(options, this.#resources)]),
    );
    this.guards = Object.freeze(Object.fromEntries(this.#byFlag)) as Readonly<Record<FlagKey, RolloutGuard>>;
  }

  /** The guard of a flag. @throws when the flag is not guarded here. */
  get(flagKey: FlagKey): RolloutGuard {
    const guard = this.#byFlag.get(flagKey);
    if (guard !== undefined) return guard;
    const keys = [...this.#byFlag.keys()];
    throw new Error(
      `${flagKey} is not one of the flags that are guarded here (${keys.length}): ${formatNames(keys, MOST_NAMED)}.`,
    );
  }

  /** Whether each guard can do its work. Cheap, and never throws. */
  get health(): FlagsHealth<FlagKey> {
    const flags = this.#each((guard) => guard.health);
    const isBlind = Object.values<Health>(flags).some(({ status }) => status === 'blind');
    return { status: isBlind ? 'blind' : 'ok', flags };
  }

  /** One endpoint for the alerts of all flags, whose label `flag` names it; see {@link RolloutGuard.alerts}. */
  alerts(options: AlertsOptions): AlertsHandler {
    return alertsHandler(() => [...this.#byFlag.values()].map(({ alertTarget }) => alertTarget), options);
  }

  /** The metrics of all flags; see {@link RolloutGuard.prometheus}. */
  prometheus(): string {
    return prometheusText([...this.#byFlag.values()].map(({ figures }) => figures));
  }

  /** Serves {@link prometheus} to scrapes. */
  metrics(): MetricsHandler {
    return metricsHandler(() => [...this.#byFlag.values()]);
  }

  /** Where each rollout stands, as plain data. */
  status(): Readonly<Record<FlagKey, GuardStatus>> {
    return this.#each((guard) => guard.status());
  }

  /**
   * Starts all guards; see {@link RolloutGuard.start}. One that cannot start keeps no other from it.
   *
   * @throws what the first of them threw when all failed alike; otherwise an `AggregateError` that names the flags.
   */
  start(): Promise<void> {
    // Then each says that it is closed.
    if (this.#closing !== undefined) return this.#closing.then(() => this.#start());
    this.#starting ??= this.#start();
    return this.#starting;
  }

  /**
   * One dashboard of all flags: `app.use('/rollouts', guarded.dashboard())`; see {@link RolloutGuard.dashboard}.
   *
   * @throws {@link ConfigError} that lists everything that is wrong with the options.
   */
  dashboard(options?: DashboardOptions): DashboardHandler {
    return dashboardHandler(() => [...this.#byFlag.values()].map((guard) => guard.rolloutSource), options);
  }

  /** Writes and sends what all guards have recorded so far; see {@link RolloutGuard.flush}. Resolves within 5 seconds. */
  async flush(): Promise<void> {
    await this.#withinTime((run, withinMs) => run.flush(withinMs));
  }

  /** Ends all guards for good; see {@link RolloutGuard.close}. Resolves within 5 seconds. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    // Those of guards that wait for their turn would take the time. What is recorded meanwhile is evaluated at once, as always.
    this.#resources.ticks.endAll();
    await this.#withinTime((run, withinMs) => run.close(withinMs));
    for (const queue of this.#resources.queues ?? []) queue.abort();
    this.#log.close();
  }

  /**
   * Writes or closes with all guards in turn: a thousand at once would take the time from one another.
   *
   * @param end - Must not reject, and resolves within so many milliseconds.
   */
  async #withinTime(end: (run: GuardRun, withinMs: number) => Promise<void>): Promise<void> {
    const begin = systemClock.monotonic();
    const run = async (guard: RolloutGuard) => {
      const assembled = assemble(guard);
      const leftMs = END_MS - (systemClock.monotonic() - begin);
      if (assembled !== undefined) await end(assembled, Math.max(LEAST_MS, leftMs));
    };
    const waiting = [...this.#byFlag.values()];
    const late: Promise<void>[] = [];
    let hurrying: Promise<void> | undefined;
    const hurry = async () => {
      for (const guard of waiting.splice(0)) {
        late.push(run(guard));
        await setImmediate();
      }
    };
    // The disk or a server is slow or hangs: none waits for another guard's any more.
    const timer = setTimeout(() => {
      hurrying = hurry();
    }, TURNS_MS);
    await inTurns(waiting, run);
    clearTimeout(timer);
    await hurrying;
    await Promise.all(late);
  }

  async #start(): Promise<void> {
    const guards = [...this.#byFlag.values()];
    const failures: { readonly flagKey: string; readonly error: unknown }[] = [];
    // Before they start: in their turns, eight at once would be assembled between two requests.
    await eachInSlices(guards, assemble);
    await inTurns(guards, async (guard) => {
      try {
        await guard.start();
      } catch (error) {
        failures.push({ flagKey: guard.flagKey, error });
      }
    });
    const [first] = failures;
    if (first === undefined) return;
    const messages = failures.map(({ error }) => messageOf(error));
    // One password that is wrong for all is one problem.
    if (failures.length === this.#byFlag.size && new Set(messages).size === 1) throw first.error;
    throw new AggregateError(
      failures.map(({ error }) => error),
      `The guards of ${failures.length} of ${this.#byFlag.size} flags cannot start: ${formatNames(
        failures.map(({ flagKey }, index) => `${flagKey} (${messages[index]})`),
        MOST_NAMED,
      )}`,
    );
  }

  #each<Value>(read: (guard: RolloutGuard) => Value): Readonly<Record<FlagKey, Value>> {
    const values = [...this.#byFlag].map(([flagKey, guard]) => [flagKey, read(guard)]);
    return Object.fromEntries(values) as Readonly<Record<FlagKey, Value>>;
  }
}

/** @returns undefined where that fails: the guard's start throws it again. */
function assemble(guard: RolloutGuard): GuardRun | undefined {
  try {
    return guard.assemble();
  } catch {
    return undefined;
  }
}

/** Some guards at once; requests are served between two of them. Those that are removed from the list meanwhile are left out. */
async function inTurns(waiting: RolloutGuard[], run: (guard: RolloutGuard) => Promise<void>): Promise<void> {
  const work = async () => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      await run(next);
      // Without a folder, nothing else may wait for anything outside.
      await setImmediate();
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
}
