import { z } from 'zod';
import { type AlertsOptions, alertsOptionsSchema } from '../../alerts/alert-options.js';
import type { RolloutGuardOptions } from '../../guard/options/options.js';
import { ofOneFlag } from '../../guard/several/flag-options.js';
import { attempt, type ConfigProblem, isRecord, parseConfig } from '../../support/config-error.js';
import { readConfigFile } from '../../what-if/replay/rules-file.js';
import { type HealthOptions, healthOptionsSchema } from './health-server.js';

type Fields = Readonly<Record<string, unknown>>;

/** What a configuration file contains; the guard, the store and the provider check their own values. */
export interface ControllerConfig {
  readonly unleash: Fields;
  readonly clientToken: string | undefined;
  readonly redis: Fields;
  /** Where it answers `/health`; undefined: nowhere. */
  readonly health: HealthOptions | undefined;
  /** Who may send alerts to `/alerts` beside `/health`; undefined: nobody. */
  readonly alerts: AlertsOptions | undefined;
  /** All other options: those of the guard of one flag, or with `flags` those of the guards of several. */
  readonly guard: Fields;
  /** The flags of a file that has several. */
  readonly flags: Readonly<Record<string, Fields>> | undefined;
  readonly problems: readonly ConfigProblem[];
}

const CLIENT_TOKEN = 'a client token without white space, here or as UNLEASH_CLIENT_TOKEN';
const ADMIN_TOKEN = 'an admin token, here or as UNLEASH_ADMIN_TOKEN';
const REDIS_URL = 'a URL that begins with redis:// or rediss://, here or as REDIS_URL';

/** The options of the guard that a file may set, beside `unleash`. */
const GUARD_OPTIONS = [
  'rollback',
  'review',
  'stages',
  'reviewCloseAfterMs',
  'onRollback',
  'advance',
  'changeWindows',
  'holdAfterStops',
  'folder',
  'mode',
  'dryRun',
  'dashboardUrl',
  'tickMs',
  'recheckMs',
  'outcomeTimeoutMs',
  'notify',
  'observers',
  'http',
] as const satisfies readonly (keyof RolloutGuardOptions)[];

/** Those that stand beside `flags`, and not in each of them. */
const OF_ALL = [
  'folder',
  'mode',
  'dryRun',
  'tickMs',
  'recheckMs',
  'outcomeTimeoutMs',
  'dashboardUrl',
  'notify',
  'observers',
  'http',
] as const;

// The constructors check the values: here it matters which options there are, and what the environment may add.
const anything = z.unknown().optional();
const named = (names: readonly string[]) => Object.fromEntries(names.map((name) => [name, anything]));

// A preset may be spread: how operations run and are logged, and what the arms are, is decided by the services.
const ofServices = { operation: anything, log: anything, treatmentVariants: anything };

const commonFields = {
  unleash: z.strictObject({
    url: anything,
    project: anything,
    environment: anything,
    timeoutMs: anything,
    reportUrl: anything,
    token: z.string({ error: ADMIN_TOKEN }),
    clientToken: z.string({ error: CLIENT_TOKEN }).regex(/^[\x21-\x7e]+$/, { error: CLIENT_TOKEN }),
  }),
  redis: z
    .record(z.string(), z.unknown())
    .refine(({ url, client }) => (url ?? client) !== undefined, { path: ['url'], error: REDIS_URL }),
  health: healthOptionsSchema.optional(),
  alerts: alertsOptionsSchema.optional(),
};

const ALERTS_HEALTH = '{ port }: alerts are taken where the controller answers /health';

/** Alerts come to the server of `/health`. */
function refineAlerts({ alerts, health }: Fields, context: z.core.$RefinementCtx): void {
  if (alerts === undefined || health !== undefined) return;
  context.addIssue({ code: 'custom', path: ['health'], message: ALERTS_HEALTH });
}

const oneFlagSchema = z
  .strictObject({
    flagKey: anything,
    ...named(GUARD_OPTIONS),
    ...commonFields,
    ...ofServices,
  })
  .superRefine(refineAlerts);

const severalFlagsSchema = z
  .strictObject({
    ...ofOneFlag(GUARD_OPTIONS),
    flags: anything,
    ...named(OF_ALL),
    ...commonFields,
  })
  .superRefine(refineAlerts);

/**
 * Reads a controller's configuration, of one flag or of several `flags`: a JSON file, or a JavaScript module that exports the same as its default or by name.
 * The tokens, that of `alerts` too, and Redis' URL come from the environment where the file has none. A module is code: it is executed, with the
 * tokens in reach.
 *
 * @throws ConfigError when the file has no object at all; what is wrong inside is in `problems`.
 * @throws when the file cannot be read, or the module throws.
 */
export async function readControllerConfig(
  path: string,
  environment: NodeJS.ProcessEnv,
): Promise<ControllerConfig> {
  const file = await readConfigFile(path);
  const fields = parseConfig(z.record(z.string(), z.unknown(), { error: 'an object' }), file.given, path);
  const given = withSecrets(fields, environment);
  const schema = given.flags === undefined ? oneFlagSchema : severalFlagsSchema;
  const { problems } = attempt(() => parseConfig(schema, given, path));
  const { unleash, redis, health, alerts, flags, ...options } = given;
  const guard = withoutServices(options);
  const { clientToken, ...admin } = isRecord(unleash) ? unleash : {};
  return {
    unleash: admin,
    clientToken: typeof clientToken === 'string' ? clientToken : undefined,
    redis: isRecord(redis) ? redis : {},
    // What is wrong with it is among the problems.
    health: healthOptionsSchema.safeParse(health).data,
    alerts: alertsOptionsSchema.safeParse(alerts).data,
    guard,
    flags: flags === undefined ? undefined : flagsOf(flags),
    problems: [...file.problems, ...problems],
  };
}

/** What is no list of flags is left as it is: the guards say what is wrong. */
function flagsOf(flags: unknown): Readonly<Record<string, Fields>> {
  if (!isRecord(flags)) return flags as Readonly<Record<string, Fields>>;
  const perFlag = Object.entries(flags).map(([key, flag]) => [
    key,
    isRecord(flag) ? withoutServices(flag) : flag,
  ]);
  return Object.fromEntries(perFlag) as Readonly<Record<string, Fields>>;
}

function withoutServices({ operation: _, log: __, treatmentVariants: ___, ...rest }: Fields): Fields {
  return rest;
}

function withSecrets(
  { unleash = {}, redis = {}, alerts, ...rest }: Fields,
  environment: NodeJS.ProcessEnv,
): Fields {
  const either = (value: unknown, name: string) => value ?? (environment[name] || undefined);
  return {
    ...rest,
    ...(isRecord(alerts) && {
      alerts: { ...alerts, token: either(alerts.token, 'ROLLOUT_GUARD_ALERTS_TOKEN') },
    }),
    ...(alerts !== undefined && !isRecord(alerts) && { alerts }),
    unleash: isRecord(unleash)
      ? {
          ...unleash,
          token: either(unleash.token, 'UNLEASH_ADMIN_TOKEN'),
          clientToken: either(unleash.clientToken, 'UNLEASH_CLIENT_TOKEN'),
        }
      : unleash,
    redis:
      isRecord(redis) && redis.client === undefined
        ? { ...redis, url: either(redis.url, 'REDIS_URL') }
        : redis,
  };
}
