import type { SharedStore } from '../../fleet/fleet-options.js';
import type { OutcomeLogOptions } from '../../log/log-options.js';
import type { GuardListener } from '../../model/event.js';
import type { FlagClient, FlagSource } from '../../model/flags.js';
import type { GuardObserver } from '../../model/observer.js';
import type { Stage } from '../../model/stage.js';
import type { Notifier, NotifyFunction } from '../../notify/notifier.js';
import type { OperationPolicy } from '../../operation/guarded-operation.js';
import type { Clock } from '../../support/clock.js';
import type { HttpOptions } from '../../support/connection/http-options.js';
import type { Logger } from '../../support/logger.js';
import type { Trigger } from '../../triggers/trigger.js';
import type { ChangeWindow } from './change-windows.js';

/** Where and as whom the guard turns the flag off. */
export interface UnleashAdminOptions {
  /** Unleash's API, for example `https://unleash.example.com/api`. */
  readonly url: string;
  /**
   * An admin token, a personal access token or a service account's token that may toggle the flag. A process that shares a
   * `store` may go without: then another one leads.
   */
  readonly token?: string | undefined;
  /** The project of the flag. @default 'default' */
  readonly project?: string | undefined;
  /** The environment of the provider's client token, for example `production`. */
  readonly environment: string;
  /** Time for one request, in milliseconds. @default 5_000 */
  readonly timeoutMs?: number | undefined;
  /** Where the report of this rollout is published; linked to the flag in Unleash after a stop. @default none */
  readonly reportUrl?: string | undefined;
}

/** How often a flag may be stopped before automatic advance is held. */
export interface FlapLimit {
  /** So many stops by triggers hold automatic advance. */
  readonly stops: number;
  /** The time within which they happen, in milliseconds. */
  readonly withinMs: number;
}

