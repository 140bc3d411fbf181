import { z } from 'zod';
import type { SharedStore } from '../fleet/fleet-options.js';
import { logOptionsSchema, type OutcomeLogOptions, resolveLogOptions } from '../log/log-options.js';
import { MAX_VERSION_LENGTH } from '../measure/outcome-delta.js';
import type { GuardListener } from '../model/event.js';
import type { FlagClient, FlagSource } from '../model/flags.js';
import type { GuardObserver } from '../model/observer.js';
import type { Stage } from '../model/stage.js';
import { type Notifier, type NotifyFunction, notifySchema } from '../notify/notifier.js';
import type { OperationPolicy } from '../operation/guarded-operation.js';
import { type Clock, systemClock } from '../support/clock.js';
import { parseConfig } from '../support/config-error.js';
import { countSchema, durationMsSchema, wholeSchema } from '../support/config-schemas.js';
import { type HttpOptions, httpOptionsSchema } from '../support/connection/http-options.js';
import { OWN_FILES } from '../support/files.js';
import { httpUrlSchema } from '../support/http-schemas.js';
import { type Logger, resolveLogger } from '../support/logger.js';
import type { Trigger } from '../triggers/trigger.js';
import { adminTokenProblem } from '../unleash/admin-access.js';
import { clientUrlProblem } from '../unleash/client-api.js';
import { type ChangeWindow, changeWindowsSchema } from './control/change-windows.js';
import type { FlapLimit } from './control/control-state.js';
import { refineRules, resolveRules, rulesFields } from './rules.js';
import { serviceVersionOf } from './service-version.js';

/** Where and as whom the guard turns the flag off. */
export interface UnleashAdminOptions {
  /** Unleash's API, for example `https://unleash.example.com/api`. */
  readonly url: string;
  /**
   * An admin token, a personal access token or a service account's token that may toggle the flag. A process that shares a
   * `store` may go without: then another one leads.
   */
  readonly token?: string | undefined;
  /** @default 'default' */
  readonly project?: string | undefined;
  /** The environment of the provider's client token, for example `production`. */
  readonly environment: string;
  /** Time for one request, in milliseconds. @default 5_000 */
  readonly timeoutMs?: number | undefined;
  /** Where the report of this rollout is published; linked to the flag in Unleash after a stop. */
  readonly reportUrl?: string | undefined;
}

/** The options of `new RolloutGuard()`. */
export interface RolloutGuardOptions {
  /** The flag to guard, as it is named in Unleash. */
  readonly flagKey: string;
  /** The provider: `UnleashProvider`. */
  readonly flags: FlagSource;
  /** The OpenFeature client that operations evaluate with. @default the provider's default client */
  readonly client?: FlagClient | undefined;
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
  /** How operations behave when an arm fails. */
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
  /** Called for everything that the guard does. */
  readonly onEvent?: GuardListener | undefined;
  /**
   * Called for every outcome and event, for metrics: `openTelemetry()` from `unleash-rollout-guard/opentelemetry`,
   * `unleashImpactMetrics(provider)`, or your own. @default none
   */
  readonly observers?: readonly GuardObserver[] | undefined;
  /** @default the machine's clocks */
  readonly clock?: Clock | undefined;
  /** @default Math.random */
  readonly random?: (() => number) | undefined;
  /**
   * How the guard connects to Unleash, and its notifiers and signals to theirs unless they have options of their own: proxy,
   * CA, client certificate. @default as the provider does, or by the environment (`HTTPS_PROXY`, `NO_PROXY` and others)
   */
  readonly http?: HttpOptions | undefined;
  /** In place of `http`. @default one over `http` */
  readonly fetch?: typeof fetch | undefined;
  /** This process's memory in bytes. @default the resident set size */
  readonly readMemoryBytes?: (() => number) | undefined;
}

/** {@link RolloutGuardOptions}, checked and complete. */
export interface ResolvedOptions extends Readonly<ReturnType<typeof resolveOptions>> {}

