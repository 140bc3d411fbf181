import { z } from 'zod';
import type { SharedStore } from '../../fleet/fleet-options.js';
import { logOptionsSchema, resolveLogOptions } from '../../log/log-options.js';
import { MAX_VERSION_LENGTH } from '../../measure/outcome-delta.js';
import type { GuardListener } from '../../model/event.js';
import type { FlagClient, FlagSource } from '../../model/flags.js';
import type { GuardObserver } from '../../model/observer.js';
import { notifySchema } from '../../notify/notifier.js';
import { type Clock, systemClock } from '../../support/clock.js';
import { hasMethods, parseConfig } from '../../support/config-error.js';
import { countSchema, durationMsSchema, wholeSchema } from '../../support/config-schemas.js';
import { httpOptionsSchema } from '../../support/connection/http-options.js';
import { httpUrlSchema } from '../../support/connection/http-schemas.js';
import { OWN_FILES } from '../../support/files.js';
import { type Logger, resolveLogger } from '../../support/logger.js';
import { adminTokenProblem, unleashUrlProblem } from '../../unleash/admin-access.js';
import { changeWindowsSchema } from './change-windows.js';
import type { RolloutGuardOptions } from './options.js';
import { refineRules, resolveRules, rulesFields } from './rules.js';
import { serviceVersionOf } from './service-version.js';

/** {@link RolloutGuardOptions}, checked and complete. */
export interface ResolvedOptions extends Readonly<ReturnType<typeof resolveOptions>> {}

/** Checks what a user passed and fills in the defaults. @throws {@link ConfigError} that lists every problem. */
export function resolveOptions(options: RolloutGuardOptions) {
  const given = parseConfig(optionsSchema, options, 'RolloutGuard options') as RolloutGuardOptions;
  const { flagKey, flags, client, unleash, operation, store, onEvent } = given;
  return Object.freeze({
    flagKey,
    flags,
    treatmentVariants: given.treatmentVariants && Object.freeze([...given.treatmentVariants]),
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
    readMemoryBytes:
      given.readMemoryBytes === false
        ? undefined
        : (given.readMemoryBytes ?? (() => process.memoryUsage.rss())),
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
const VARIANT = "a variant's name";
const VARIANTS = "a list of the treatment's variants, for example ['streaming']";
const MODE = 'permissions with which the owner can read and write, for example 0o600 or 0o640';

const name = z.string({ error: NAME }).regex(/^(?!\.{1,2}$)\S+$/, { error: NAME });
const httpUrl = httpUrlSchema(ADMIN_URL);
const adminUrl = httpUrl.superRefine((url, context) => {
  const hint = unleashUrlProblem(url);
  if (hint !== undefined) context.addIssue({ code: 'custom', message: ADMIN_URL, params: { hint } });
});

function having<T>(methods: readonly string[], expected: string) {
  return z.custom<T>((value) => typeof value === 'object' && value !== null && hasMethods(value, methods), {
    error: expected,
  });
}

function aFunction<T>() {
  return z.custom<T>((value) => typeof value === 'function', { error: 'a function' }).optional();
}

const token = z.string({ error: 'an admin token' }).superRefine((value, context) => {
  const problem = adminTokenProblem(value);
  if (problem !== undefined)
    context.addIssue({ code: 'custom', message: 'an admin token', params: { hint: problem } });
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
  { error: 'an observer: { outcome(outcome, flag) { … }, event(event, flag) { … } }, or one of the two' },
);

/** Checks the option `logger`. */
export const loggerSchema = z
  .union([having<Logger>(['debug', 'info', 'warn', 'error'], 'a pino logger'), z.literal(false)])
  .optional();

const optionFields = {
  flagKey: z.string({ error: FLAG_KEY }).regex(/^(?!\.{1,2}$)[\w.~-]{1,100}$/, { error: FLAG_KEY }),
  flags: having<FlagSource>(FLAG_SOURCE, 'an UnleashProvider, or a GuardedProvider around another provider'),
  treatmentVariants: z
    .array(z.string({ error: VARIANT }).min(1, { error: VARIANT }), { error: VARIANTS })
    .min(1, { error: VARIANTS })
    .refine((names) => new Set(names).size === names.length, { error: 'each variant once' })
    .optional(),
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
  readMemoryBytes: z
    .union([z.custom<() => number>((value) => typeof value === 'function'), z.literal(false)], {
      error: 'a function, or false',
    })
    .optional(),
} satisfies Record<keyof RolloutGuardOptions, z.ZodType>;

/** Which options there are. */
export const optionNames: readonly string[] = Object.keys(optionFields);

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