/** The options of `new RolloutGuard()`. */
export interface RolloutGuardOptions {
  /** The flag to guard, as it is named in Unleash. */
  readonly flagKey: string;
  /** The provider: `UnleashProvider`. */
  readonly flags: FlagSource;
  /**
   * Which of the flag's variants are the new code path: users of any other variant are the control, like those whose flag is off. For a
   * flag that has the old code path as a variant of its own. @default all variants
   */
  readonly treatmentVariants?: readonly string[] | undefined;
  /** The OpenFeature client that operations evaluate with. @default the provider's default client */
  readonly client?: FlagClient | undefined;
  /** Where the flag is turned off: Unleash's admin API. */
  readonly unleash: UnleashAdminOptions;
  /** The guard stops the flag when any of these breaches. At least one; names are unique. */
  readonly rollback: readonly Trigger[];
  /**
   * What a rollback does in Unleash: turn the flag off, or go back to the percentage of the stage before (the first stage
   * has none: off). Either way this process stops at once. @default 'disable'
   */
  readonly onRollback?: 'disable' | 'previous-stage' | undefined;
  /** Operators are notified when any of these breaches; nothing is stopped. @default none */
  readonly review?: readonly Trigger[] | undefined;
  /** How long a review's trigger must be ok before the review is closed, in milliseconds. @default 300_000 */
  readonly reviewCloseAfterMs?: number | undefined;
  /** The rollout's stages, by ascending percentage. @default none */
  readonly stages?: readonly Stage[] | undefined;
  /**
   * Who moves the percentage when a stage is met: an operator in Unleash's UI, or the guard through the admin API, one stage
   * at a time, never past a missed or blocked one, and never against an operator's change. @default 'manual'
   */
  readonly advance?: 'manual' | 'automatic' | undefined;
  /**
   * When the guard may raise the percentage by itself; an operator may at any time. Only with `advance: 'automatic'`. @default always
   */
  readonly changeWindows?: readonly ChangeWindow[] | undefined;
  /**
   * Automatic advance is held, until an operator resumes it, when triggers have stopped the flag so often within so many milliseconds; `false`
   * for never. @default { stops: 2, withinMs: 86_400_000 }
   */
  readonly holdAfterStops?: FlapLimit | false | undefined;
  /** How operations behave when an arm fails. @default that of each field */
  readonly operation?: OperationPolicy | undefined;
  /**
   * The folder of the guard's journal and audit log, or `false` to write nothing to disk: a stop that Unleash has not
   * confirmed yet is then lost in a crash. A folder that another guard uses, of another process or flag, is shared: this guard
   * then writes into `guard-2`, `guard-3` and so on within it. @default `logs/<flag_key>_rollout`
   */
  readonly folder?: string | false | undefined;
  /**
   * Permissions of the files in the folder; folders that the guard makes can be entered by whoever may read the files, and the
   * file `salt` is readable by its owner only. The process's umask applies. @default 0o600
   */
  readonly mode?: number | undefined;
  /**
   * The log of every outcome in the folder: `metrics.jsonl` and `metrics.csv`, and with it what a restart
   * resumes from; or `false` for none. @default on, at most 2 GiB
   */
  readonly log?: OutcomeLogOptions | false | undefined;
  /**
   * What the processes of a fleet share, so that their outcomes are evaluated together and all stop at once: `RedisOutcomeStore`
   * from `unleash-rollout-guard/redis`. @default none: this process evaluates its own outcomes
   */
  readonly store?: SharedStore | undefined;
  /**
   * The version of your service, for example `1.4.2`, cut at 64 characters: a change is marked in the rollout's history.
   * @default `OTEL_SERVICE_VERSION`, `service.version` in `OTEL_RESOURCE_ATTRIBUTES`, or `npm_package_version`
   */
  readonly serviceVersion?: string | undefined;
  /** Record every decision and act on none. @default false */
  readonly dryRun?: boolean | undefined;
  /**
   * Where operators open the dashboard of this service, for example `https://app.example.com/rollouts`. Notifications point to a
   * decision's page there. @default none
   */
  readonly dashboardUrl?: string | undefined;
  /** How often the guard evaluates when no outcomes come, in milliseconds. @default 1_000 */
  readonly tickMs?: number | undefined;
  /**
   * How often the guard checks the flag in Unleash after a stop, until it has seen it off, and after an error that only an
   * operator can fix, in milliseconds. The first checks after a stop come sooner: after 1 s, 2 s, 4 s and so on. @default 30_000
   */
  readonly recheckMs?: number | undefined;
  /**
   * An exposure whose outcome has not come after this time counts as unreported, in milliseconds: longer than an
   * operation normally runs. A later outcome corrects it. @default 60_000
   */
  readonly outcomeTimeoutMs?: number | undefined;
  /** Users whose latest exposure is remembered for `client.track()` and complaints. @default 10_000 */
  readonly maxTrackedUsers?: number | undefined;
  /** A pino logger, or `false` for silence. @default pino, JSON lines on standard output */
  readonly logger?: Logger | false | undefined;
  /** Who notifies operators: `slack({ … })`, `webhook({ … })`, or a function. @default none */
  readonly notify?: readonly (Notifier | NotifyFunction)[] | undefined;
  /** Called for everything that the guard does. @default none */
  readonly onEvent?: GuardListener | undefined;
  /**
   * Called for every outcome and event, for metrics: `openTelemetry()` from `unleash-rollout-guard/opentelemetry`,
   * `unleashImpactMetrics(provider)`, or your own. @default none
   */
  readonly observers?: readonly GuardObserver[] | undefined;
  /** What the guard takes the time from; a test may let it stand. @default the machine's clocks */
  readonly clock?: Clock | undefined;
  /** Fractions from 0 on and below 1, for jitter. @default Math.random */
  readonly random?: (() => number) | undefined;
  /**
   * How the guard connects to Unleash, and its notifiers and signals to theirs unless they have options of their own: proxy,
   * CA, client certificate. @default as the provider does, or by the environment (`HTTPS_PROXY`, `NO_PROXY` and others)
   */
  readonly http?: HttpOptions | undefined;
  /** In place of `http`. @default one over `http` */
  readonly fetch?: typeof fetch | undefined;
  /** This process's memory in bytes, or `false` where it says nothing of the treatment. @default the resident set size */
  readonly readMemoryBytes?: (() => number) | false | undefined;
}