/** Checks what a user passed and fills in the defaults. @throws {@link ConfigError} that lists every problem. */
export function resolveOptions(options: RolloutGuardOptions) {
  const given = parseConfig(optionsSchema, options, 'RolloutGuard options') as RolloutGuardOptions;
  const { flagKey, flags, client, unleash, operation, store, onEvent } = given;
  return Object.freeze({
    flagKey,
    flags,
    client,
    unleash: Object.freeze({
      url: unleash.url,
      token: unleash.token,
      project: unleash.project ?? 'default',
      environment: unleash.environment,
      timeoutMs: unleash.timeoutMs ?? 5_000,
      reportUrl: unleash.reportUrl,
    }),
    ...resolveRules(given),
    onRollback: given.onRollback ?? 'disable',
    advance: given.advance ?? 'manual',
    changeWindows: Object.freeze([...(given.changeWindows ?? [])]),
    holdAfterStops: given.holdAfterStops ?? { stops: 2, withinMs: 86_400_000 },
    operation: Object.freeze({
      retries: operation?.retries ?? 2,
      timeoutMs: operation?.timeoutMs ?? 30_000,
      retryDelayMs: operation?.retryDelayMs ?? 100,
      fallback: operation?.fallback ?? true,
    }),
    folder: given.folder ?? `logs/${flagKey.replaceAll('-', '_')}_rollout`,
    mode: given.mode ?? OWN_FILES,
    log: given.log === false ? false : resolveLogOptions(given.log),
    store,
    serviceVersion: (given.serviceVersion ?? serviceVersionOf(process.env))?.slice(0, MAX_VERSION_LENGTH),
    dryRun: given.dryRun ?? false,
    dashboardUrl: given.dashboardUrl,
    tickMs: given.tickMs ?? 1_000,
    recheckMs: given.recheckMs ?? 30_000,
    outcomeTimeoutMs: given.outcomeTimeoutMs ?? 60_000,
    maxTrackedUsers: given.maxTrackedUsers ?? 10_000,
    logger: resolveLogger(given.logger),
    notify: Object.freeze([...(given.notify ?? [])]),
    onEvent,
    observers: Object.freeze([...(given.observers ?? [])]),
    clock: given.clock ?? systemClock,
    random: given.random ?? Math.random,
    http: given.http,
    fetch: given.fetch,
    readMemoryBytes: given.readMemoryBytes ?? (() => process.memoryUsage.rss()),
  });
}

/** Checks the options of one operation. @throws {@link ConfigError} that lists every problem. */
export function checkOperationOptions(options: unknown): void {
  parseConfig(operationSchema, options, 'operation options');
}

/** What operations and the guard call, so that a missing method shows now and not in a user's request. */
const FLAG_SOURCE: readonly (keyof FlagSource)[] = [
  'flag',
  'override',
  'clearOverride',
  'isOverridden',
  'onChange',
  'onTrack',
  'defaultClient',
];

/** Memory for all of them is allocated at once. */
const MOST_TRACKED_USERS = 10_000_000;

const FLAG_KEY = "a flag's key as Unleash allows it: letters, digits and . _ ~ - without spaces, at most 100";
const ADMIN_URL =
  'a URL with its scheme and without credentials, for example https://unleash.example.com/api';
const NAME = 'a name without spaces';
const VERSION = 'a version, for example 1.4.2';
const MODE = 'permissions with which the owner can read and write, for example 0o600 or 0o640';

const name = z.string({ error: NAME }).regex(/^(?!\.{1,2}$)\S+$/, { error: NAME });
const httpUrl = httpUrlSchema(ADMIN_URL);
const adminUrl = httpUrl.superRefine((url, context) => {
  const hint = new URL(url).pathname === '/' ? undefined : clientUrlProblem(url);
  if (hint !== undefined) context.addIssue({ code: 'custom', message: ADMIN_URL, params: { hint } });
});

function having<T>(methods: readonly string[], expected: string) {
  return z.custom<T>(
    (value) =>
      typeof value === 'object' &&
      value !== null &&
      methods.every((method) => typeof (value as Record<string, unknown>)[method] === 'function'),
    { error: expected },
  );
}

function aFunction<T>() {
  return z.custom<T>((value) => typeof value === 'function', { error: 'a function' }).optional();
}

const token = z.string({ error: 'an admin token' }).superRefine((value, context) => {
  const problem = adminTokenProblem(value);
  if (problem !== undefined) context.addIssue({ code: 'custom', message: problem });
});

const unleashSchema = z.strictObject({
  url: adminUrl,
  token: token.optional(),
  project: name.optional(),
  environment: name,
  timeoutMs: durationMsSchema.optional(),
  reportUrl: httpUrl.optional(),
});

const policyFields = {
  retries: wholeSchema(0).optional(),
  timeoutMs: durationMsSchema.optional(),
  retryDelayMs: durationMsSchema.optional(),
  fallback: z.boolean().optional(),
};

const armFunction = z.custom((value) => typeof value === 'function', {
  error: 'a function (input, { signal }) => result',
});

const operationSchema = z.strictObject({
  ...policyFields,
  treatment: armFunction,
  control: armFunction,
  input: aFunction(),
  isRetryable: aFunction(),
  classifyError: aFunction(),
  attributes: aFunction(),
});

const observer = z.custom<GuardObserver>(
  (value) => {
    if (typeof value !== 'object' || value === null) return false;
    const { outcome, event } = value as Record<string, unknown>;
    const methods = [outcome, event].filter((method) => method !== undefined);
    return methods.length > 0 && methods.every((method) => typeof method === 'function');
  },
  { error: 'an observer: { outcome(outcome) { … }, event(event, flagKey) { … } }, or one of the two' },
);

/** Checks the option `logger`. */
export const loggerSchema = z
  .union([having<Logger>(['debug', 'info', 'warn', 'error'], 'a pino logger'), z.literal(false)])
  .optional();

const optionFields = {
  flagKey: z.string({ error: FLAG_KEY }).regex(/^(?!\.{1,2}$)[\w.~-]{1,100}$/, { error: FLAG_KEY }),
  flags: having<FlagSource>(FLAG_SOURCE, 'an UnleashProvider'),
  client: having<FlagClient>(['getBooleanDetails'], 'an OpenFeature client').optional(),
  unleash: unleashSchema,
  ...rulesFields,
  onRollback: z.enum(['disable', 'previous-stage']).optional(),
  advance: z.enum(['manual', 'automatic']).optional(),
  changeWindows: changeWindowsSchema.optional(),
  holdAfterStops: z
    .union([z.strictObject({ stops: countSchema, withinMs: durationMsSchema }), z.literal(false)], {
      error: '{ stops, withinMs }, or false',
    })
    .optional(),
  operation: z.strictObject(policyFields).optional(),
  folder: z.union([z.string().min(1), z.literal(false)], { error: 'a path, or false' }).optional(),
  mode: z
    .int({ error: MODE })
    .refine((mode) => (mode & 0o600) === 0o600 && mode >= 0 && mode <= 0o777, { error: MODE })
    .optional(),
  log: z.union([logOptionsSchema, z.literal(false)]).optional(),
  store: having<SharedStore>(['link'], 'a RedisOutcomeStore').optional(),
  serviceVersion: z.string({ error: VERSION }).min(1, { error: VERSION }).optional(),
  dryRun: z.boolean().optional(),
  dashboardUrl: httpUrlSchema(
    'a URL with its scheme, for example https://app.example.com/rollouts',
  ).optional(),
  tickMs: durationMsSchema.optional(),
  recheckMs: durationMsSchema.optional(),
  outcomeTimeoutMs: durationMsSchema.optional(),
  maxTrackedUsers: countSchema.max(MOST_TRACKED_USERS, { error: `at most ${MOST_TRACKED_USERS}` }).optional(),
  logger: loggerSchema,
  notify: notifySchema.optional(),
  onEvent: aFunction<GuardListener>(),
  observers: z.array(observer, { error: 'a list of observers' }).optional(),
  clock: having<Clock>(['now', 'monotonic'], 'a Clock').optional(),
  random: aFunction<() => number>(),
  http: httpOptionsSchema.optional(),
  fetch: aFunction<typeof fetch>(),
  readMemoryBytes: aFunction<() => number>(),
} satisfies Record<keyof RolloutGuardOptions, z.ZodType>;

const optionsSchema = z
  .strictObject(optionFields)
  .superRefine(refineRules)
  .superRefine(({ unleash, store }, context) => {
    if (unleash.token !== undefined || store !== undefined) return;
    context.addIssue({ code: 'custom', path: ['unleash', 'token'], message: 'an admin token' });
  })
  .superRefine(({ flags, unleash }, context) => {
    const { project, environment } = flags.scope ?? {};
    const refuse = (field: string, expected: string) =>
      context.addIssue({
        code: 'custom',
        path: ['unleash', field],
        message: `"${expected}", whose flags the provider evaluates`,
        params: { hint: 'elsewhere the guard would turn off a flag that nobody evaluates' },
      });
    if (environment !== undefined && environment !== unleash.environment) refuse('environment', environment);
    if (project !== undefined && project !== (unleash.project ?? 'default')) refuse('project', project);
  });
